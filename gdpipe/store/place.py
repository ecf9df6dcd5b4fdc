"""The interface of a place for files: a folder on a disk, or a prefix in an object store."""

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Self

import pyarrow.fs as pafs

from gdpipe.errors import PublishError


class Sink:
    """A file that is being written; its bytes are hashed.

    `settle` makes the content outlast a power cut, before the handle is closed; `discard` removes what an abandoned
    file leaves.
    """

    def __init__(self, handle: Any, settle: Callable[[Any], None], discard: Callable[[], None]) -> None:
        self._handle = handle
        self._settle = settle
        self._discard = discard
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The sha256 of all bytes written, in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def closed(self) -> bool:
        """Whether the file is closed; Arrow asks for it."""
        return bool(self._handle.closed)

    def write(self, content: Any) -> int:
        """Append bytes, and return their number."""
        self._digest.update(content)
        self._handle.write(content)
        return memoryview(content).nbytes

    def flush(self) -> None:
        """Do nothing; Arrow calls it, and `close` does the work."""

    def close(self) -> None:
        """Make the content safe, and close the file."""
        try:
            self._settle(self._handle)
            self._discard = lambda: None
        finally:
            self._handle.close()

    def abandon(self) -> None:
        """Close the handle, if it is open, and remove what was not settled; never fails."""
        for step in (self._handle.close, self._discard):
            with contextlib.suppress(OSError):
                step()


class Lease(ABC):
    """The exclusive use of a run_id, and a folder in staging that no other run clears."""

    folder: str  # in which the run is written, relative to the place

    @abstractmethod
    def settle(self, path: str) -> None:
        """Move the folder to `path`, where it appears whole or not at all; repeating it does no harm.

        Raises:
            OSError: The folder cannot be moved.
            PublishError: The name was taken by another run.
        """

    @abstractmethod
    def retire(self, path: str) -> None:
        """Remove the run at `path` at once, so that no reader finds half of it.

        Raises:
            OSError: The run cannot be removed.
        """

    @abstractmethod
    def release(self) -> None:
        """Remove what is left in staging, and give the run_id back; never fails."""


@dataclass(frozen=True, slots=True)
class Place(ABC):
    """The place of an output's files. Paths are relative, with forward slashes, and cannot lead out of it.

    `runs.place_at` makes it. It can be pickled, so that workers in other processes write to it. Methods raise OSError
    (FileNotFoundError from `read` and `open`) as the filesystem does: `writer.output_errors` turns it into a
    PublishError. `str(place)` is a path or a URI without credentials: it may be printed and stored.
    """

    filesystem: pafs.FileSystem
    top: str  # the output's path in the filesystem
    location: str  # the output's path or URI, as it may be shown
    inside: str = ""  # this place's path below the output; empty for the output itself

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def create(self, path: str) -> Sink:
        """A new file of a run that nobody reads yet."""

    @abstractmethod
    def is_shared(self) -> bool:
        """Whether this process, perhaps on another machine than the run's, sees the output."""

    @abstractmethod
    def write(self, path: str, content: bytes, *, outlasts_power_cut: bool = True) -> None:
        """Write or replace a file that others may be reading: they see the old or the new one, whole.

        The content is on the disk on return, which takes milliseconds. If it need not outlast a power cut, it may not
        be there yet, and a cut may leave the file torn or empty; a killed process never does.
        """

    @abstractmethod
    def lease(self, run_id: str) -> Lease | None:
        """A lease of a run_id; None where a living run has it."""

    @abstractmethod
    def clear_dead(self) -> list[str]:
        """Remove what dead runs have left, and nothing else; each removal is a log line.

        Returns:
            The names in staging that gdpipe did not make, sorted; they stay.

        Raises:
            OSError: Something cannot be removed, or a folder of gdpipe's in the output is a link, which may lead to
                files of others.
        """

    def below(self, path: str) -> Self:
        """A place inside this one."""
        return replace(self, inside=self._inside(path))

    def open(self, path: str) -> Any:
        """An open file with random access."""
        return self.filesystem.open_input_file(self.full(path))

    def read(self, path: str) -> bytes:
        """A file's content."""
        with self.open(path) as handle:
            return bytes(handle.read())

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return bool(self.filesystem.get_file_info(self.full(path)).type != pafs.FileType.NotFound)

    def files(self, path: str = "") -> dict[str, int]:
        """The paths of all files below a folder, sorted, and their bytes; empty where there is no such folder."""
        return {
            info.path[len(self.full("")) + 1 :]: info.size
            for info in sorted(self._list(path), key=lambda info: info.path)
            if info.is_file
        }

    def folders(self, path: str = "") -> list[str]:
        """The names of the folders in a folder, sorted."""
        return sorted(i.base_name for i in self._list(path, recursive=False) if i.type == pafs.FileType.Directory)

    def names(self, path: str = "") -> list[str]:
        """The names of all entries of a folder, sorted."""
        return sorted(info.base_name for info in self._list(path, recursive=False))

    def strays(self, path: str, files: Iterable[str]) -> list[str]:
        """The entries below a folder other than these files, relative to it, sorted; empty folders do not count."""
        start = len(self.full(path)) + 1
        found = {info.path[start:] for info in self._list(path) if info.type != pafs.FileType.Directory}
        return sorted(found - set(files))

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; nothing happens where it is not there."""
        kind = self.filesystem.get_file_info(self.full(path)).type
        if kind == pafs.FileType.Directory:
            self.filesystem.delete_dir(self.full(path))
        elif kind == pafs.FileType.File:
            self.filesystem.delete_file(self.full(path))

    def _list(self, path: str, *, recursive: bool = True) -> list[pafs.FileInfo]:
        selector = pafs.FileSelector(self.full(path), recursive=recursive, allow_not_found=True)
        return list(self.filesystem.get_file_info(selector))

    def _inside(self, path: str) -> str:
        if path.startswith("/") or ".." in PurePosixPath(path).parts or "\0" in path:
            raise PublishError(f"{self}: {path!r} leads out of it")
        return "/".join(part for part in (self.inside, path) if part)

    def full(self, path: str) -> str:
        """The path of a file or folder in the filesystem."""
        inside = self._inside(path)
        return f"{self.top}/{inside}" if inside else self.top
