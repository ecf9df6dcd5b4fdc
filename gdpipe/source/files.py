"""Files of a source: opening a path or URI, partition values in folders' names, and errors of reading."""

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
# the AWS SDK's names of transient errors, raised after its own retries
TRANSIENT = re.compile(
    r"AWS Error (NETWORK_CONNECTION|SLOW_DOWN|THROTTLING|REQUEST_TIMEOUT|INTERNAL_FAILURE|SERVICE_UNAVAILABLE)"
)
# Arrow's messages about files that are whole but that it cannot read, and the messages in their place
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
# characters of a name in a message; paths may be long
LONGEST_NAME = 500
# characters of a URI that are not encoded; '%' is one, since the URI may be encoded already
URI_CHARACTERS = "%:/?#@!$&'()*+,;=~"


def open_location(location: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem of a path or URI, and the path in that filesystem.

    Spaces and letters of any script in a URI need not be encoded.

    Raises:
        ValueError: PyArrow cannot open the URI; the message has no credentials.
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
        # PyArrow's message repeats the URI
        reason = "not a URI that PyArrow can open; '/' and '@' in a key are written %2F and %40"
        raise ValueError(f"{reason}, or give credentials by AWS_ACCESS_KEY_ID and its like") from None
    return filesystem, path


def partitions_of(names: list[PurePosixPath]) -> list[dict[str, Any]]:
    """The hive partition values in each name: integers where all values of a column are integers, else text.

    Raises:
        SchemaError: A file lacks a partition column that others have.
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
    """The schema of the partition columns: int64 where a value is an integer, else string."""
    return pa.schema(
        {
            name: pa.int64() if any(isinstance(row[name], int) for row in partitions) else pa.string()
            for name in partitions[0]
        }
    )


def is_connection_lost(error: BaseException) -> bool:
    """Whether an object store did not answer, or asked for fewer requests."""
    return TRANSIENT.search(str(error)) is not None


def is_transient(error: OSError) -> bool:
    """Whether a second attempt may succeed: not where the file is missing or forbidden, or a folder."""
    lasting = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
    return is_connection_lost(error) or (error.errno is not None and not isinstance(error, lasting))


def first_line(error: BaseException) -> str:
    """The first line of an error's message; some libraries add pages."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def is_utf8(name: str) -> bool:
    """Whether a path is UTF-8; Python has other bytes as lone surrogates, which cannot be encoded."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def reading(path: str, row_group: int | None = None) -> Iterator[None]:
    """A block whose errors name the file, or its row group, that cannot be read.

    Raises:
        DataError: The Parquet reader raised an error.
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
