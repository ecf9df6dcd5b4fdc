"""Which files a source means: a file, a folder, a glob or a URI; and what their folders' names say."""

import contextlib
import difflib
import fnmatch
import glob
import os
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from gdpipe.errors import DataError, SchemaError
from gdpipe.location import is_uri, shown

SUFFIXES = (".parquet", ".pq", ".parq")
DEFAULT_PARTITION = "__HIVE_DEFAULT_PARTITION__"
# what the AWS SDK calls errors that pass, after it has tried again by itself
PASSING = re.compile(
    r"AWS Error (NETWORK_CONNECTION|SLOW_DOWN|THROTTLING|REQUEST_TIMEOUT|INTERNAL_FAILURE|SERVICE_UNAVAILABLE)"
)
# what a URI may hold as it is; '%' too, since a URI may be encoded already
URI_CHARACTERS = "%:/?#@!$&'()*+,;=~"


def open_location(location: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem of a path or URI, and what it calls the place.

    A URI may have spaces and letters of any script as they are.

    Raises:
        ValueError: It is no URI that PyArrow knows; the message holds no credentials.
    """
    if not is_uri(location):
        return pafs.LocalFileSystem(), os.path.abspath(location)
    try:
        filesystem, path = pafs.FileSystem.from_uri(urllib.parse.quote(location, safe=URI_CHARACTERS))
    except (pa.ArrowException, ValueError) as error:
        if "@" not in location and "?" not in location:
            raise ValueError(first_line(error)) from None
        # PyArrow repeats the URI
        reason = "not a URI that PyArrow can open; '/' and '@' in a key are written %2F and %40"
        raise ValueError(f"{reason}, or give credentials by AWS_ACCESS_KEY_ID and its like") from None
    return filesystem, path


def find_files(location: str) -> tuple[pafs.FileSystem, str, list[str]]:
    """The filesystem, the folder that names are relative to, and the paths in order.

    To be called while `reading`, which puts a name to what filesystems raise.

    Raises:
        DataError: There is no such place.
    """
    try:
        filesystem, path = open_location(location)
    except ValueError as error:
        raise DataError(f"{shown(location)}: {error}") from None
    info = filesystem.get_file_info(path)
    if info.type == pafs.FileType.NotFound and glob.has_magic(path):
        fixed = str(PurePosixPath(*_before_magic(PurePosixPath(path).parts)))
        return filesystem, fixed, _matches(filesystem, path, fixed)
    if info.type == pafs.FileType.NotFound:
        raise DataError(f"{shown(location)}: no such file or folder{_near(filesystem, PurePosixPath(path))}")
    base = path if info.type == pafs.FileType.Directory else str(PurePosixPath(path).parent)
    return filesystem, base, _below(filesystem, path)


def _near(filesystem: pafs.FileSystem, path: PurePosixPath) -> str:
    if not isinstance(filesystem, pafs.LocalFileSystem):
        return ""  # a bucket may hold millions of names
    beside = filesystem.get_file_info(pafs.FileSelector(str(path.parent), allow_not_found=True))
    near = difflib.get_close_matches(path.name, [info.base_name for info in beside], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _matches(filesystem: pafs.FileSystem, pattern: str, fixed: str) -> list[str]:
    """The files that match a pattern, and the Parquet files in folders that do."""
    if isinstance(filesystem, pafs.LocalFileSystem):
        matches = glob.glob(pattern, recursive=True)
        return sorted({p for match in matches if not _is_hidden(match, fixed) for p in _below(filesystem, match)})
    wanted = PurePosixPath(pattern).relative_to(fixed).parts
    found = filesystem.get_file_info(pafs.FileSelector(fixed, recursive=True, allow_not_found=True))
    names = [PurePosixPath(info.path).relative_to(fixed) for info in found if info.is_file]
    return sorted(
        f"{fixed}/{name}"
        for name in names
        if not _is_hidden(str(name), "")
        and (
            _fits(name.parts, wanted)
            or (name.name.endswith(SUFFIXES) and any(_fits(folder.parts, wanted) for folder in name.parents))
        )
    )


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether names match patterns, one by one; '**' matches any number of them."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_fits(parts[skipped:], wanted[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])


def _before_magic(parts: Sequence[str]) -> Iterable[str]:
    for part in parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _below(filesystem: pafs.FileSystem, path: str) -> list[str]:
    """A file itself, or the Parquet files in a folder; what starts with '.' or '_' is nobody's data."""
    if filesystem.get_file_info(path).type == pafs.FileType.File:
        return [path]
    found = filesystem.get_file_info(pafs.FileSelector(path, recursive=True))
    return sorted(
        info.path
        for info in found
        if info.type == pafs.FileType.File and info.path.endswith(SUFFIXES) and not _is_hidden(info.path, path)
    )


def _is_hidden(path: str, folder: str) -> bool:
    return any(part.startswith((".", "_")) for part in PurePosixPath(path).relative_to(folder).parts)


def partitions_of(names: list[PurePosixPath]) -> list[dict[str, Any]]:
    """The hive partition values in each name: integers where all values of a column are, else text.

    Raises:
        SchemaError: A file has not all of them.
    """
    texts = [
        {
            urllib.parse.unquote(key): None if value == DEFAULT_PARTITION else urllib.parse.unquote(value)
            for key, _, value in (part.partition("=") for part in name.parts[:-1] if "=" in part)
        }
        for name in names
    ]
    keys = {key for row in texts for key in row}
    for name, row in zip(names, texts, strict=True):
        if set(row) != keys:
            raise SchemaError(f"{name}: has no partition {sorted(keys - set(row))[0]!r}, which other files have")
    whole = {k: all(_is_int(row[k]) for row in texts if row[k] is not None) for k in keys}
    return [{k: int(v) if v is not None and whole[k] else v for k, v in row.items()} for row in texts]


def _is_int(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"-?[0-9]{1,18}", text) is not None


def is_connection_lost(error: BaseException) -> bool:
    """Whether an object store did not answer, or asked for patience."""
    return PASSING.search(str(error)) is not None


def is_transient(error: OSError) -> bool:
    """Whether reading again may succeed: not where the file is missing, forbidden, or not what it should be."""
    lasting = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
    return is_connection_lost(error) or (error.errno is not None and not isinstance(error, lasting))


def first_line(error: BaseException) -> str:
    """What an error says first; libraries add pages."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextlib.contextmanager
def reading(path: str, row_group: int | None = None) -> Iterator[None]:
    """Say which file, and which part of it, could not be read.

    Raises:
        DataError: In place of whatever the Parquet reader raises.
    """
    where = path if row_group is None else f"{path}: row group {row_group}"
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and (error.errno is not None or "AWS Error" in str(error)):
            raise DataError(f"{where}: cannot be read ({first_line(error)})", transient=is_transient(error)) from error
        raise DataError(f"{where}: not Parquet, damaged, or changed meanwhile ({first_line(error)})") from error
