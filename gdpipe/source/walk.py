"""A walk through the folders of a source: which files may be data, under which names, and what is passed over."""

import dataclasses
import fnmatch
import os
from dataclasses import dataclass

import pyarrow.fs as pafs

from gdpipe.source.formats import ICEBERG, OUTPUT_NAMES, is_output, is_run, refusal, table_format
from gdpipe.source.tree import Entry, Kind, Tree

SUFFIXES = (".parquet", ".pq", ".parq")
# files that Hadoop leaves beside the data: checksums, and folders of stores that have none
MARKERS = (".crc", "_$folder$")

ANY = "**"
# what of a glob may still follow, one for each way in which the folders so far match it
Ways = frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """A name of a file that may be data.

    Attributes:
        path: Where the filesystem finds it.
        linked: Whether a link is on the way.
        sure: Whether its name says that it is Parquet, or a glob asks for it; else its content decides.
    """

    path: str
    linked: bool
    sure: bool


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to look into.

    Attributes:
        path: Where the filesystem finds it.
        real: The same without links.
        linked: Whether a link is on the way.
        ways: What of a glob may still follow.
        whole: Whether all files in it count, whatever `ways` says.
        own: Whether gdpipe writes it.
    """

    path: str
    real: str
    linked: bool
    ways: Ways
    whole: bool
    own: bool = False


class Walk:
    """What lies in a folder and in those below it: first as it lies there, then behind links, in order of path.

    Each folder is looked into once, so links may lead in circles.

    Args:
        filesystem: Where the folder is.
        tree: What lies in the folders.
        base: The folder.
        pattern: The parts of a glob below it; None takes the folder whole.

    Attributes:
        files: By real path, the names under which each file was found.
        passed_over: What cannot be data, relative to the base; a folder's name ends with '/'.
        followed: The real folders that links lead to, or into.

    Raises:
        DataError: A link leads nowhere, or a folder is a table of Delta Lake, Iceberg or Hudi.
    """

    def __init__(self, filesystem: pafs.FileSystem, tree: Tree, base: str, pattern: tuple[str, ...] | None) -> None:
        self.files: dict[str, list[Found]] = {}
        self.passed_over: set[str] = set()
        self.followed: set[str] = set()
        self._filesystem, self._tree = filesystem, tree
        ways: Ways = frozenset() if pattern is None else frozenset({pattern})
        self._base = _Folder(base, tree.real(base), False, ways, pattern is None or _is_matched(ways))
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
        entries = self._tree.entries(folder.path)
        names = {entry.name for entry in entries}
        inside = self._tree.entries(os.path.join(folder.path, ICEBERG)) if ICEBERG in names else ()
        if found := table_format(names, [entry.name for entry in inside]):
            if folder.whole:
                raise refusal(folder.path, found)
            self._tables.append((folder.path, found))  # a glob may have no use for it
        if folder.own or (folder is not self._base and is_run(names)):
            # only a glob that names each folder on the way asks for what gdpipe wrote
            ways = frozenset(parts for parts in folder.ways if parts and parts[0] != ANY)
            if not ways:
                self._pass_over(f"{folder.path}/")
                return
            folder = dataclasses.replace(folder, ways=ways, whole=False)
        own = OUTPUT_NAMES if is_output(self._filesystem, folder.path, names) else frozenset()
        for entry in entries:
            ways = _after(folder.ways, entry.name)
            if (folder.whole or ways) and not is_hidden(entry.name, entry.kind):
                self._note(folder, entry, ways, entry.name in own)

    def _note(self, folder: _Folder, entry: Entry, ways: Ways, own: bool) -> None:
        path, real, kind = os.path.join(folder.path, entry.name), os.path.join(folder.real, entry.name), entry.kind
        linked, counts = folder.linked or kind == "link", folder.whole or _is_matched(ways)
        if kind == "link":
            real, kind = self._tree.real(path), self._tree.kind(path)
            if is_hidden(entry.name, kind):
                return
            self.followed.add(os.path.dirname(real))
        if kind == "folder":
            if self._base.real.startswith(os.path.join(real, "")):
                self._pass_over(f"{path}/")  # a folder above: its other files are not in the source
                return
            below = _Folder(path, real, linked, ways, counts, own)
            (self._links if entry.kind == "link" else self._folders).append(below)
        elif own:
            return  # the pointer to the latest run, which tells no more than the folder of runs
        elif counts and kind == "file":
            sure = _is_matched(ways) or entry.name.lower().endswith(SUFFIXES)
            self.files.setdefault(real, []).append(Found(path, linked, sure))
        elif counts:
            self._pass_over(path)

    def _pass_over(self, path: str) -> None:
        self.passed_over.add(relative(path, self._base.path))


def relative(path: str, base: str) -> str:
    """A path below a folder, as seen from there."""
    return path[len(base) :].lstrip("/")


def is_hidden(name: str, kind: Kind) -> bool:
    """Whether a name says that it is nobody's data; a folder `_day=1` is a partition all the same."""
    if name.startswith("_") and "=" in name and kind != "file":
        return False
    return name.startswith((".", "_")) or (kind != "folder" and name.endswith(MARKERS))


def _after(ways: Ways, name: str) -> Ways:
    """What may follow once a name has followed; ANY stands for any number of names."""
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
    """Whether nothing need follow."""
    return any(all(part == ANY for part in parts) for parts in ways)
