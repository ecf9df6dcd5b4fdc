"""NumPy arrays and lists as Arrow arrays and back, buffer by buffer.

pa.array, pa.scalar and Array.to_numpy import pandas, which takes longer than a small run. Buffers need neither that
import nor a copy.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def to_arrow(values: Sequence[Any] | NDArray[Any], kind: pa.DataType, missing: Any = None) -> pa.Array:
    """A column of a plain type: float64, int64, bool, string, or a list of float64 or string.

    Args:
        values: Shape (n,); for a list type n sequences, or an array of shape (n, width).
        kind: The column's type.
        missing: Shape (n,), True where the column is null; None where no value is.
    """
    n = len(values)
    if missing is None and isinstance(values, list) and None in values:
        missing = [value is None for value in values]
        values = [0 if value is None else value for value in values]
    valid = None if missing is None or not np.any(missing) else _bits(~np.asarray(missing, np.bool_))
    if pa.types.is_list(kind):
        flat = values.ravel() if isinstance(values, np.ndarray) else [item for row in values for item in row]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in values])]).astype(np.int32)
        children = [to_arrow(flat, kind.value_type)]
        return pa.Array.from_buffers(kind, n, [valid, pa.py_buffer(offsets)], children=children)
    if pa.types.is_string(kind):
        texts = [str(text).encode() for text in values]
        return _strings(np.cumsum([0, *map(len, texts)]), b"".join(texts), valid)
    if pa.types.is_boolean(kind):
        return pa.Array.from_buffers(kind, n, [valid, _bits(np.asarray(values, np.bool_))])
    numbers = np.ascontiguousarray(values, np.float64 if pa.types.is_float64(kind) else np.int64)
    return pa.Array.from_buffers(kind, n, [valid, pa.py_buffer(numbers)])


def repeated(value: str | int | None, kind: pa.DataType, n: int) -> pa.Array:
    """A column of n times the same value."""
    if value is None:
        return pa.nulls(n, kind)
    if isinstance(value, int):
        return to_arrow(np.full(n, value), kind)
    text = value.encode()
    return _strings(np.arange(n + 1) * len(text), text * n, None)


def to_table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    """Columns as a table of this schema, matched by name."""
    return pa.Table.from_arrays([to_arrow(columns[field.name], field.type) for field in schema], schema=schema)


def values_of(column: pa.Array) -> NDArray[Any]:
    """The values of an integer or float column as a read-only view, shape (n,); undefined where the column is null."""
    dtype = np.dtype(column.type.to_pandas_dtype())
    values = np.frombuffer(column.buffers()[1], dtype, len(column) + column.offset)[column.offset :]
    values.flags.writeable = False
    return values


def nulls_of(column: pa.Array) -> NDArray[np.bool_] | None:
    """The nulls of a column of any type but null: True where a value is null, shape (n,); None where no value is."""
    if not column.null_count:
        return None
    bits = np.unpackbits(np.frombuffer(column.buffers()[0], np.uint8), bitorder="little")
    nulls: NDArray[np.bool_] = bits[column.offset : column.offset + len(column)] == 0
    return nulls


def _bits(flags: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _strings(offsets: NDArray[np.int64], content: bytes, valid: pa.Buffer | None) -> pa.Array:
    n = len(offsets) - 1
    buffers = [valid, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.string(), n, buffers)
