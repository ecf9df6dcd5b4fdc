"""Parquet files whose footers are known to be sound before Arrow reads them."""

import hashlib
from typing import Any

import pyarrow.fs as pafs
import pyarrow.parquet as pq

from gdpipe.errors import DataError
from gdpipe.source.source_file import SourceFile
from gdpipe.source.thrift import check_footer

MAGIC = b"PAR1"
# after the footer: its length and the magic
TAIL_BYTES = 8


def read_footer(path: str, handle: Any) -> bytes:
    """The footer of an open file, as it lies there.

    Args:
        path: As messages name it.
        handle: Arrow's, of the whole file.

    Raises:
        DataError: The file is not Parquet.
        OSError: It cannot be read.
    """
    size = handle.size()
    tail = handle.read_at(TAIL_BYTES, size - TAIL_BYTES) if size >= TAIL_BYTES else b""
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length > size - TAIL_BYTES:
        raise DataError(f"{path}: not Parquet, or not whole: it does not end with a footer")
    footer: bytes = handle.read_at(length, size - TAIL_BYTES - length)
    return footer


def open_as_listed(filesystem: pafs.FileSystem, file: SourceFile) -> Any:
    """A file of a source, opened, with the footer that it had when it was listed.

    Another footer may give a column another type, or end the process.

    Raises:
        DataError: It has another one.
        OSError: It cannot be read.
    """
    handle = filesystem.open_input_file(file.path)
    if hashlib.sha256(read_footer(file.path, handle)).hexdigest() != file.footer_sha256:
        raise DataError(f"{file.path}: was changed while it was read; run again when nobody writes to it")
    return handle


def open_parquet(path: str, handle: Any) -> pq.ParquetFile:
    """An open file of our own as Parquet, every page checked against its checksum when it is read.

    Raises:
        DataError: It is not Parquet, or its footer is damaged.
        OSError: It cannot be read.
    """
    check_footer(path, read_footer(path, handle))
    return pq.ParquetFile(handle, page_checksum_verification=True)
