"""The files of a source: a file, a folder, a glob or a URI. Each file counts once, even where links lead to it."""

import difflib
import glob
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow.fs as pafs

from gdpipe.errors import DataError
from gdpipe.location import shown
from gdpipe.printable import abridged
from gdpipe.source.files import open_location, reading
from gdpipe.source.footer import ENCRYPTED_MAGIC, MAGIC
from gdpipe.source.formats import ASKED_AT_ONCE, refuse_tables_above
from gdpipe.source.other_files import not_parquet
from gdpipe.source.source_file import listed
from gdpipe.source.walk import SUFFIXES, Walk, kind_behind, relative

LEAST_BYTES = 12


@dataclass(frozen=True, slots=True)
class Listing:
    """The files that a location stands for.

    Attributes:
        filesystem: The filesystem of the files.
        base: The folder that names are relative to.
        files: The files to read, in order of path, with size and time.
        passed_over: Other files and folders among them, which are not read, except hidden ones: names relative to the
            base, sorted; a folder's name ends with '/'.
    """

    filesystem: pafs.FileSystem
    base: str
    files: tuple[pafs.FileInfo, ...]
    passed_over: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> list[dict[str, Any]]:
        """The parts of the files' fingerprints that are known before a file is opened."""
        return [listed(info.path, info.size, info.mtime_ns or 0) for info in self.files]


def find_files(location: str) -> Listing:
    """The files of a source; in folders, those that are Parquet by name or by content.

    Raises:
        DataError: There is no such place, a link leads nowhere, or files belong to a table of Delta Lake, Iceberg or
            Hudi.
    """
    where = shown(location)
    with reading(where):
        try:
            filesystem, path = open_location(location)
        except ValueError as error:
            raise DataError(f"{where}: {error}") from None
        path = path.rstrip("/") or path
        info, base, pattern = filesystem.get_file_info(path), path, None
        if info.type == pafs.FileType.NotFound:
            if filesystem.type_name == "local" and os.path.islink(path):
                kind_behind(path)  # its error says where the link leads
            parts = PurePosixPath(path).parts
            before = list(itertools.takewhile(lambda part: not glob.has_magic(part), parts))
            if len(before) == len(parts):
                raise DataError(f"{where}: no such file or folder{_near(filesystem, PurePosixPath(path))}")
            base, pattern = str(PurePosixPath(*before)), parts[len(before) :]
        elif info.type != pafs.FileType.Directory:
            refuse_tables_above(filesystem, _parents(path))
            if (other := not_parquet(path, where)) and not _is_parquet(filesystem, path):
                raise DataError(other)
            return Listing(filesystem, str(PurePosixPath(path).parent), (info,))
        walk = Walk(filesystem, base, pattern)
        refuse_tables_above(filesystem, {*_parents(base), *walk.followed})
        return _listing(filesystem, base, walk)


def _parents(path: str) -> set[str]:
    """The folder of a path, and that of its target where it is a link."""
    return {os.path.dirname(path), os.path.dirname(os.path.realpath(path) if path.startswith("/") else path)}


def _listing(filesystem: pafs.FileSystem, base: str, walk: Walk) -> Listing:
    # a file that has several names is read by one without a link on the way, if there is one
    is_parquet = {
        min(names, key=lambda n: (n.linked, n.path)).path: any(n.sure for n in names) for names in walk.files.values()
    }
    unsure = [path for path, sure in is_parquet.items() if not sure]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        is_parquet.update(zip(unsure, pool.map(lambda path: _is_parquet(filesystem, path), unsure), strict=True))
    paths = sorted(path for path, found in is_parquet.items() if found)
    others = {relative(path, base) for path, found in is_parquet.items() if not found}
    return Listing(filesystem, base, tuple(filesystem.get_file_info(paths)), tuple(sorted(others | walk.passed_over)))


def _is_parquet(filesystem: pafs.FileSystem, path: str) -> bool:
    """Whether a file starts and ends as Parquet does; one that was cut off does not."""
    try:
        with reading(path), filesystem.open_input_file(path) as handle:
            size = handle.size()
            if size < LEAST_BYTES or (start := handle.read_at(4, 0)) not in {MAGIC, ENCRYPTED_MAGIC}:
                return False
            return bool(handle.read_at(4, size - 4) == start)
    except DataError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return False  # another program has removed it meanwhile
        raise


def notices_of(passed_over: Sequence[str]) -> tuple[str, ...]:
    """Notices about files and folders that were not read, one line each."""
    files = [name for name in passed_over if not name.endswith("/")]
    folders = [name for name in passed_over if name.endswith("/")]
    reasons = {"not Parquet or not whole": files, "runs of gdpipe or a link to a folder above": folders}
    return tuple(f"passed over, {why}: {abridged(names)}" for why, names in reasons.items() if names)


def nothing_found(where: str, listing: Listing) -> DataError:
    """The error for a source without a Parquet file."""
    looked_for = f"{', '.join('*' + suffix for suffix in SUFFIXES)}, and files that start and end with PAR1"
    also = "".join(f"; {notice}" for notice in notices_of(listing.passed_over))
    others = (not_parquet(name, f"{where.rstrip('/')}/{name}") for name in listing.passed_over)
    first = next((f"; {other}" for other in others if other), "")
    return DataError(f"{where}: no Parquet file found (looked for {looked_for}){also}{first}")


def _near(filesystem: pafs.FileSystem, path: PurePosixPath) -> str:
    if not isinstance(filesystem, pafs.LocalFileSystem):
        return ""  # a bucket may hold millions of names
    beside = filesystem.get_file_info(pafs.FileSelector(str(path.parent), allow_not_found=True))
    near = difflib.get_close_matches(path.name, [info.base_name for info in beside], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
