"""Values in filters as values of a column's type: which may be compared, and how.

Whole numbers, booleans, dates, times and decimals are compared exactly, as integers in the column's own unit. A float
is compared with the float of its width that is nearest to the value: in a column of float32, 0.1 means the float32
nearest to it. Only a whole number that no float64 equals is not rounded. Text is compared by code point, which is the
order of its bytes.
"""

import datetime
import math
import re
import zoneinfo
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

# units per second
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_SECONDS = 86_400
STRINGS = {pa.string(), pa.large_string(), pa.string_view()}
BYTES = {pa.binary(), pa.large_binary(), pa.binary_view()}
NUMBER = "a number without quotes"
# exponent of a power of ten beyond the values of all types
BEYOND = 1000
_TIME = r"(?P<time>\d\d:\d\d(:\d\d)?)([.,](?P<fraction>\d{1,18}))?"
_INSTANT = re.compile(rf"(?P<date>\d{{4}}-\d\d-\d\d)([T ]{_TIME}\s*(?P<zone>Z|z|[+-]\d\d(:?\d\d)?)?)?")
_TIME_OF_DAY = re.compile(_TIME)


class NotComparableError(Exception):
    """A value cannot be compared with a column; the message says what to write instead."""


def plain(kind: pa.DataType) -> pa.DataType:
    """A type without its dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text or bytes."""
    return kind in STRINGS or kind in BYTES or bool(pa.types.is_fixed_size_binary(kind))


def is_float(kind: pa.DataType) -> bool:
    """Whether values are floats, which may be NaN."""
    return bool(pa.types.is_floating(kind))


def domain(kind: pa.DataType) -> tuple[int, int] | None:
    """The least and the largest integer of a type whose values are integers in some unit; None for other types."""
    t = pa.types
    if t.is_boolean(kind):
        return 0, 1
    if t.is_decimal(kind):
        return 1 - 10**kind.precision, 10**kind.precision - 1
    if t.is_integer(kind):
        info = np.iinfo(kind.to_pandas_dtype())
        return int(info.min), int(info.max)
    if t.is_date32(kind) or t.is_time32(kind):
        return -(2**31), 2**31 - 1
    if t.is_timestamp(kind) or t.is_date64(kind) or t.is_time64(kind):
        return -(2**63), 2**63 - 1
    return None


def exact_value(kind: pa.DataType, value: Any) -> Fraction:
    """A value in the unit of a type whose values are integers.

    Raises:
        NotComparableError: The value is of another kind than the column.
    """
    if pa.types.is_timestamp(kind):
        return _instant(value, kind.tz) * UNITS[kind.unit]
    if pa.types.is_date(kind):
        seconds = _instant(value, None, "a date as text: '2024-01-05'")
        return seconds / _DAY_SECONDS if pa.types.is_date32(kind) else seconds * 1000
    if pa.types.is_time(kind):
        return _time_of_day(value) * UNITS[kind.unit]
    if pa.types.is_decimal(kind):
        scale: int = kind.scale
        try:
            number = Decimal(value if isinstance(value, (int, str)) else repr(value))
        except InvalidOperation:
            raise NotComparableError("write a number, such as 6.10") from None
        if number.is_nan():
            raise NotComparableError("write a number, such as 6.10")
        return _fraction(number) * (Fraction(10**scale) if scale >= 0 else Fraction(1, 10**-scale))
    if isinstance(value, str):
        wanted = "true or false" if pa.types.is_boolean(kind) else NUMBER
        return _fraction(_number_as_text(value, wanted))
    return Fraction(value)


def float_value(kind: pa.DataType, value: Any) -> tuple[float, int]:
    """The value of a float type that a number stands for, and the side of it on which the number lies: -1, 0 or 1.

    Raises:
        NotComparableError: The value is not a number.
    """
    number = _number_as_text(value) if isinstance(value, str) else value
    try:
        wide = float(number)
    except OverflowError:
        wide = math.inf if number > 0 else -math.inf
    with np.errstate(over="ignore"):
        near = float(np.dtype(kind.to_pandas_dtype()).type(wide))
    side = 1 if number > 0 else -1
    if math.isinf(near):  # finite numbers lie between the largest float and infinity
        return near, 0 if abs(number) == math.inf else -side
    if not near and number:  # between 0 and the least float
        return 0.0, side
    if not pa.types.is_float64(kind) or not isinstance(number, int):
        return near, 0
    return near, (number > near) - (number < near)


def text_value(value: Any) -> bytes:
    """The bytes of a text.

    Raises:
        NotComparableError: The value is not a text of Unicode characters.
    """
    if not isinstance(value, str):
        raise NotComparableError(f"write a text: '{value}'")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise NotComparableError(f"write a text of Unicode characters ({error.reason})") from None


def _number_as_text(text: str, wanted: str = NUMBER) -> Decimal:
    """A number that is written as text because JSON cannot hold it: infinite, or with more digits than float64 has.

    Raises:
        NotComparableError: The text is none of these; a number that JSON can hold is written without quotes.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if number.is_nan() or (number.is_finite() and Decimal(repr(float(number))) == number):
        raise NotComparableError(f"write {wanted}")
    return number


def _fraction(number: Decimal) -> Fraction:
    """The exact value of a decimal number, not of the float64 nearest to it.

    A magnitude beyond the values of all types, or below those other than 0, is replaced by a simpler one there.
    """
    if number.is_infinite() or (number and number.adjusted() > BEYOND):
        return Fraction(10**BEYOND) * (1 if number > 0 else -1)
    if number and number.adjusted() < -BEYOND:
        return Fraction(1 if number > 0 else -1, 10**BEYOND)
    return Fraction(number)


def _instant(value: Any, zone: str | None, wanted: str | None = None) -> Fraction:
    """Seconds since 1970 of a date, or a date and time, in ISO 8601."""
    hint = wanted or (
        "a time as text: '2024-01-05 10:30:00'" + ("" if zone is None else ", or with a zone, '...+01:00'")
    )
    match = _INSTANT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise NotComparableError(f"write {hint}")
    if match["zone"] and zone is None:
        raise NotComparableError(f"the column has no time zone; write {hint}")
    try:
        moment = datetime.datetime.fromisoformat(f"{match['date']}T{match['time'] or '00:00'}")
        if match["zone"]:
            offset = _offset(match["zone"].upper())
        elif zone is not None:
            offset = _zone(zone).utcoffset(moment) or datetime.timedelta()
        else:
            offset = datetime.timedelta()
    except (ValueError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise NotComparableError(f"{error}; write {hint}") from None
    since = moment - datetime.datetime(1970, 1, 1) - offset
    return since.days * _DAY_SECONDS + since.seconds + Fraction(f"0.{match['fraction'] or 0}")


def _offset(text: str) -> datetime.timedelta:
    if text == "Z":
        return datetime.timedelta()
    digits = text[1:].replace(":", "")
    size = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return -size if text[0] == "-" else size


def _zone(name: str) -> datetime.tzinfo:
    if re.fullmatch(r"[+-]\d\d:?\d\d", name):
        return datetime.timezone(_offset(name))
    return datetime.UTC if name.upper() in {"UTC", "Z", "GMT"} else zoneinfo.ZoneInfo(name)


def _time_of_day(value: Any) -> Fraction:
    match = _TIME_OF_DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        moment = datetime.time.fromisoformat(match["time"]) if match else None
    except ValueError:
        moment = None
    if match is None or moment is None:
        raise NotComparableError("write a time of day as text: '10:30:00'")
    return moment.hour * 3600 + moment.minute * 60 + moment.second + Fraction(f"0.{match['fraction'] or 0}")
