"""Arrow columns as float64 arrays, without a detour through Python objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.source.arrays import nulls_of, values_of
from gdpipe.source.decimals import nearest
from gdpipe.source.literals import plain


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a column of this type can be a number in a regression: integer, float, decimal or boolean."""
    t, kind = pa.types, plain(kind)
    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_boolean(kind))


def resolution(kind: pa.DataType) -> float:
    """The relative rounding of a type's values, wherever they were computed."""
    if pa.types.is_float16(kind):
        return float(np.finfo(np.float16).eps)
    return float(np.finfo(np.float32 if pa.types.is_float32(kind) else np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Some columns of some rows.

    Attributes:
        columns: Of shape (m,) each; 0 where missing. Not to be written to: they may be the table's own memory.
        missing: Shape (k, m), True where a value is null or NaN; None where none is.
    """

    columns: list[NDArray[np.float64]]
    missing: NDArray[np.bool_] | None

    @property
    def complete(self) -> NDArray[np.bool_] | None:
        """Shape (m,), True for rows that miss nothing; None where all are."""
        missing = self.missing_in(slice(None))
        return None if missing is None else ~missing

    def missing_in(self, which: slice) -> NDArray[np.bool_] | None:
        """Shape (m,), True for rows that miss something in these columns; None where none misses any of all."""
        return None if self.missing is None else np.logical_or.reduce(self.missing[which])


def numbers(table: pa.RecordBatch | pa.Table, names: Sequence[str]) -> Numbers:
    """Columns as float64; integers beyond 2^53 and decimals are rounded once, and type null misses every value."""
    columns: list[NDArray[np.float64]] = []
    missing: NDArray[np.bool_] | None = None
    for j, name in enumerate(names):
        column = table.column(name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        values, gaps = _float64(column)
        columns.append(values)
        if gaps is not None:
            if missing is None:
                missing = np.zeros((len(names), table.num_rows), np.bool_)
            missing[j] = gaps
    return Numbers(columns, missing)


def _float64(column: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """A column's values, and where it is missing; nothing is copied that need not be."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return np.zeros(len(column)), np.ones(len(column), np.bool_)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif pa.types.is_float16(column.type):
        column = column.cast(pa.float64(), safe=False)
    values = nearest(column) if pa.types.is_decimal(column.type) else values_of(column).astype(np.float64, copy=False)
    missing = nulls_of(column)
    # a maximum is NaN where any value is NaN, and takes less time than a test of each value
    if pa.types.is_floating(column.type) and np.isnan(values.max(initial=0.0)):
        missing = np.isnan(values) if missing is None else missing | np.isnan(values)
    return values if missing is None else np.where(missing, 0.0, values), missing
