"""A folder on a disk that runs are kept in: locks, fsync and rename.

Who lives is told by a lock (flock) on `.staging/<run_id>.lock`: the kernel frees it when its owner dies, however it
dies. That is stronger than a pid and a boot id in a file, since a pid may be used again and nothing has to be guessed.
"""

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from gdpipe.tables.files import is_utf8
from gdpipe.tables.place import STAGING, Hold, Place, Sink

LOCK = ".lock"
PART = ".part"
# what the name of a file starts with until it is whole
UNFINISHED = "."
# what a file gathers before the kernel is asked to take it
BUFFER_BYTES = 2**20


class DiskPlace(Place):
    """A folder; made when something is written to it."""

    __slots__ = ()

    @classmethod
    def of(cls, folder: str | os.PathLike[str]) -> "DiskPlace":
        """The place that is this folder, there or not."""
        return cls(pafs.LocalFileSystem(), os.path.abspath(folder), os.fspath(folder))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def path(self) -> Path:
        """The folder, relative if it was given so."""
        return Path(self.location, self.inside)

    def create(self, path: str) -> Sink:
        """Start a file of a run that nobody reads yet; it takes its name when it is whole.

        A shard may be worked on twice, even at once: each writes a file of its own.
        """
        file = Path(self.full(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f"{UNFINISHED}{file.name}.{uuid.uuid4().hex}")

        def settle(handle: Any) -> None:
            _flush(handle)
            os.rename(beside, file)

        return Sink(beside.open("xb", BUFFER_BYTES), settle, lambda: beside.unlink(missing_ok=True))

    def is_shared(self) -> bool:
        """Whether the folder is there, as it is for whoever runs on the machine that made it."""
        return Path(self.top).is_dir()

    def write(self, path: str, content: bytes, *, outlasts_power_cut: bool = True) -> None:
        """Write beside, flush, and replace."""
        file = Path(self.full(path))
        make_folder(file.parent)
        with _one_at_a_time(self._staging()):
            part = self._staging() / f"{uuid.uuid4().hex}{PART}"
            handle = part.open("xb")
            fcntl.flock(handle, fcntl.LOCK_EX)  # a living writer's: not to be cleared
        try:
            with handle:
                handle.write(content)
                _flush(handle) if outlasts_power_cut else handle.flush()
                os.replace(part, file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        if not outlasts_power_cut:
            return
        # the switch has happened, and readers see the new file: what is left can only be late
        with contextlib.suppress(OSError):
            sync_folder(file.parent)

    def hold(self, run_id: str) -> Hold | None:
        """Take a run_id by locking a file of that name."""
        staging = self._staging()
        with _one_at_a_time(staging):
            lock = _try_lock(staging / f"{run_id}{LOCK}", os.O_CREAT)
        return None if lock is None else _DiskHold(Path(self.top), run_id, lock)

    def clear_dead(self) -> None:
        """Remove whatever nobody holds the lock of."""
        if Path(self.top, STAGING).is_dir():
            with _one_at_a_time(self._staging()):
                _clear_unlocked(self._staging())

    def _list(self, path: str, *, recursive: bool = True) -> list[pafs.FileInfo]:
        listed = super()._list(path, recursive=recursive)
        try:
            _ = [info.path for info in listed]
        except UnicodeDecodeError:  # a name that is not UTF-8 is none of ours, and Arrow cannot tell it from others
            walk = os.walk(self.full(path)) if recursive else [next(os.walk(self.full(path)))]
            found = [f"{folder}/{name}" for folder, folders, names in walk for name in (*folders, *names)]
            listed = list(self.filesystem.get_file_info([name for name in found if is_utf8(name)]))
        return listed

    def _staging(self) -> Path:
        staging = Path(self.top, STAGING)
        make_folder(staging)
        return staging


class _DiskHold(Hold):
    def __init__(self, top: Path, run_id: str, lock: int) -> None:
        self.folder = f"{STAGING}/{run_id}"
        self._top = top
        self._lock = lock

    def settle(self, path: str) -> None:
        staged, final = self._top / self.folder, self._top / path
        make_folder(final.parent)
        if staged.is_dir() and not final.exists():  # an earlier attempt may have got so far
            for folder, _, names in os.walk(staged):
                for name in names:
                    if name.startswith(UNFINISHED):  # what a worker that died had begun
                        Path(folder, name).unlink(missing_ok=True)  # or one that is late, and has just ended
                sync_folder(Path(folder))
            os.rename(staged, final)
        sync_folder(final.parent)

    def retire(self, path: str) -> None:
        os.rename(self._top / path, self._top / self.folder)

    def release(self) -> None:
        staged = self._top / self.folder
        with contextlib.suppress(OSError):
            shutil.rmtree(staged, ignore_errors=True)
            with _one_at_a_time(staged.parent):
                staged.with_name(staged.name + LOCK).unlink()
        os.close(self._lock)


def _clear_unlocked(staging: Path) -> None:
    alive = set()
    for path in [*staging.glob(f"*{LOCK}"), *staging.glob(f"*{PART}")]:
        with contextlib.suppress(FileNotFoundError):  # a writer has just put it in its place
            lock = _try_lock(path)
            if lock is None:
                alive |= {path.name, path.stem}
            else:
                os.close(lock)
    for path in staging.iterdir():
        if path.name in alive:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Nobody else takes a name, gives one back or looks for dead runs meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path, flags: int = 0) -> int | None:
    """A descriptor that holds the lock, or None where somebody alive does."""
    lock = os.open(path, os.O_RDWR | flags, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return lock


def _flush(handle: Any) -> None:
    handle.flush()
    os.fsync(handle.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder that outlasts a power cut, and those above it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
