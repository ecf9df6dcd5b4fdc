"""A column of a data frame as a fit needs it, without the library that made it: a float64 array, or a category.

It becomes the numbers and labels that a run reads from the same column in Parquet.
"""

import datetime
from dataclasses import dataclass
from decimal import Decimal
from math import isnan
from numbers import Number as AnyNumber
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.design import Coded, ColumnKind, Input, LevelKind, Values, number_label
from gdpipe.numerics.sums.folds import NO_TEXT, label_hashes

# units of NumPy's dates, and how many of those of its timestamps a day has
DATES = ("Y", "M", "W", "D")
PER_DAY = {"h": 24, "m": 1440, **{unit: 86_400 * 1000**power for power, unit in enumerate(("s", "ms", "us", "ns"))}}


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column as an array.

    Attributes:
        values: The value of each row, shape (m,), or of each code; timestamps in local time.
        codes: The index of each row's value among `values`, shape (m,), for a categorical of pandas; None otherwise.
        missing: Where it is missing, shape (m,).
        kind: What it can become in a feature.
        zone: The time zone of timestamps, if they have one.
    """

    values: NDArray[Any]
    codes: NDArray[np.intp] | None
    missing: NDArray[np.bool_]
    kind: ColumnKind
    zone: str | None

    @classmethod
    def of(cls, column: Any, zone: str | None = None) -> "Column":
        """The column of a frame.

        Args:
            column: A Series of pandas or Polars, a column of an Arrow table, or an array.
            zone: The time zone whose hours are wanted, of timestamps that have any; None takes the column's own.
        """
        if hasattr(column, "to_pandas") and hasattr(column, "type"):  # Arrow, whose local time is in pyarrow.compute
            column = column.to_pandas()
        kind = getattr(column, "dtype", None)
        if hasattr(column, "iloc") and hasattr(kind, "categories"):
            values, codes = np.asarray(column.array.categories), np.asarray(column.array.codes).astype(np.intp)
            return cls(values, codes, codes < 0, _kind(values), None)
        own = getattr(kind, "tz", None) or getattr(getattr(kind, "pyarrow_dtype", None), "tz", None)  # pandas
        if own is not None:
            column = column if zone in (None, str(own)) else column.dt.tz_convert(zone)
            column = column.dt.tz_localize(None)
        elif own := getattr(kind, "time_zone", None):  # Polars
            column = column if zone in (None, own) else column.dt.convert_time_zone(zone)
            column = column.dt.replace_time_zone(None)
        values, asked = np.asarray(column), getattr(column, "isna", None) or getattr(column, "is_null", None)
        if asked is not None:
            missing = np.asarray(asked(), np.bool_)
        elif values.dtype.kind == "O":
            missing = np.array(
                [value is None or (isinstance(value, float) and isnan(value)) for value in values.tolist()], np.bool_
            )
        else:
            missing = np.isnat(values) if values.dtype.kind in "mM" else np.zeros(len(values), np.bool_)
        if values.dtype.kind == "f":  # Polars does not take NaN for missing
            missing = missing | np.isnan(values)
        kind = _kind(values[~missing] if values.dtype.kind == "O" else values)
        return cls(values, None, missing, kind, None if own is None else zone or str(own))

    @property
    def resolution(self) -> float:
        """The relative rounding of the values, wherever they were computed."""
        return float(np.finfo(self.values.dtype if self.values.dtype.kind == "f" else np.float64).eps)

    @property
    def said(self) -> str:
        """What the column holds, in words."""
        return "text" if self.kind == "text" else str(self.values.dtype)

    def key(self) -> NDArray[np.float64] | NDArray[np.uint64]:
        """The values as they group rows into folds, shape (m,): those of a run (`gdpipe.source.columns.key_values`)."""
        there = ~self.missing
        some = (self.values if self.codes is None else self.values[self.codes])[there]
        if self.kind == "text" and there.any():
            coded = _coded(some, None, "text")
            hashes = np.full(len(there), NO_TEXT)
            hashes[there] = label_hashes(coded.labels)[coded.codes]
            return hashes
        if self.kind in ("date", "time"):
            some = _dates(some).astype("datetime64[us]").astype(np.int64)
        numbers = np.zeros(len(there))
        numbers[there] = some.astype(np.float64)
        return numbers

    def read(self, of: Input) -> Values:
        """The column's values in the form that is asked for; none is missing, and all fit."""
        values = part_of(_dates(self.values), of.part) if of.part else self.values
        if of.levels:
            return _coded(values, self.codes, "date" if self.kind == "date" and not of.part else of.levels)
        numbers: NDArray[np.float64] = values.astype(np.float64)
        return numbers if self.codes is None else numbers[self.codes]


