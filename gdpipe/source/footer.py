"""The footer of a Parquet file: its bytes as they lie there, known to be sound before Arrow reads them."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gdpipe.errors import DataError
from gdpipe.source.thrift import check_footer

# what a Parquet file starts and ends with; the second kind has an encrypted footer
MAGIC, ENCRYPTED = b"PAR1", b"PARE"
# after the footer: its length and the magic
TAIL_BYTES = 8
# read at once from the end of a file: nearly every footer is in it, and an object store takes a request a read
END_BYTES = 2**16


def read_footer(path: str, handle: Any) -> bytes:
    """The footer of an open file, as it lies there.

    Args:
        path: As messages name it.
        handle: Arrow's, of the whole file.

    Raises:
        DataError: The file is not Parquet, or encrypted.
        OSError: It cannot be read.
    """
    size = handle.size()
    end: bytes = handle.read_at(min(size, END_BYTES), max(size - END_BYTES, 0))
    if end[-4:] == ENCRYPTED:
        raise DataError(f"{path}: an encrypted Parquet file, which gdpipe cannot read; write it unencrypted")
    whole = int.from_bytes(end[-TAIL_BYTES:-4], "little") + TAIL_BYTES
    if end[-4:] != MAGIC or whole > size:
        raise DataError(f"{path}: not Parquet, or not whole: it does not end with a footer")
    if whole > len(end):
        end = handle.read_at(whole, size - whole)
    return end[-whole:-TAIL_BYTES]


def parsed(footer: bytes) -> pq.FileMetaData:
    """A footer that is known to be sound, as Arrow has it."""
    return pq.read_metadata(pa.BufferReader(footer + len(footer).to_bytes(4, "little") + MAGIC))


def open_parquet(path: str, handle: Any) -> pq.ParquetFile:
    """An open file of our own as Parquet, every page checked against its checksum when it is read.

    Raises:
        DataError: It is not Parquet, or its footer is damaged.
        OSError: It cannot be read.
    """
    footer = read_footer(path, handle)
    check_footer(path, footer)
    return pq.ParquetFile(handle, metadata=parsed(footer), page_checksum_verification=True)
