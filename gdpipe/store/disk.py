"""Runs in a folder on a disk: locks, fsync and rename.

A living run holds a lock (flock) on `.staging/<run_id>-<signature>.lock`; the kernel frees it when the run dies,
whatever the cause. A pid and a boot id in a file would be weaker, as a pid may be used again. An entry without a
signature in its name was not made by gdpipe, and stays. Where it writes or removes, gdpipe follows no link.
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

from gdpipe.layout import LATEST, MANIFEST, MOMENTS, REJECTED, RUNS, STAGING, signed, signed_name
from gdpipe.printable import logger_named
from gdpipe.source.files import is_utf8
from gdpipe.store.place import Lease, Place, Sink

logger = logger_named(__name__)

LOCK = ".lock"
PART = ".part"
# the start of a file's name until the file is complete
UNFINISHED = "."
# bytes that a file gathers before they go to the kernel
BUFFER_BYTES = 2**20
# the errors of a file system that cannot do something at all
UNABLE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF)


class DiskPlace(Place):
    """A folder, which is made when something is written to it."""

    __slots__ = ()

    @classmethod
    def of(cls, folder: str | os.PathLike[str]) -> "DiskPlace":
        """The place of this folder, whether it exists or not."""
        return cls(pafs.LocalFileSystem(), os.path.abspath(folder), os.fspath(folder))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def path(self) -> Path:
        """The folder, relative if it was given so."""
        return Path(self.location, self.inside)

    def create(self, path: str) -> Sink:
        """A new file of a run that nobody reads yet; it gets its name when it is complete.

        Two workers may write the same shard, even at the same time: each writes a file of its own.
        """
        file = Path(self.full(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"{UNFINISHED}{file.name}.{uuid.uuid4().hex}")

        def settle(handle: Any) -> None:
            _flush(handle)
            os.rename(unfinished, file)

        return Sink(unfinished.open("xb", BUFFER_BYTES), settle, lambda: unfinished.unlink(missing_ok=True))

    def is_shared(self) -> bool:
        """Whether the folder exists here, as it does on the machine of the run."""
        return Path(self.top).is_dir()

    def open(self, path: str) -> Any:
        """An open file; pipes and devices are refused, since opening one may wait for ever, deaf to signals."""
        mode = stat.S_IFREG
        with contextlib.suppress(OSError):  # Arrow's error says what is missing or forbidden
            mode = os.stat(self.full(path)).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(f"{PurePosixPath(path).name} is a pipe, a socket or a device, no regular file; move it away")
        return super().open(path)  # which refuses a folder

    def write(self, path: str, content: bytes, *, outlasts_power_cut: bool = True) -> None:
        """Write the file in staging, flush it, and move it to its path."""
        file = Path(self.full(path))
        self._check_own()
        make_folder(file.parent)
        staging = self._staging()
        if os.path.lexists(file) and not _is_plain(file, stat.S_ISREG):
            raise OSError(f"{file} is no regular file; move it away")
        part = staging / f"{signed(uuid.uuid4().hex)}{PART}"
        try:  # around the creation, too: Ctrl-C may come right after it
            with _one_at_a_time(staging):
                handle = part.open("xb")
                _flock(handle.fileno(), fcntl.LOCK_EX)  # so that clear_dead sees a living writer
            with handle:
                handle.write(content)
                _flush(handle) if outlasts_power_cut else handle.flush()
                os.replace(part, file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        if not outlasts_power_cut:
            return
        # readers see the new file already, so a failure here must not be reported as one of the write
        with contextlib.suppress(OSError):
            sync_folder(file.parent)

    def lease(self, run_id: str) -> Lease | None:
        """A lease of a run_id, by a lock on a file of that name; None where a living run has it."""
        staging = self._staging()
        sync_folder(staging)  # fails now if the file system cannot do it, and not after hours of work
        with _one_at_a_time(staging):
            lock = _try_lock(staging / f"{signed(run_id)}{LOCK}", os.O_CREAT)
        return None if lock is None else _DiskLease(Path(self.top), run_id, lock)

    def clear_dead(self) -> list[str]:
        """Remove the entries of staging that gdpipe made and no living run has locked."""
        self._check_own()
        if not Path(self.top, STAGING).is_dir():
            return []
        with _one_at_a_time(self._staging()):
            return _clear_unlocked(self._staging())

    def strays(self, path: str, files: Iterable[str]) -> list[str]:
        """The entries below a folder other than these files; links and empty folders always count."""
        top = Path(self.full(path))
        if top.is_symlink():
            return ["a symbolic link"]
        known = set(files)
        known |= {str(parent) for file in known for parent in Path(file).parents}
        found = [Path(folder, name) for folder, folders, names in os.walk(top) for name in (*folders, *names)]
        return sorted(name for file in found if (name := str(file.relative_to(top))) not in known or file.is_symlink())

    def delete(self, path: str) -> None:
        """Remove a regular file, or a folder with all that is in it; links stay."""
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
        except UnicodeDecodeError:  # raised by Arrow for names that are not UTF-8, none of which gdpipe made
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
        if staged.is_dir() and not final.exists():  # otherwise an earlier attempt has moved it
            for folder, _, names in os.walk(staged):
                for name in names:
                    if name.startswith(UNFINISHED):  # left by a dead worker; a late one may just finish it
                        Path(folder, name).unlink(missing_ok=True)
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
            with contextlib.suppress(FileNotFoundError):  # its writer has just moved it to its path
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
    """Whether gdpipe made an entry of staging: its name is signed, and its kind fits the name."""
    kinds = {LOCK: stat.S_ISREG, PART: stat.S_ISREG, "": stat.S_ISDIR}
    return path.suffix in kinds and signed_name(path.stem) is not None and _is_plain(path, kinds[path.suffix])


def _is_plain(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether a path exists and is of this kind, and is not a link."""
    try:
        return kind(path.lstat().st_mode)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """A block in which no other process takes a run_id, gives one back or clears dead runs."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path, flags: int = 0) -> int | None:
    """A descriptor that holds the lock; None where another living process holds it."""
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
    """Make a folder, and those above it, so that they outlast a power cut."""
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
