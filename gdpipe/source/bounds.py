"""Bounds of a column's values in some rows, from the statistics in a footer: the rows are not read."""

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from gdpipe.source.literals import domain, is_float, is_text, plain


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a column's values in some rows.

    Attributes:
        low: A lower bound of the values; None where none is known.
        high: An upper bound of the values; None where none is known.
        nulls: The number of nulls; None where it is not known.
        rows: The number of rows.
        nan: Whether some values may be NaN, which `low` and `high` do not count.
    """

    low: Any
    high: Any
    nulls: int | None
    rows: int
    nan: bool = False

    @property
    def empty(self) -> bool:
        """Whether all values are null."""
        return self.nulls == self.rows

    def magnitude(self, kind: pa.DataType) -> float | None:
        """An upper bound of the magnitudes in a column of this numeric type, without NaN; None where none is known."""
        if self.empty or self.low is None:
            return 0.0 if self.empty else None
        kind, largest = plain(kind), max(abs(self.low), abs(self.high))
        return float(Fraction(largest, 10**kind.scale)) if pa.types.is_decimal(kind) else float(largest)


def bounds(statistics: Any, physical: str, kind: pa.DataType, rows: int) -> Bounds:
    """The bounds of a column in a row group, in the unit of the column's type, from PyArrow's statistics, if any."""
    kind = plain(kind)
    nan = is_float(kind)
    if pa.types.is_null(kind):
        return Bounds(None, None, rows, rows)
    # statistics of a nested column are those of its first leaf, which a row that has a value may lack
    nested = pa.types.is_nested(kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind)
    if statistics is None or nested:
        return Bounds(None, None, None, rows, nan)
    nulls = statistics.null_count if statistics.has_null_count else None
    if not statistics.has_min_max or physical == "INT96":
        return Bounds(None, None, nulls, rows, nan)
    low, high = (_in_unit(raw, physical, kind) for raw in (statistics.min_raw, statistics.max_raw))
    if low is None or high is None or low > high:
        low = high = None
    return Bounds(low, high, nulls, rows, nan)


def _in_unit(raw: Any, physical: str, kind: pa.DataType) -> Any:
    """A statistic, converted from Parquet's form to the unit of the type; None where it gives no bound."""
    t = pa.types
    if is_text(kind):
        return bytes(raw)
    if t.is_decimal(kind):
        return int.from_bytes(raw, "big", signed=True) if isinstance(raw, bytes) else int(raw)
    if is_float(kind):
        value = float(np.frombuffer(raw, "<f2")[0]) if isinstance(raw, bytes) else float(raw)
        return None if math.isnan(value) else value
    if domain(kind) is None or isinstance(raw, bytes):
        return None
    if t.is_unsigned_integer(kind):
        return int(raw) & (2**32 - 1 if physical == "INT32" else 2**64 - 1)
    return int(raw)


def partition_bounds(partition: dict[str, Any], rows: int) -> dict[str, Bounds]:
    """The bounds of partition columns, each of which has one value in all rows of a folder."""
    values = {name: value.encode() if isinstance(value, str) else value for name, value in partition.items()}
    return {name: Bounds(value, value, rows if value is None else 0, rows) for name, value in values.items()}


def first_leaves(schema: pa.Schema) -> list[int]:
    """The index of each column's first leaf; nested columns have several leaves, whose names may be those of others."""
    return [0, *itertools.accumulate(_leaves(field.type) for field in schema)][:-1]


def _leaves(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind) or not kind.num_fields:
        return 1
    return sum(_leaves(kind.field(i).type) for i in range(kind.num_fields))
