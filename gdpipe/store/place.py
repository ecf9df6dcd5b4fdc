"""A place that files are kept in: what a folder on a disk and a prefix in an object store have in common."""

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
    """A file that is being written; counts and digests what passes through.

    Args:
        handle: What takes the bytes.
        settle: Forces them to where they outlast a power cut, before the handle is closed.
        discard: Removes what an abandoned file leaves.
    """

    def __init__(self, handle: Any, settle: Callable[[Any], None], discard: Callable[[], None]) -> None:
        self._handle = handle
        self._settle = settle
        self._discard = discard
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of all that was written, in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def closed(self) -> bool:
        """Arrow asks."""
        return bool(self._handle.closed)

    def write(self, content: Any) -> int:
        """Append bytes."""
        self._digest.update(content)
        self._handle.write(content)
        written = memoryview(content).nbytes
        self.size += written
        return written

    def flush(self) -> None:
        """Arrow asks; what matters is `close`."""

    def close(self) -> None:
        """The content is safe once this has returned."""
        try:
            self._settle(self._handle)
            self._discard = lambda: None
        finally:
            self._handle.close()

    def abandon(self) -> None:
        """Let go of the handle, if it is still there; the file is of no use."""
        for let_go in (self._handle.close, self._discard):
            with contextlib.suppress(OSError):
                let_go()


class Lease(ABC):
    """A run_id that nobody else can take meanwhile, and a folder in staging that nobody else clears.

    Attributes:
        folder: Where the run is written, relative to the place.
    """

    folder: str

    @abstractmethod
    def settle(self, path: str) -> None:
        """Make the folder appear at `path`, whole or not at all; repeating it does no harm.

        Raises:
            OSError: It cannot be done.
            PublishError: The name was taken by another run.
        """

    @abstractmethod
    def retire(self, path: str) -> None:
        """Make a run at `path` disappear, so that nobody finds half of it.

        Raises:
            OSError: It cannot be done.
        """

    @abstractmethod
    def release(self) -> None:
        """Remove what is left in staging, and give the name back; never fails."""


@dataclass(frozen=True, slots=True)
class Place(ABC):
    """Where an output's files are kept. Paths are relative, with forward slashes, and cannot lead out of it.

    Made by `store.place_at`, picklable: a worker in another process writes to it by itself. Beside whole runs, any
    file can be kept here::

        place.write("moments/1a2b.json", content)      # whole or not at all, whoever is killed; replaces
        place.read("moments/1a2b.json")                # bytes
        place.files("moments")                         # all files below, sorted: {path: bytes}; none if not there
        place.delete("moments/1a2b.json")              # a file or a folder; nothing happens if it is not there

    All of them raise OSError (FileNotFoundError from `read` and `open`) as the filesystem does: `writer.output_errors`
    makes it a PublishError. `str(place)` is what may be printed and kept: a path or a URI, without credentials.

    Attributes:
        filesystem: PyArrow's.
        top: The output, as the filesystem names it.
        location: The output, as it may be shown.
        inside: This place's path below the output; empty for the output itself.
    """

    filesystem: pafs.FileSystem
    top: str
    location: str
    inside: str = ""

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def create(self, path: str) -> Sink:
        """Start a file of a run that nobody reads yet."""

    @abstractmethod
    def is_shared(self) -> bool:
        """Whether a process that was handed this place, perhaps on another machine, sees the output there."""

    @abstractmethod
    def write(self, path: str, content: bytes, *, outlasts_power_cut: bool = True) -> None:
        """Write or replace a file that others may be reading: they see the old or the new one, whole.

        Args:
            path: Of the file.
            content: All of it.
            outlasts_power_cut: Whether the disk must have it on return, which takes milliseconds. If not, a power cut
                may leave the file torn or empty; a killed process may not.
        """

    @abstractmethod
    def lease(self, run_id: str) -> Lease | None:
        """Take a run_id; None where a living run has it."""

    @abstractmethod
    def clear_dead(self) -> list[str]:
        """Remove what runs that are no longer alive have left, and nothing else; each removal is a log line.

        Returns:
            The names in staging that gdpipe did not make, sorted; they stay.

        Raises:
            OSError: It cannot be done, or a folder of the output's own is a link, which may lead to another's files.
        """

    def below(self, path: str) -> Self:
        """A place inside this one."""
        return replace(self, inside=self._inside(path))

    def open(self, path: str) -> Any:
        """A file to read from, anywhere in it."""
        return self.filesystem.open_input_file(self.full(path))

    def read(self, path: str) -> bytes:
        """A file's content."""
        with self.open(path) as handle:
            content: bytes = handle.read()
        return content

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return bool(self.filesystem.get_file_info(self.full(path)).type != pafs.FileType.NotFound)

    def files(self, path: str = "") -> dict[str, int]:
        """The paths of all files below a folder, sorted, and their bytes."""
        return {
            info.path[len(self.full("")) + 1 :]: info.size
            for info in sorted(self._list(path), key=lambda info: info.path)
            if info.is_file
        }

    def folders(self, path: str = "") -> list[str]:
        """The names of the folders in a folder, sorted."""
        return sorted(i.base_name for i in self._list(path, recursive=False) if i.type == pafs.FileType.Directory)

    def names(self, path: str = "") -> list[str]:
        """The names of all that is in a folder, sorted."""
        return sorted(info.base_name for info in self._list(path, recursive=False))

    def strays(self, path: str, files: Iterable[str]) -> list[str]:
        """What is below a folder beside these files, relative to it, sorted; empty folders of a store do not count."""
        start = len(self.full(path)) + 1
        found = {info.path[start:] for info in self._list(path) if info.type != pafs.FileType.Directory}
        return sorted(found - set(files))

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it."""
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
        """As the filesystem names it."""
        inside = self._inside(path)
        return f"{self.top}/{inside}" if inside else self.top
