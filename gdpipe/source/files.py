"""The files of a source: how a path or URI is opened, what folders' names say, and what errors of reading mean."""

import contextlib
import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from gdpipe.errors import DataError, SchemaError
from gdpipe.location import MISTYPED_REASON, is_mistyped, is_uri, shown

DEFAULT_PARTITION = "__HIVE_DEFAULT_PARTITION__"
# what the AWS SDK calls errors that pass, after it has tried again by itself
PASSING = re.compile(
    r"AWS Error (NETWORK_CONNECTION|SLOW_DOWN|THROTTLING|REQUEST_TIMEOUT|INTERNAL_FAILURE|SERVICE_UNAVAILABLE)"
)
# what Arrow says of files that are whole but of a kind that it has not learned, and what that means
UNSUPPORTED = {
    r"(LZO) compression": "a column is compressed with {}, which PyArrow cannot read; write it with zstd or snappy",
    r"compression codec value: (\d+)": (
        "a column is compressed with codec {}, which PyArrow does not know; write it with zstd or snappy"
    ),
    r"(Unknown encoding type|only supports BOOLEAN|only supports BYTE_ARRAY)": (
        "a column is encoded in a way that PyArrow does not know ({}), or damaged; write it again in another"
    ),
    r"(Invalid physical column type.*)": (
        "a column of a type that PyArrow does not know ({}), or damaged; write it again"
    ),
}
# of a name in a message; paths may be long
LONGEST_NAME = 500
# what a URI may hold as it is; '%' too, since a URI may be encoded already
URI_CHARACTERS = "%:/?#@!$&'()*+,;=~"


def open_location(location: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem of a path or URI, and what it calls the place.

    A URI may have spaces and letters of any script as they are.

    Raises:
        ValueError: It is no URI that PyArrow knows; the message holds no credentials.
    """
    if is_mistyped(location):
        raise ValueError(MISTYPED_REASON)
    if not is_uri(location):
        return pafs.LocalFileSystem(), os.path.abspath(location)
    try:
        filesystem, path = pafs.FileSystem.from_uri(urllib.parse.quote(location, safe=URI_CHARACTERS))
    except (pa.ArrowException, ValueError) as error:
        if shown(location) == location:
            raise ValueError(first_line(error)) from None
        # PyArrow repeats the URI
        reason = "not a URI that PyArrow can open; '/' and '@' in a key are written %2F and %40"
        raise ValueError(f"{reason}, or give credentials by AWS_ACCESS_KEY_ID and its like") from None
    return filesystem, path


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
    whole = {k for k in keys if all(re.fullmatch(r"-?[0-9]{1,18}", v) for row in texts if (v := row[k]) is not None)}
    return [{k: int(v) if v is not None and k in whole else v for k, v in row.items()} for row in texts]


def partition_schema(partitions: list[dict[str, Any]]) -> pa.Schema:
    """The partition columns: integers where a value is one, else text."""
    return pa.schema(
        {
            name: pa.int64() if any(isinstance(row[name], int) for row in partitions) else pa.string()
            for name in partitions[0]
        }
    )


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


def is_utf8(name: str) -> bool:
    """Whether a path is text: Python has bytes that are not UTF-8 as halves of surrogate pairs."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


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
        if isinstance(error, (UnicodeEncodeError, UnicodeDecodeError)):
            raise DataError(f"{where}: a name that is not UTF-8, {error.object[:LONGEST_NAME]!r}; rename it") from error
        reason = _unsupported(error) or f"not Parquet, damaged, or changed meanwhile ({first_line(error)})"
        raise DataError(f"{where}: {reason}") from error


def _unsupported(error: BaseException) -> str | None:
    for pattern, meaning in UNSUPPORTED.items():
        if found := re.search(pattern, str(error)):
            return meaning.format(found[1])
    if isinstance(error, pa.ArrowNotImplementedError):
        return f"not supported by PyArrow ({first_line(error)}); write it in another way"
    return None
