"""Comparison with the published run: whether anything has changed, and which files are new."""

import functools
import json
import platform
from importlib.metadata import version
from typing import Any

from gdpipe.config import IMMATERIAL, TrainingConfig
from gdpipe.errors import ConfigError, DataError, PublishError
from gdpipe.location import shown
from gdpipe.printable import logger_named
from gdpipe.source.source import Source
from gdpipe.stages.previous import Start
from gdpipe.store.place import Place

logger = logger_named(__name__)

PACKAGES = ("gdpipe", "numpy", "pyarrow", "scipy", "python-flint")
FINGERPRINT = ("path", "bytes", "modified_ns", "footer_sha256")


@functools.cache  # each reads a file of a hundred lines
def versions() -> dict[str, str]:
    """The versions of Python, gdpipe and the packages that compute."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def nothing_to_do(config: TrainingConfig, start: Start) -> Place | None:
    """The published run's folder, if a new run would give the same; None where there is something to do.

    The settings, versions and files (by fingerprint) must be the same, and all published files must be there with their
    sizes (`gdpipe verify` checks checksums). Rows are not read, and footers only where names, sizes and times agree.
    """
    manifest = _published(start)
    if config.force or manifest is None or start.previous is None:
        return None
    same = (
        config.run_id in {None, manifest["run_id"]}
        and _material(json.loads(json.dumps(config.as_dict(), default=str))) == _material(manifest["settings"])
        and manifest["versions"] == versions()
        and _is_whole(start.previous, manifest)
        and _is_input(start, [{name: entry[name] for name in FINGERPRINT} for entry in manifest["inputs"]])
    )
    return start.previous if same else None


def check_target(config: TrainingConfig, start: Start) -> None:
    """Check that the run does not take the place of a model of something else.

    Raises:
        ConfigError: The latest run predicts another column, and the new one is to be the latest without `force`.
    """
    manifest = _published(start)
    if config.force or not config.latest or manifest is None or manifest["target"] == config.target:
        return
    raise ConfigError(
        f"target {config.target!r}: the latest run in {shown(config.output)}, {manifest['run_id']}, predicts "
        f"{manifest['target']!r}, and whoever reads the output would get another model; give another output, or set "
        "force to publish over it"
    )


def files_to_predict(config: TrainingConfig, source: Source, start: Start) -> frozenset[int]:
    """Indices of the files whose rows are to be predicted by the setting `predict`.

    With `new` these are the files that the published run did not use, or that have changed since; all where there is no
    such run. A file of which that run's filters left no row was not used.
    """
    if config.predict != "new":
        return frozenset(range(len(source.files)) if config.predict == "all" else ())
    used = [entry for entry in (_published(start) or {"inputs": ()})["inputs"] if entry.get("sums")]
    known = {tuple(entry[name] for name in FINGERPRINT) for entry in used}
    return frozenset(
        f for f, file in enumerate(source.files) if tuple(file.fingerprint[name] for name in FINGERPRINT) not in known
    )


def _published(start: Start) -> dict[str, Any] | None:
    """The manifest of the previous run; None where it is not a training run or cannot be read."""
    try:
        return start.manifest if start.manifest and start.manifest["kind"] == "training" else None
    except PublishError:
        return None


def _is_input(start: Start, fingerprints: list[dict[str, Any]]) -> bool:
    try:
        listed = start.listing.fingerprints
        known = [{name: entry[name] for name in listed[0]} for entry in fingerprints] if listed else []
        if listed != known:
            return False  # footers need not be read
        return [file.fingerprint for file in start.source.files] == fingerprints
    except DataError:  # the run will raise it again
        return False


def _material(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in IMMATERIAL}


def _is_whole(folder: Place, manifest: dict[str, Any]) -> bool:
    try:
        there = folder.files()
        return all(there.get(entry["path"]) == entry["bytes"] for entry in manifest["files"])
    except OSError:
        return False
