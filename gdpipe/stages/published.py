"""What the published run was made of, and so what is left to do."""

import json
import platform
from importlib.metadata import version
from typing import Any

from gdpipe.config import IMMATERIAL, TrainingConfig
from gdpipe.errors import DataError, PublishError
from gdpipe.printable import logger_named
from gdpipe.source.source import Source
from gdpipe.stages.previous import Start
from gdpipe.store.place import Place

logger = logger_named(__name__)

PACKAGES = ("gdpipe", "numpy", "pyarrow", "scipy", "python-flint")
FINGERPRINT = ("path", "bytes", "modified_ns", "footer_sha256")


def versions() -> dict[str, str]:
    """Of Python, of this program, and of what computes in it."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def nothing_to_do(config: TrainingConfig, start: Start) -> Place | None:
    """The published run's folder, if a run now would be that run again; None where there is something to do.

    The same settings, the same program, the same files by fingerprint, and all that was published still there, by size
    (`gdpipe verify` has the checksums). No row is read, and footers only where the files' names, sizes and times agree.
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


def files_to_predict(config: TrainingConfig, source: Source, start: Start) -> frozenset[int]:
    """Indices of the files whose rows `predict` asks for.

    `new` are those that the published run did not have, or not as they are now: all of them where there is no run.
    A file of which its filters left nothing is one that it did not have.
    """
    if config.predict != "new":
        return frozenset(range(len(source.files)) if config.predict == "all" else ())
    had = [entry for entry in (_published(start) or {"inputs": ()})["inputs"] if entry.get("sums")]
    known = {tuple(entry[name] for name in FINGERPRINT) for entry in had}
    return frozenset(
        f for f, file in enumerate(source.files) if tuple(file.fingerprint[name] for name in FINGERPRINT) not in known
    )


def _published(start: Start) -> dict[str, Any] | None:
    """The manifest of the run before, where it is a training run."""
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
    except DataError:  # the run itself will say what is wrong with them
        return False


def _material(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in IMMATERIAL}


def _is_whole(folder: Place, manifest: dict[str, Any]) -> bool:
    try:
        there = folder.files()
        return all(there.get(entry["path"]) == entry["bytes"] for entry in manifest["files"])
    except OSError:
        return False
