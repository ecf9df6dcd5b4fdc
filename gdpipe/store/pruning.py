"""Old runs, removed: only what gdpipe wrote, whole, and never the latest."""

from gdpipe.config import check_run_id
from gdpipe.errors import ConfigError, PublishError
from gdpipe.layout import MANIFEST, RUNS, STAGING
from gdpipe.printable import logger_named
from gdpipe.store.place import Place
from gdpipe.store.runs import latest_run_id, listed, read_manifest
from gdpipe.store.writer import output_errors

logger = logger_named(__name__)


def prune(output: Place, keep: int, kind: str = RUNS) -> list[str]:
    """Remove the oldest runs, and what dead ones left; never the latest, nor one that is just being published.

    A run disappears at once, not file by file. Who has opened it keeps the tables that were read; asking for another
    one is a PublishError then. What is no run that gdpipe wrote, under that name and with nothing beside its files, is
    left alone, and named in one line.

    Args:
        output: Where runs are kept.
        keep: How many stay; the latest is one of them, and runs that never were the latest count like all others.
        kind: `runs` or `rejected`.

    Returns:
        The names of the runs that were removed, oldest first.

    Raises:
        PublishError: `latest.json` is damaged, something cannot be removed, or a folder of the output's own is a link.
    """
    removed, left, mixed = [], [], []
    with output_errors(f"cannot prune {output}"):
        strange = output.clear_dead()
        if kind == RUNS:  # once, where both kinds are pruned
            left = [f"{STAGING}/{name}" for name in strange]
        created, files = {}, {}
        for run_id in output.names(kind):
            try:
                check_run_id(run_id)
                manifest = read_manifest(output.below(f"{kind}/{run_id}"))
                if manifest["run_id"] != run_id:
                    raise ConfigError("a copy of a run")
            except (ConfigError, PublishError):
                left.append(f"{kind}/{run_id}")
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
                # looked up once nobody can be publishing it any more
                if (kind != RUNS or run_id != latest_run_id(output)) and output.exists(path):
                    if strays := output.strays(path, files[run_id]):
                        mixed.append(f"{path} with {strays[0]}")
                    else:
                        logger.info("removing %s", output.below(path))
                        lease.retire(path)
                        removed.append(run_id)
            finally:
                lease.release()
    if mixed or left:
        reason = "not made by gdpipe, damaged, or with files of others"
        logger.warning("%s, and left alone in %s: %s", reason, output, listed([*mixed, *left]))
    return removed
