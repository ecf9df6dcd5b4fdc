"""Arrow columns as a fit needs them: float64 arrays without a detour through Python objects, or categories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.design import ColumnKind, Input, Values
from gdpipe.errors import DataError
from gdpipe.source.arrays import nulls_of, values_of
from gdpipe.source.categories import LastLabels, coded
from gdpipe.source.dates import part_of
from gdpipe.source.decimals import nearest
from gdpipe.source.literals import STRINGS, plain

NOT_UTF8 = "holds text that is not UTF-8; correct it or leave it out"


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a column of this type can be a number in a regression: integer, float, decimal or boolean."""
    t, kind = pa.types, plain(kind)
    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_boolean(kind))


def resolution(kind: pa.DataType) -> float:
    """The relative rounding of a type's values, wherever they were computed."""
    if pa.types.is_float16(kind):
        return float(np.finfo(np.float16).eps)
    return float(np.finfo(np.float32 if pa.types.is_float32(kind) else np.float64).eps)


def column_kind(kind: pa.DataType) -> ColumnKind:
    """What a column of this type can become in a feature."""
    t, kind = pa.types, plain(kind)
    if t.is_boolean(kind):
        return "boolean"
    if is_numeric(kind):
        return "number"
    if kind in STRINGS:
        return "text"
    return "time" if t.is_timestamp(kind) else "date" if t.is_date(kind) else "other"


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some columns of some rows.

    Attributes:
        columns: Numbers of shape (m,), or a category; 0, or any level, where missing. Not to be written to: numbers may
            be the table's own memory.
        missing: Shape (k, m), True where a value is null or NaN; None where none is.
    """

    columns: list[Values]
    missing: NDArray[np.bool_] | None

    @property
    def numbers(self) -> list[NDArray[np.float64]]:
        """The columns that are numbers, in order."""
        return [column for column in self.columns if isinstance(column, np.ndarray)]

    @property
    def complete(self) -> NDArray[np.bool_] | None:
        """Shape (m,), True for rows that miss nothing; None where all are."""
        missing = self.missing_in(slice(None))
        return None if missing is None else ~missing

    def missing_in(self, which: slice) -> NDArray[np.bool_] | None:
        """Shape (m,), True for rows that miss something in these columns; None where none misses any of all."""
        return None if self.missing is None else np.logical_or.reduce(self.missing[which])


def read_columns(
    table: pa.RecordBatch | pa.Table, asked: Sequence[Input], last: Mapping[Input, LastLabels] | None = None
) -> Block:
    """Columns in the form that is asked for; type null misses every value.

    Numbers are float64: integers beyond 2^53 and decimals are rounded once. The columns have types that
    `Source.check_columns` takes for these inputs.

    Args:
        table: Some rows.
        asked: The columns.
        last: The labels of the batch before, where there are several.

    Raises:
        DataError: Text is not UTF-8.
    """
    columns: list[Values] = []
    missing: NDArray[np.bool_] | None = None
    for j, of in enumerate(asked):
        column = table.column(of.column)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if of.part and not pa.types.is_null(plain(column.type)):
            column = part_of(decoded(column), of.part)
        try:
            values, gaps = (
                coded(column, of.levels, None if last is None else last[of]) if of.levels else float64(column)
            )
        except UnicodeDecodeError as error:
            raise DataError(f"column {of.column!r}: {NOT_UTF8}") from error
        columns.append(values)
        if gaps is not None:
            if missing is None:
                missing = np.zeros((len(asked), table.num_rows), np.bool_)
            missing[j] = gaps
    return Block(columns, missing)


def key_values(column: pa.Array) -> tuple[Values, NDArray[np.bool_] | None]:
    """A column's values as they group rows, and where it is missing: the same in whatever type a file has them.

    Numbers beyond 2^53 that are neighbours may be one value, and so may times within a microsecond.

    Raises:
        UnicodeDecodeError: Text is not UTF-8.
    """
    kind = column_kind(column.type)
    if kind == "text":
        return coded(column, "text")
    if kind in ("date", "time"):
        column = decoded(column)
        zone = column.type.tz if kind == "time" else None
        column = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
    return float64(column)


def decoded(column: pa.Array) -> pa.Array:
    """A column without its dictionary."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def float64(column: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """A column's values, and where it is missing; nothing is copied that need not be."""
    column = decoded(column)
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
