"""Filters as a person writes them, as lists of conditions or one condition in SQL, read into plain lists.

`gdpipe.source.conditions` has the meaning of a condition for a column's type.
"""

import datetime
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from gdpipe.errors import ConfigError

Filters = Sequence[Sequence[Any]]
Condition = tuple[str, str, Any]

COMPARISONS = ("=", "==", "!=", "<", ">", "<=", ">=")
LISTS = ("in", "not in")
NULL_TESTS = ("is null", "is not null")
# NumPy's units of time whose text is not a date, or not a date and time, and the next finer unit whose text is
_WHOLE_UNITS = {"Y": "D", "M": "D", "W": "D", "h": "m"}
_MIDNIGHT = re.compile(r"T[0:.]+$")
EXAMPLES = """[["month", "<=", 6]], or in SQL: "month <= 6 AND carrier IN ('UA', 'AA')\""""


def normalized(filters: Any, setting: str = "filters") -> list[Any] | None:
    """Filters as nested lists of values that JSON can hold; None where there are none.

    Args:
        filters: A list of conditions `[column, operator, value]` that all must hold, a list of such lists of which one
            must hold, the same in JSON, or a condition in SQL. Dates and times may be those of Python, NumPy or pandas.
        setting: The setting that they are the value of.

    Raises:
        ConfigError: The filters are none of these.
    """
    if filters is None:
        return None
    if isinstance(filters, str):
        if not filters.lstrip().startswith("["):
            from gdpipe.sql_condition import read  # loads sqlglot

            try:
                return read(filters, _number)
            except ValueError as error:
                raise ConfigError(f"{setting} {filters!r}: {error}") from None
        try:
            filters = json.loads(filters)
        except ValueError as error:
            raise ConfigError(f"{setting} {filters!r}: is no JSON ({error}); write {EXAMPLES}") from None
    try:
        flat = isinstance(filters[0][0], str)
        groups = [filters] if flat else list(filters)
        if not all(groups) or isinstance(filters[0], str) or any(isinstance(group, Mapping) for group in groups):
            raise TypeError
        conditions = [[_condition(condition) for condition in group] for group in groups]
    except (TypeError, IndexError, KeyError, ValueError):
        operators = ", ".join((*COMPARISONS, *LISTS, *NULL_TESTS))
        raise ConfigError(
            f"{setting} {filters!r}: must be a list of conditions such as {EXAMPLES}; operators are {operators}"
        ) from None
    return conditions[0] if flat else conditions


def filter_groups(filters: Filters) -> list[list[Condition]]:
    """Normalized filters as an OR of ANDs of (column, operator, value), however they were nested."""
    groups = [filters] if isinstance(filters[0][0], str) else filters
    return [[(c[0], c[1], c[2] if len(c) > 2 else None) for c in group] for group in groups]


def filter_columns(filters: Filters | None) -> list[str]:
    """The columns in normalized filters, each once, sorted."""
    return sorted({column for group in filter_groups(filters) for column, _, _ in group}) if filters else []


def _condition(condition: Any) -> list[Any]:
    """One normalized condition; raises TypeError or ValueError where it is none."""
    if isinstance(condition, (str, Mapping)):
        raise TypeError
    column, operator, *values = condition
    operator = " ".join(operator.lower().split()) if isinstance(operator, str) else operator
    if not isinstance(column, str) or operator not in (*COMPARISONS, *LISTS, *NULL_TESTS):
        raise TypeError
    if operator in NULL_TESTS:
        if values not in ([], [None]):
            raise ValueError
        return [str(column), operator]
    [value] = values
    if operator in LISTS:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise TypeError
        plain = [_plain(each, column) for each in value]
        # a set has no order of its own
        return [str(column), operator, sorted(plain, key=repr) if isinstance(value, (set, frozenset)) else plain]
    return [str(column), operator, _plain(value, column)]


def _plain(value: Any, column: str) -> Any:
    """A value that JSON can hold: dates and times as ISO text, decimals as text where no number is equal."""
    if _is_null(value):
        raise ConfigError(
            f'filters: nothing is equal to null, nor less or greater; write ["{column}", "is null"] or "is not null"'
        )
    if isinstance(value, np.datetime64):
        unit, _ = np.datetime_data(value)
        return _day_or_time(str(value.astype(f"M8[{_WHOLE_UNITS[unit]}]") if unit in _WHOLE_UNITS else value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (datetime.date, datetime.time)):
        return _day_or_time(value.isoformat())
    if isinstance(value, (float, Decimal)) and abs(value) == math.inf:
        return "inf" if value > 0 else "-inf"  # as text, since JSON has no infinite numbers
    if isinstance(value, Decimal):
        return _number(str(value))
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError


def _is_null(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_nan()
    # NaN and NaT differ from themselves; comparing pandas' NA with itself gives NA
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, (float, np.generic, datetime.datetime)) and bool(value != value)  # noqa: PLR0124  # see above


def _day_or_time(text: str) -> str:
    """A date and time in ISO 8601, at midnight the date alone, so that it equals the text of `day=2024-01-05`."""
    return text.split("T", 1)[0] if _MIDNIGHT.search(text) else text


def _number(text: str) -> int | float | str:
    """The number in a decimal text, or the text itself where no float64 is equal to it."""
    exact = Decimal(text)
    if exact == exact.to_integral_value() and exact.adjusted() < 1000:
        return int(exact)
    return float(text) if Decimal(repr(float(text))) == exact else text
