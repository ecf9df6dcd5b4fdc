"""The footer of a Parquet file: its bytes, and a check that Arrow can read columns by it.

Arrow ends the whole process, without an exception, where a footer can be parsed but describes a column chunk otherwise
than the schema in it (one flipped bit suffices). The check here finds such a footer before Arrow reads.

The footer is a struct of Apache Thrift's compact protocol; the numbers of its fields are those of parquet.thrift.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gdpipe.errors import DataError

# the first and last bytes of a Parquet file, and of one with an encrypted footer
MAGIC, ENCRYPTED_MAGIC = b"PAR1", b"PARE"
# the bytes after the footer: its length and the magic
TAIL_BYTES = 8
# the bytes at the end of a file that are read first: nearly every footer fits, and on object stores a read is a request
END_BYTES = 2**16

_TRUE, _FALSE, _BYTE, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12
# fields as number << 4 | type: Thrift ignores a known number with another type
_SCHEMA, _GROUPS, _CHUNKS, _COLUMN = 2 << 4 | _LIST, 4 << 4 | _LIST, 1 << 4 | _LIST, 3 << 4 | _STRUCT
_TYPE, _REPETITION, _CHILDREN = 1 << 4 | _I32, 3 << 4 | _I32, 5 << 4 | _I32
_CRYPTO, _ENCRYPTED = 8 << 4 | _STRUCT, 9 << 4 | _BINARY
_SIZES, _TEXT_SIZE = 16 << 4 | _STRUCT, 1 << 4 | _I64
_REPETITION_SIZES, _DEFINITION_SIZES = 2 << 4 | _LIST, 3 << 4 | _LIST
_BYTE_ARRAY = 6
_OPTIONAL, _REPEATED = 1, 2


def read_footer(path: str, handle: Any) -> bytes:
    """The bytes of the footer of a file that Arrow has opened.

    Raises:
        DataError: The file is not Parquet, or encrypted.
        OSError: The file cannot be read.
    """
    size = handle.size()
    end: bytes = handle.read_at(min(size, END_BYTES), max(size - END_BYTES, 0))
    if end[-4:] == ENCRYPTED_MAGIC:
        raise DataError(f"{path}: an encrypted Parquet file, which gdpipe cannot read; write it unencrypted")
    whole = int.from_bytes(end[-TAIL_BYTES:-4], "little") + TAIL_BYTES
    if end[-4:] != MAGIC or whole > size:
        raise DataError(f"{path}: not Parquet, or not whole: it does not end with a footer")
    if whole > len(end):
        end = handle.read_at(whole, size - whole)
    return end[-whole:-TAIL_BYTES]


def parsed(footer: bytes) -> pq.FileMetaData:
    """The metadata in a footer."""
    return pq.read_metadata(pa.BufferReader(footer + len(footer).to_bytes(4, "little") + MAGIC))


def open_parquet(path: str, handle: Any) -> pq.ParquetFile:
    """A reader of an open file that gdpipe wrote; each page is checked against its checksum.

    Raises:
        DataError: The file is not Parquet, or its footer is damaged.
        OSError: The file cannot be read.
    """
    footer = read_footer(path, handle)
    check_footer(path, footer)
    return pq.ParquetFile(handle, metadata=parsed(footer), page_checksum_verification=True)


def check_footer(path: str, footer: bytes) -> None:
    """Check that every column chunk has the type and the depth that the schema gives its column.

    Raises:
        DataError: A column chunk is otherwise, or encrypted, or the footer is not a Thrift struct.
    """
    try:
        fields, _ = _struct(footer, 0)
        root, *elements = fields[_SCHEMA]
        leaves = list(_leaves(iter(elements), root.get(_CHILDREN, 0)))
        for g, group in enumerate(fields.get(_GROUPS, ())):
            for leaf, chunk in zip(leaves, group[_CHUNKS], strict=True):
                if _CRYPTO in chunk or _ENCRYPTED in chunk:
                    raise DataError(
                        f"{path}: row group {g}: an encrypted column, which gdpipe cannot read; write it unencrypted"
                    )
                if fault := _fault(leaf, chunk[_COLUMN]):
                    raise DataError(f"{path}: row group {g}: {fault}; the footer is damaged")
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError) as error:
        raise DataError(f"{path}: a damaged Parquet footer ({type(error).__name__})") from error


def _leaves(
    elements: Iterator[dict[int, Any]], children: int, repetition: int = 0, definition: int = 0
) -> Iterator[tuple[int, int, int]]:
    """Physical type, repetition and definition level of each leaf; a schema lists its elements depth first."""
    for _ in range(children):
        element = next(elements)
        kind = element.get(_REPETITION, 0)
        levels = repetition + (kind == _REPEATED), definition + (kind in {_OPTIONAL, _REPEATED})
        if element.get(_CHILDREN):
            yield from _leaves(elements, element[_CHILDREN], *levels)
        else:
            yield element[_TYPE], *levels


def _fault(leaf: tuple[int, int, int], column: dict[int, Any]) -> str | None:
    kind, repetition, definition = leaf
    if column.get(_TYPE) != kind:
        return "a column of another type than the schema says"
    sizes = column.get(_SIZES, {})
    repetitions, definitions = len(sizes.get(_REPETITION_SIZES, ())), len(sizes.get(_DEFINITION_SIZES, ()))
    if repetitions not in {0, repetition + 1} or definitions not in {0, definition + 1}:
        return "a column of another depth than the schema says"
    if _TEXT_SIZE in sizes and kind != _BYTE_ARRAY:
        return "sizes of texts in a column without any"
    return None


def _struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by number and type, and the position after it; written for speed."""
    fields: dict[int, Any] = {}
    number = 0
    while True:
        head = data[at]
        at += 1
        if not head:
            return fields, at
        kind = head & 15
        if head > 15:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        if kind == _BINARY:
            size = data[at]
            at += 1
            if size > 127:
                size, at = _varint(data, at - 1)
            fields[number << 4 | kind] = data[at : at + size]
            at += size
        elif kind <= _FALSE:
            fields[number << 4 | kind] = kind == _TRUE
        else:
            fields[number << 4 | kind], at = _value(data, at, kind)


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == _STRUCT:
        return _struct(data, at)
    if kind in {_LIST, _SET}:
        size, kind = data[at] >> 4, data[at] & 15
        size, at = (size, at + 1) if size < 15 else _varint(data, at + 1)
        values = []
        for _ in range(size):
            value, at = _value(data, at, kind)
            values.append(value)
        return values, at
    if kind == _BINARY:
        size, at = _varint(data, at)
        return data[at : at + size], at + size
    if kind == _MAP:
        size, at = _varint(data, at)
        kinds = data[at] if size else 0
        at += bool(size)
        for _ in range(size):
            _, at = _value(data, at, kinds >> 4)
            _, at = _value(data, at, kinds & 15)
        return None, at  # no field that the check needs is a map
    if kind > _STRUCT:
        raise ValueError(kind)
    if kind in {_TRUE, _FALSE, _BYTE, _DOUBLE}:
        size = 8 if kind == _DOUBLE else 1
        return data[at : at + size], at + size
    return _integer(data, at)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    result, shift = byte & 127, 7
    while byte > 127:
        at += 1
        byte = data[at]
        result |= (byte & 127) << shift
        shift += 7
    return result, at + 1


def _integer(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    zigzag, at = (byte, at + 1) if byte < 128 else _varint(data, at)
    return zigzag >> 1 ^ -(zigzag & 1), at
