"""Removal of old runs: of runs that gdpipe wrote only, and never of the latest."""

from gdpipe.config import check_run_id
from gdpipe.errors import ConfigError, PublishError
from gdpipe.layout import MANIFEST, RUNS, STAGING
from gdpipe.printable import abridged, logger_named
from gdpipe.store.place import Place
from gdpipe.store.runs import latest_run_id, read_manifest
from gdpipe.store.writer import output_errors

logger = logger_named(__name__)


def prune(output: Place, keep: int, kind: str = RUNS) -> list[str]:
    """Remove the oldest runs, and what dead ones left; never the latest, nor one that is being published.

    A run disappears at once, not file by file. Readers that have opened it keep the tables that they have read; reading
    another one is a PublishError. A folder is left alone, and named in one log line, if it is not a run that gdpipe
    wrote under that name, or if it has other files in it. The result names the removed runs, oldest first.

    Args:
        output: The folder or prefix of all runs.
        keep: The number of runs that stay, the latest among them; runs that never were the latest count, too.
        kind: `runs` or `rejected`.

    Raises:
        PublishError: `latest.json` is damaged, something cannot be removed, or a folder of gdpipe's in the output is a
            link.
    """
    removed, unknown, mixed = [], [], []
    with output_errors(f"cannot prune {output}"):
        foreign = output.clear_dead()
        if kind == RUNS:  # named once, also where both kinds are pruned
            unknown = [f"{STAGING}/{name}" for name in foreign]
        created, files = {}, {}
        for run_id in output.names(kind):
            try:
                check_run_id(run_id)
                manifest = read_manifest(output.below(f"{kind}/{run_id}"))
                if manifest["run_id"] != run_id:
                    raise ConfigError("a copy of a run")
            except (ConfigError, PublishError):
                unknown.append(f"{kind}/{run_id}")
                continue
            created[run_id] = (str(manifest.get("created", "")), run_id)
            files[run_id] = [MANIFEST, *(entry["path"] for entry in manifest["files"])]
        latest = latest_run_id(output) if kind == RUNS else None
        others = sorted(created.keys() - {latest}, key=created.__getitem__)
        for run_id in others[: max(len(created) - keep, 0)]:
            path = f"{kind}/{run_id}"
            lease = output.lease(run_id)
            if lease is None:
                continue
            try:
                # looked up under the lease, when no run can be publishing it
                if (kind != RUNS or run_id != latest_run_id(output)) and output.exists(path):
                    if strays := output.strays(path, files[run_id]):
                        mixed.append(f"{path} with {strays[0]}")
                    else:
                        logger.info("removing %s", output.below(path))
                        lease.retire(path)
                        removed.append(run_id)
            finally:
                lease.release()
    if mixed or unknown:
        reason = "not made by gdpipe, damaged, or with files of others"
        logger.warning("%s, and left alone in %s: %s", reason, output, abridged(list(map(repr, [*mixed, *unknown]))))
    return removed
