"""Arrow columns as float64 arrays, without a detour through Python objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.design import Coded, Input, Values
from gdpipe.source.arrays import nulls_of, values_of
from gdpipe.source.decimals import nearest
from gdpipe.source.literals import STRINGS, plain


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a column of this type can be a number in a regression: integer, float, decimal or boolean."""
    t, kind = pa.types, plain(kind)
    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_boolean(kind))


def column_kind(kind: pa.DataType) -> str:
    """What a column of this type can become in a feature."""
    t, kind = pa.types, plain(kind)
    if t.is_boolean(kind):
        return "boolean"
    if is_numeric(kind):
        return "number"
    if kind in STRINGS:
        return "text"
    return "time" if t.is_timestamp(kind) else "date" if t.is_date(kind) else "other"


def resolution(kind: pa.DataType) -> float:
    """The relative rounding of a type's values, wherever they were computed."""
    if pa.types.is_float16(kind):
        return float(np.finfo(np.float16).eps)
    return float(np.finfo(np.float32 if pa.types.is_float32(kind) else np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some columns of some rows.

    Attributes:
        columns: Numbers of shape (m,), or categories. Where missing, numbers are 0 and levels are any. Not to be
            written to: they may be the table's own memory.
        missing: Shape (k, m), True where a value is null or NaN; None where none is.
    """

    columns: list[Any]
    missing: NDArray[np.bool_] | None

    @property
    def complete(self) -> NDArray[np.bool_] | None:
        """Shape (m,), True for rows that miss nothing; None where all are."""
        missing = self.missing_in(slice(None))
        return None if missing is None else ~missing

    def missing_in(self, which: slice) -> NDArray[np.bool_] | None:
        """Shape (m,), True for rows that miss something in these columns; None where none misses any of all."""
        return None if self.missing is None else np.logical_or.reduce(self.missing[which])


Numbers = Block


def numbers(table: pa.RecordBatch | pa.Table, names: Sequence[str]) -> Block:
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
    return Block(columns, missing)


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


def read_columns(table: pa.RecordBatch | pa.Table, asked: Sequence[Input]) -> Block:
    """Columns as they are asked for: numbers, parts of dates and timestamps, categories."""
    columns: list[Values] = []
    missing = np.zeros((len(asked), table.num_rows), np.bool_)
    for j, of in enumerate(asked):
        column = table.column(of.column)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        column = _part(column, of.part) if of.part else column
        values, gaps = _coded(column, of) if of.levels else _float64(column)
        columns.append(values)
        if gaps is not None:
            missing[j] = gaps
    return Block(columns, missing if missing.any() else None)


def _part(column: pa.Array, part: str) -> pa.Array:
    import pyarrow.compute as pc

    if part == "weekday":
        return pc.day_of_week(column)
    if part != "days":
        if not pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us"))
        return getattr(pc, part)(column)
    local = pc.local_timestamp(column) if getattr(column.type, "tz", None) else column.cast(pa.timestamp("us"))
    whole, rest = np.divmod(np.asarray(local.cast(pa.timestamp("us")).cast(pa.int64()).fill_null(0)), 86_400_000_000)
    return pa.array(whole + rest / 86400e6, mask=nulls_of(local))


def _coded(column: pa.Array, of: Input) -> tuple[Coded, NDArray[np.bool_] | None]:
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return Coded(("",) if len(column) else (), np.zeros(len(column), np.intp)), np.ones(len(column), np.bool_)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    coded = column.dictionary_encode()
    texts = []
    for value in coded.dictionary.to_pylist():
        if isinstance(value, bool):
            texts.append(str(value).lower())
        elif of.levels == "number":
            texts.append(repr(int(value)) if value == int(value) else repr(float(value)))
        else:
            texts.append(str(value))
    labels = tuple(dict.fromkeys(texts)) or ("",)
    places = np.array([labels.index(text) for text in texts] or [0], np.intp)
    codes = places[np.asarray(coded.indices.fill_null(0))]
    return Coded(labels, codes), nulls_of(column)
