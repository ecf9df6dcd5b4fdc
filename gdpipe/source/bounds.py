"""What is known of a column's values in some rows, without reading them: from the statistics in a footer."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gdpipe.source.literals import domain, is_float, is_text, plain


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of the values in a column of some rows.

    Attributes:
        low: No value is less; None where that is not known.
        high: No value is greater; None where that is not known.
        nulls: How many are null; None where that is not known.
        rows: How many there are.
        nan: Whether some may be NaN, which no bound shows.
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


def bounds(statistics: Any, physical: str, kind: pa.DataType, rows: int) -> Bounds:
    """What a footer says of a column of a row group, in the unit of the column's type.

    Args:
        statistics: PyArrow's; None where there are none.
        physical: The column's physical type, as PyArrow names it.
        kind: Its Arrow type.
        rows: Of the row group.
    """
    kind = plain(kind)
    nan = is_float(kind)
    if pa.types.is_null(kind):
        return Bounds(None, None, rows, rows)
    # what is told of a nested column is its first leaf's: a row that has a value may well have no leaf
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
    """A statistic as Parquet stores it, in the unit of the type; None where it says nothing."""
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
