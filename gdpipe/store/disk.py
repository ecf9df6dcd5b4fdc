"""A folder on a disk that runs are kept in: locks, fsync and rename.

Who lives is told by a lock (flock) on `.staging/<run_id>-<signature>.lock`: the kernel frees it when its owner dies,
however it dies. That is stronger than a pid and a boot id in a file, since a pid may be used again and nothing has to
be guessed. What has no signature in its name is not ours, and stays; and no link is followed to where things are
written or removed.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.fs as pafs

from gdpipe.layout import LATEST, MANIFEST, MOMENTS, REJECTED, RUNS, STAGING
from gdpipe.printable import logger_named
from gdpipe.source.files import is_utf8
from gdpipe.store.place import Lease, Place, Sink
from gdpipe.store.signature import signed, signed_name

logger = logger_named(__name__)

LOCK = ".lock"
PART = ".part"
# what the name of a file starts with until it is whole
UNFINISHED = "."
# what a file gathers before the kernel is asked to take it
BUFFER_BYTES = 2**20
# what a file system answers to what it cannot do at all
UNABLE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF)


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

    def open(self, path: str) -> Any:
        """A file to read from; what is no regular file would be waited for, which no signal ends."""
        mode = stat.S_IFREG
        with contextlib.suppress(OSError):  # what is missing or forbidden, Arrow says
            mode = os.stat(self.full(path)).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(f"{PurePosixPath(path).name} is a pipe, a socket or a device, no regular file; move it away")
        return super().open(path)  # a folder is refused there

    def write(self, path: str, content: bytes, *, outlasts_power_cut: bool = True) -> None:
        """Write beside, flush, and replace."""
        file = Path(self.full(path))
        self._check_own()
        make_folder(file.parent)
        staging = self._staging()
        if os.path.lexists(file) and not _is_plain(file, stat.S_ISREG):
            raise OSError(f"{file} is no regular file; move it away")
        with _one_at_a_time(staging):
            part = staging / f"{signed(uuid.uuid4().hex)}{PART}"
            handle = part.open("xb")
            _flock(handle.fileno(), fcntl.LOCK_EX)  # a living writer's: not to be cleared
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

    def lease(self, run_id: str) -> Lease | None:
        """Take a run_id by locking a file of that name."""
        staging = self._staging()
        sync_folder(staging)  # a file system that cannot is told now, and not when hours of work are to be published
        with _one_at_a_time(staging):
            lock = _try_lock(staging / f"{signed(run_id)}{LOCK}", os.O_CREAT)
        return None if lock is None else _DiskLease(Path(self.top), run_id, lock)

    def clear_dead(self) -> list[str]:
        """Remove whatever of ours nobody holds the lock of."""
        self._check_own()
        if not Path(self.top, STAGING).is_dir():
            return []
        with _one_at_a_time(self._staging()):
            return _clear_unlocked(self._staging())

    def strays(self, path: str, files: Iterable[str]) -> list[str]:
        """What is below a folder beside these files; a link is always one, and so is an empty folder."""
        top = Path(self.full(path))
        if top.is_symlink():
            return ["a symbolic link"]
        known = set(files)
        known |= {str(parent) for file in known for parent in Path(file).parents}
        found = [Path(folder, name) for folder, folders, names in os.walk(top) for name in (*folders, *names)]
        return sorted(name for file in found if (name := str(file.relative_to(top))) not in known or file.is_symlink())

    def delete(self, path: str) -> None:
        """Remove a regular file, or a folder with all that is in it; links are neither."""
        self._check_own()
        file = Path(self.full(path))
        if _is_plain(file, stat.S_ISDIR):
            shutil.rmtree(file)
        elif _is_plain(file, stat.S_ISREG):
            file.unlink()

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
        self._check_own()
        staging = Path(self.top, STAGING)
        make_folder(staging)
        return staging

    def _check_own(self) -> None:
        for name in (STAGING, RUNS, REJECTED, MOMENTS, LATEST):
            path, wanted = Path(self.top, name), "a regular file" if name == LATEST else "a folder"
            if path.is_symlink():
                remedy = f"put {wanted} in its place, or give another output"
                raise OSError(f"{path} is a symbolic link, and gdpipe writes and removes only in its own; {remedy}")
            if os.path.lexists(path) and not _is_plain(path, stat.S_ISREG if name == LATEST else stat.S_ISDIR):
                raise OSError(f"{path} is not {wanted}; move it away, or give another output")


class _DiskLease(Lease):
    def __init__(self, top: Path, run_id: str, lock: int) -> None:
        self.folder = f"{STAGING}/{signed(run_id)}"
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
        elif not Path(final, MANIFEST).exists():
            raise OSError(f"{final} was made by another program meanwhile; move it away and run again")
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


def _clear_unlocked(staging: Path) -> list[str]:
    found = sorted(staging.iterdir())
    ours = [path for path in found if _is_ours(path)]
    alive = set()
    for path in ours:
        if path.suffix:
            with contextlib.suppress(FileNotFoundError):  # a writer has just put it in its place
                lock = _try_lock(path)
                if lock is None:
                    alive |= {path.name, path.stem}
                else:
                    os.close(lock)
    for path in ours:
        if path.name not in alive and os.path.lexists(path):
            logger.info("removing %s: left by a run that has ended", path)
            if path.suffix:
                path.unlink(missing_ok=True)
            else:
                shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in found if path not in ours]


def _is_ours(path: Path) -> bool:
    """Whether gdpipe made an entry of staging: its name is signed, and it is what such a name stands for."""
    kinds = {LOCK: stat.S_ISREG, PART: stat.S_ISREG, "": stat.S_ISDIR}
    return path.suffix in kinds and signed_name(path.stem) is not None and _is_plain(path, kinds[path.suffix])


def _is_plain(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether it is there as this kind of thing, and not by a link."""
    try:
        return kind(path.lstat().st_mode)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Nobody else takes a name, gives one back or looks for dead runs meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path, flags: int = 0) -> int | None:
    """A descriptor that holds the lock, or None where somebody alive does."""
    lock = os.open(path, os.O_RDWR | flags, 0o644)
    try:
        _flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        with _required("force a folder to the disk (fsync)"):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, operation: int) -> None:
    with _required("lock files (flock)"):
        fcntl.flock(descriptor, operation)


@contextlib.contextmanager
def _required(ability: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in UNABLE:
            raise
        remedy = "take an output on one that can, such as ext4, XFS or NFS 4, or in an object store"
        raise OSError(f"its file system cannot {ability}: {error.strerror}; {remedy}") from error
