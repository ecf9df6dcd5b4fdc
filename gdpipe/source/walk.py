"""A walk through the folders of a source, for the files that may be data and what is passed over."""

import dataclasses
import fnmatch
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import pyarrow.fs as pafs

from gdpipe.errors import DataError
from gdpipe.source.formats import ICEBERG, OUTPUT_NAMES, is_output, is_run, refusal, table_format

SUFFIXES = (".parquet", ".pq", ".parq")
# endings of files that Hadoop leaves beside the data: checksums, and markers for folders in object stores
MARKERS = (".crc", "_$folder$")

ANY = "**"
# the parts of a glob that may still follow, for each way in which the folders so far match it
Ways = frozenset[tuple[str, ...]]
# what a name in a folder stands for; "other" is a pipe, a socket or a device
Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, slots=True)
class Found:
    """A name of a file that may be data.

    Attributes:
        path: The path in the filesystem.
        linked: Whether a link is on the way.
        sure: Whether the name ends as Parquet's, or a glob matches it; else the content decides.
    """

    path: str
    linked: bool
    sure: bool


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to look into.

    Attributes:
        path: The path in the filesystem.
        real: The path without links.
        linked: Whether a link is on the way.
        ways: The parts of a glob that may still follow.
        whole: Whether all files in it count, whatever `ways` says.
        own: Whether gdpipe wrote it.
    """

    path: str
    real: str
    linked: bool
    ways: Ways
    whole: bool
    own: bool = False


class Walk:
    """The files in a folder and in those below it: first without links, then behind links, in order of path.

    Each folder is looked into once, so links may lead in circles.

    Args:
        filesystem: The filesystem of the folder; only disks have links.
        base: The folder.
        pattern: The parts of a glob below it; None takes the folder whole.

    Attributes:
        files: The names under which each file was found, by its real path.
        passed_over: Files and folders that cannot be data, relative to the base; a folder's name ends with '/'.
        followed: The real folders that links lead to, or into.

    Raises:
        DataError: A link leads nowhere, or a folder is a table of Delta Lake, Iceberg or Hudi.
    """

    def __init__(self, filesystem: pafs.FileSystem, base: str, pattern: tuple[str, ...] | None) -> None:
        self.files: dict[str, list[Found]] = {}
        self.passed_over: set[str] = set()
        self.followed: set[str] = set()
        self._filesystem = filesystem
        on_disk = filesystem.type_name == "local"
        keys = {} if on_disk else _keys_below(filesystem, base)
        self._entries: Callable[[str], dict[str, Kind]] = _on_disk if on_disk else lambda folder: keys.get(folder, {})
        real = os.path.realpath(base) if on_disk else base
        ways: Ways = frozenset() if pattern is None else frozenset({pattern})
        self._base = _Folder(base, real, False, ways, pattern is None or _is_matched(ways))
        self._tables: list[tuple[str, str]] = []
        self._folders, self._links, seen = [self._base], list[_Folder](), set()
        while self._folders or self._links:
            if not self._folders:
                self._links.sort(key=lambda link: link.path, reverse=True)
                self._folders.append(self._links.pop())
            folder = self._folders.pop()
            place = folder.real, folder.ways, folder.whole
            if place not in seen:
                seen.add(place)
                self._look_into(folder)
        for table, what in sorted(self._tables):
            if any(name.path.startswith(os.path.join(table, "")) for names in self.files.values() for name in names):
                raise refusal(table, what)

    def _look_into(self, folder: _Folder) -> None:
        entries = self._entries(folder.path)
        inside = self._entries(os.path.join(folder.path, ICEBERG)) if ICEBERG in entries else ()
        if found := table_format(entries, inside):
            if folder.whole:
                raise refusal(folder.path, found)
            self._tables.append((folder.path, found))  # refused below only where the glob matches a file in it
        if folder.own or (folder is not self._base and is_run(entries)):
            # files of gdpipe are found only by a glob that names each folder on the way
            ways = frozenset(parts for parts in folder.ways if parts and parts[0] != ANY)
            if not ways:
                self._pass_over(f"{folder.path}/")
                return
            folder = dataclasses.replace(folder, ways=ways, whole=False)
        own = OUTPUT_NAMES if is_output(self._filesystem, folder.path, entries) else frozenset()
        for name, kind in entries.items():
            ways = _after(folder.ways, name)
            if (folder.whole or ways) and not is_hidden(name, kind):
                self._note(folder, name, kind, ways, name in own)

    def _note(self, folder: _Folder, name: str, kind: Kind, ways: Ways, own: bool) -> None:
        path, real = os.path.join(folder.path, name), os.path.join(folder.real, name)
        is_link, counts = kind == "link", folder.whole or _is_matched(ways)
        linked = folder.linked or is_link
        if is_link:
            real, kind = os.path.realpath(path), kind_behind(path)
            if is_hidden(name, kind):
                return
            self.followed.add(os.path.dirname(real))
        if kind == "folder":
            if self._base.real.startswith(os.path.join(real, "")):
                self._pass_over(f"{path}/")  # a link to a folder above, whose other files are not in the source
                return
            below = _Folder(path, real, linked, ways, counts, own)
            (self._links if is_link else self._folders).append(below)
        elif own:
            return  # latest.json, which needs no notice beside the folder of runs
        elif counts and kind == "file":
            sure = _is_matched(ways) or name.lower().endswith(SUFFIXES)
            self.files.setdefault(real, []).append(Found(path, linked, sure))
        elif counts:
            self._pass_over(path)

    def _pass_over(self, path: str) -> None:
        self.passed_over.add(relative(path, self._base.path))


def _on_disk(folder: str) -> dict[str, Kind]:
    """The kind of each name in a folder on a disk; empty where there is no such folder."""
    try:
        with os.scandir(folder) as found:
            return {entry.name: _kind(entry) for entry in found}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _kind(entry: "os.DirEntry[str]") -> Kind:
    if entry.is_symlink():
        return "link"
    return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"


def _keys_below(filesystem: pafs.FileSystem, base: str) -> dict[str, dict[str, Kind]]:
    """The kind of each name in each folder of an object store; one listing, as a thousand keys take one request."""
    folders: dict[str, dict[str, Kind]] = {}
    for info in filesystem.get_file_info(pafs.FileSelector(base, recursive=True, allow_not_found=True)):
        path = PurePosixPath(info.path)
        kind: Kind = "file" if info.is_file else "folder"
        # some stores do not list folders, which are only parts of their keys
        while str(path) != base and path.name not in folders.setdefault(str(path.parent), {}):
            folders[str(path.parent)][path.name] = kind
            path, kind = path.parent, "folder"
    return folders


def kind_behind(link: str) -> Kind:
    """The kind of a link's target.

    Raises:
        DataError: The link leads nowhere.
    """
    try:
        mode = os.stat(link).st_mode
    except OSError as error:
        leads = os.readlink(link)
        raise DataError(
            f"{link}: a link to {leads}, which cannot be followed ({error.strerror}); correct or remove the link"
        ) from error
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def relative(path: str, base: str) -> str:
    """A path relative to a folder above it."""
    return path[len(base) :].lstrip("/")


def is_hidden(name: str, kind: Kind) -> bool:
    """Whether a name means that it is not data; a folder `_day=1` is a partition all the same."""
    if name.startswith("_") and "=" in name and kind != "file":
        return False
    return name.startswith((".", "_")) or (kind != "folder" and name.endswith(MARKERS))


def _after(ways: Ways, name: str) -> Ways:
    """The parts that may still follow after one more name; ANY stands for any number of names."""
    after = set()
    for way in ways:
        parts = way
        while parts and parts[0] == ANY:
            after.add(parts)
            parts = parts[1:]
        if parts and fnmatch.fnmatchcase(name, parts[0]):
            after.add(parts[1:])
    return frozenset(after)


def _is_matched(ways: Ways) -> bool:
    """Whether no further name is needed to match the glob."""
    return any(all(part == ANY for part in parts) for parts in ways)