def part_of(values: NDArray[Any], part: str) -> NDArray[Any]:  # noqa: PLR0911  # a return for each part
    """A part, one of `gdpipe.design.PARTS`, of dates or timestamps in local time, as a run reads it.

    Args:
        values: Shape (m,), datetime64; none is missing.
        part: The part.

    Returns:
        Shape (m,), int64, or float64 for `days`.
    """
    days = values.astype("datetime64[D]").astype(np.int64)
    match part:
        case "days":
            unit = np.datetime_data(values.dtype)[0]
            if unit in DATES:
                return days.astype(np.float64)
            per_day = PER_DAY[unit]
            whole, rest = np.divmod(values.astype(f"datetime64[{unit}]").astype(np.int64), per_day)
            found: NDArray[np.float64] = whole + rest / per_day  # as gdpipe.source.dates
            return found
        case "year":
            return values.astype("datetime64[Y]").astype(np.int64) + 1970
        case "month":
            return values.astype("datetime64[M]").astype(np.int64) % 12 + 1
        case "day":
            return days - values.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + 1
        case "weekday":
            return (days + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
        case _:
            return values.astype("datetime64[h]").astype(np.int64) % 24


def _kind(values: NDArray[Any]) -> ColumnKind:
    """What values can become; those that are missing are left out."""
    of_dtype: dict[str, ColumnKind] = {**dict.fromkeys("iuf", "number"), "b": "boolean", "U": "text"}
    if values.dtype.kind == "M":
        return "date" if np.datetime_data(values.dtype)[0] in DATES else "time"
    if values.dtype.kind != "O":
        return of_dtype.get(values.dtype.kind, "other")
    kinds = set(map(type, values.tolist()))
    found: ColumnKind = "other"
    if all(issubclass(kind, AnyNumber | Decimal) and not issubclass(kind, complex) for kind in kinds):
        found = "boolean" if kinds == {bool} else "number"
    elif all(issubclass(kind, str) for kind in kinds):
        found = "text"
    elif kinds == {datetime.date}:
        found = "date"
    elif kinds == {datetime.datetime} and all(value.tzinfo is None for value in values.tolist()):
        found = "time"
    return found


def _dates(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind != "O":
        return values
    dates = all(type(value) is datetime.date for value in values.tolist())
    return values.astype("datetime64[D]" if dates else "datetime64[us]")


def _coded(values: NDArray[Any], codes: NDArray[np.intp] | None, levels: LevelKind | str) -> Coded:
    """A category, from the value of each row, or of each code; `levels` is its kind, or `date`."""
    if codes is None and values.dtype.kind == "O":  # to look up takes less time than to sort
        index: dict[Any, int] = {}
        codes = np.array([index.setdefault(value, len(index)) for value in values.tolist()], np.intp)
        found = list(index)
    elif codes is None:
        distinct, codes = np.unique(values, return_inverse=True)
        found = distinct.tolist()
    else:
        found = values.tolist()
    texts = [_label(value, levels) for value in found]
    labels = tuple(dict.fromkeys(texts))
    if len(labels) < len(texts):  # two values have one label, as 0 and -0
        place = {label: at for at, label in enumerate(labels)}
        codes = np.array([place[text] for text in texts], np.intp)[codes]
    return Coded(labels, codes)


def _label(value: Any, levels: LevelKind | str) -> str:
    if levels == "date":
        return str(value.isoformat())
    if levels == "text":
        return str(value)
    return str(bool(value)).lower() if levels == "boolean" else number_label(value)
