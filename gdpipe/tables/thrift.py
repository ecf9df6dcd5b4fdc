"""A Parquet footer, looked through before Arrow hands out its columns.

Arrow ends the whole process, with no exception to catch, when a footer that still parses describes a column chunk
otherwise than its schema does (a flipped bit suffices). What it would stumble over is told here first.

The footer is a struct of Apache Thrift's compact protocol; the numbers of its fields are those of parquet.thrift.
"""

from collections.abc import Iterator
from typing import Any

from gdpipe.errors import DataError

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_BYTE_ARRAY = 6
_OPTIONAL, _REPEATED = 1, 2


def check_footer(path: str, footer: bytes) -> None:
    """See that every column chunk is of the type and the depth that the schema gives its column.

    Raises:
        DataError: One is not, or the footer is no struct at all.
    """
    try:
        fields, _ = _struct(footer, 0)
        root, *elements = fields[2]
        leaves = list(_leaves(iter(elements), root.get(5, 0)))
        for g, group in enumerate(fields.get(4, ())):
            for leaf, chunk in zip(leaves, group[1], strict=True):
                if (fault := _fault(leaf, chunk.get(3, {}))) or 8 in chunk or 9 in chunk:
                    raise DataError(f"{path}: row group {g}: {fault or 'an encrypted column, which cannot be read'}")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError) as error:
        raise DataError(f"{path}: a damaged Parquet footer ({type(error).__name__})") from error


def _leaves(
    elements: Iterator[dict[int, Any]], children: int, repetition: int = 0, definition: int = 0
) -> Iterator[tuple[int, int, int]]:
    """Physical type, repetition and definition level of each leaf; the elements of a schema stand depth first."""
    for _ in range(children):
        element = next(elements)
        kind = element.get(3, 0)
        levels = repetition + (kind == _REPEATED), definition + (kind in {_OPTIONAL, _REPEATED})
        if element.get(5):
            yield from _leaves(elements, element[5], *levels)
        else:
            yield element[1], *levels


def _fault(leaf: tuple[int, int, int], chunk: dict[int, Any]) -> str | None:
    kind, repetition, definition = leaf
    if chunk.get(1) != kind:
        return "a column of another type than the schema says; the footer is damaged"
    sizes = chunk.get(16, {})
    if len(sizes.get(2, ())) not in {0, repetition + 1} or len(sizes.get(3, ())) not in {0, definition + 1}:
        return "a column of another depth than the schema says; the footer is damaged"
    if 1 in sizes and kind != _BYTE_ARRAY:
        return "sizes of texts in a column without any; the footer is damaged"
    return None


def _struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """A struct as a dictionary of its fields by number, and where it ends; written for speed."""
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
            fields[number] = data[at : at + size]
            at += size
        elif kind <= _FALSE:
            fields[number] = kind == _TRUE
        else:
            fields[number], at = _value(data, at, kind)


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
        return None, at  # no field that is asked for is a map
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
