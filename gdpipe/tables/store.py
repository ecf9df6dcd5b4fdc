"""Parquet out: staging, checksums, manifest, and the one atomic switch.

A run is written into `OUTPUT/.staging/<run_id>`, whole, and then renamed to `runs/<run_id>` or `rejected/<run_id>`.
Only then `latest.json` is replaced, which is atomic too. Whatever is killed, when, a reader sees the previous run or
the new one.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from gdpipe.errors import ConfigError, PublishError
from gdpipe.tables.catalog import SCHEMA_VERSION
from gdpipe.tables.writer import output_errors, write_text

LATEST = "latest.json"
MANIFEST = "manifest.json"
RUNS = "runs"
REJECTED = "rejected"
STAGING = ".staging"


class Staging:
    """A run that is being written; a context manager that leaves nothing behind unless it was published or rejected.

    Args:
        output: The folder that holds all runs; made if it is not there.
        run_id: The new run's name.

    Raises:
        ConfigError: A run of that name exists, or is being written.
        PublishError: The folder cannot be made.
    """

    def __init__(self, output: str | os.PathLike[str], run_id: str) -> None:
        self.output = Path(output)
        self.run_id = run_id
        self.folder = self.output / STAGING / run_id
        self._lock = -1

    def __enter__(self) -> "Staging":
        with output_errors(f"cannot write to {self.output}"):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with _one_at_a_time(self.folder.parent):
                clear_dead(self.output)
                self._lock = _try_lock(self._lock_path)
            if self._lock < 0:
                raise ConfigError(f"run_id {self.run_id!r}: a run of that name is being written to {self.output}")
            for kind in (RUNS, REJECTED):
                if (self.output / kind / self.run_id).exists():
                    self._unlock()
                    raise ConfigError(f"run_id {self.run_id!r}: {self.output / kind / self.run_id} is there already")
            self.folder.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._pointer_path.unlink()
        self._unlock()

    def drop(self, path: str) -> None:
        """Remove a file or folder of the run again."""
        with output_errors(f"cannot write to {self.folder}"):
            shutil.rmtree(self.folder / path, ignore_errors=True)

    def publish(self, manifest: dict[str, Any]) -> Path:
        """Make the run visible and switch `latest.json` to it.

        Raises:
            PublishError: Something could not be written; the previous run is still the latest.
        """
        final = self._finish(RUNS, manifest)
        pointer = {"schema_version": SCHEMA_VERSION, "run_id": self.run_id, "path": f"{RUNS}/{self.run_id}"}
        with output_errors(f"cannot switch {self.output / LATEST}"):
            beside = self._pointer_path
            with beside.open("w", encoding="utf-8") as handle:
                handle.write(json.dumps(pointer, indent=2) + "\n")
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(beside, self.output / LATEST)
        # the switch has happened, and readers see the new run: what is left can only be late
        with contextlib.suppress(OSError):
            _sync_folder(self.output)
        return final

    def reject(self, manifest: dict[str, Any]) -> Path:
        """Keep the run as evidence, out of the readers' way."""
        return self._finish(REJECTED, manifest)

    def _finish(self, kind: str, manifest: dict[str, Any]) -> Path:
        final = self.output / kind / self.run_id
        write_text(self.folder, MANIFEST, json.dumps(manifest, indent=2, default=str) + "\n")
        with output_errors(f"cannot write {final}"):
            for unfinished in self.folder.glob("*/.*"):  # what a worker that died had begun
                unfinished.unlink()
            for folder, _, _ in os.walk(self.folder):
                _sync_folder(Path(folder))
            final.parent.mkdir(exist_ok=True)
            os.rename(self.folder, final)
            _sync_folder(final.parent)
        return final

    @property
    def _lock_path(self) -> Path:
        return self.folder.with_name(f"{self.run_id}.lock")

    @property
    def _pointer_path(self) -> Path:
        return self.folder.with_name(f"{self.run_id}.latest")

    def _unlock(self) -> None:
        with contextlib.suppress(OSError):
            self._lock_path.unlink()
        os.close(self._lock)


def clear_dead(output: Path) -> None:
    """Remove what runs that are no longer alive have left in staging; a run that lives holds its lock."""
    for lock_path in (output / STAGING).glob("*.lock"):
        lock = _try_lock(lock_path)
        if lock < 0:
            continue
        shutil.rmtree(lock_path.with_suffix(""), ignore_errors=True)
        lock_path.with_suffix(".latest").unlink(missing_ok=True)
        lock_path.unlink(missing_ok=True)
        os.close(lock)


def latest_folder(output: str | os.PathLike[str]) -> Path:
    """The folder of the run that `latest.json` names, or the folder itself where it is a run's.

    Raises:
        PublishError: There is no published run, or the pointer is damaged.
    """
    folder = Path(output)
    if (folder / MANIFEST).is_file():
        return folder
    try:
        pointer = json.loads((folder / LATEST).read_text(encoding="utf-8"))
        run_id = str(pointer["run_id"])
    except FileNotFoundError:
        raise PublishError(f"{folder}: no published run there (no {LATEST}, no {MANIFEST})") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PublishError(f"{folder / LATEST}: cannot be read ({error})") from error
    if Path(run_id).name != run_id:
        raise PublishError(f"{folder / LATEST}: names {run_id!r}, which is no run's name")
    return folder / RUNS / run_id


def read_manifest(folder: Path) -> dict[str, Any]:
    """A run's manifest.

    Raises:
        PublishError: It is missing or damaged.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, _, _ = manifest["schema_version"], manifest["kind"], manifest["run_id"]
        _ = [(entry["path"], entry["bytes"], entry["sha256"]) for entry in manifest["files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PublishError(f"{folder / MANIFEST}: cannot be read ({error})") from error
    if version != SCHEMA_VERSION:
        raise PublishError(f"{folder / MANIFEST}: schema version {version} is not known to this program")
    return manifest


def damaged_files(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """What of a run is not as the manifest says, one line a file; empty where all is well."""
    complaints = []
    for entry in manifest["files"]:
        file = folder / entry["path"]
        try:
            with file.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
                size = handle.tell()
        except OSError as error:
            complaints.append(f"{entry['path']}: {error.strerror}")
            continue
        if size != entry["bytes"]:
            complaints.append(f"{entry['path']}: {size:,} bytes, the manifest says {entry['bytes']:,}")
        elif digest != entry["sha256"]:
            complaints.append(f"{entry['path']}: its content has changed (sha256 differs)")
    return complaints


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Nobody else looks for dead runs, or starts one, meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path) -> int:
    """A descriptor that holds the lock, or -1 where somebody alive does."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return -1
    return lock


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
