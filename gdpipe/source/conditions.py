"""A condition of the filters, tested on each value of a column, or on a row group by its statistics.

A null passes `is null` and no other condition; NaN counts as null, and -0.0 as 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gdpipe.source.bounds import Bounds
from gdpipe.source.literals import (
    NotComparableError,
    domain,
    exact_value,
    float_value,
    is_float,
    is_text,
    plain,
    text_value,
)

IS_NULL, IS_NOT_NULL, IN, NOT_IN = "is null", "is not null", "in", "not in"
_COMPARE: dict[str, Callable[..., Any]] = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
# for each operator the one that a value passes, if it is not null, where it fails the first
_OPPOSITE = {"<": ">=", "<=": ">", IN: NOT_IN, IS_NULL: IS_NOT_NULL}
_OPPOSITE |= {opposite: operator for operator, opposite in _OPPOSITE.items()}
# whether one of the values from low to high may pass
_MAY_PASS: dict[str, Callable[[Any, Any, tuple[Any, ...]], Any]] = {
    "<": lambda low, high, values: low < values[0],
    "<=": lambda low, high, values: low <= values[0],
    ">": lambda low, high, values: high > values[0],
    ">=": lambda low, high, values: high >= values[0],
    IN: lambda low, high, values: any(low <= value <= high for value in values),
    NOT_IN: lambda low, high, values: low != high or low not in values,
    IS_NOT_NULL: lambda low, high, values: True,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, with its values in the unit of a column's type.

    Attributes:
        operator: `<`, `<=`, `>`, `>=`, `in`, `not in`, `is null` or `is not null`.
        values: Integers, floats or bytes; one for a comparison.
    """

    operator: str
    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, kind: pa.DataType, operator: str, value: Any) -> "Condition":
        """The condition that a person wrote, for a column's type.

        Raises:
            NotComparableError: The value is of another kind than the column.
        """
        kind = plain(kind)
        if operator in {IS_NULL, IS_NOT_NULL}:
            return cls(operator)
        operator = {"=": IN, "==": IN, "!=": NOT_IN}.get(operator, operator)
        values = list(value) if isinstance(value, list) else [value]
        if pa.types.is_null(kind):
            return cls(IN)  # no value passes, as all are null
        if is_text(kind):
            return cls(operator, tuple(text_value(v) for v in values))
        if is_float(kind):
            return _of_floats(operator, [float_value(kind, v) for v in values])
        ends = domain(kind)
        if ends is None:
            raise NotComparableError('such columns can only be asked for null: write "is null" or "is not null"')
        return _of_integers(operator, [exact_value(kind, v) for v in values], *ends)

    def passes(self, column: pa.Array) -> pa.BooleanArray:
        """A mask of the values that pass, shape (n,), without nulls."""
        kind = plain(column.type)
        nulls = pc.is_null(column, nan_is_null=is_float(kind))
        if self.operator == IS_NULL:
            return nulls
        if self.operator == IS_NOT_NULL or pa.types.is_null(kind):
            return pc.invert(nulls)
        column, scalars = _comparable(column, kind, self.values)
        if self.operator in _COMPARE:
            return pc.fill_null(_COMPARE[self.operator](column, scalars[0]), False)
        found = pc.is_in(column, value_set=pa.array(scalars, column.type))
        return found if self.operator == IN else pc.and_(pc.invert(nulls), pc.invert(found))

    def may_pass(self, known: Bounds) -> bool:
        """Whether a value within these bounds may pass."""
        if self.operator == IS_NULL:
            return known.nulls != 0 or known.nan
        if known.empty:
            return False
        if known.low is None:
            return self.operator != IN or bool(self.values)
        return bool(_MAY_PASS[self.operator](known.low, known.high, self.values))

    def may_fail(self, known: Bounds) -> bool:
        """Whether a value within these bounds may fail."""
        if self.operator != IS_NULL and (known.nulls != 0 or known.nan):
            return True
        return Condition(_OPPOSITE[self.operator], self.values).may_pass(known)


def _of_integers(operator: str, values: list[Fraction], least: int, most: int) -> Condition:
    """A condition on integers of a type, equivalent to one with any numbers."""
    if operator in {IN, NOT_IN}:
        found = tuple(int(v) for v in values if v.denominator == 1 and least <= v <= most)
        return Condition(IS_NOT_NULL) if operator == NOT_IN and not found else Condition(operator, found)
    [value] = values
    if operator in {"<", "<="}:
        last = math.floor(value) if operator == "<=" else math.ceil(value) - 1
        if last < least:
            return Condition(IN)
        return Condition(IS_NOT_NULL) if last >= most else Condition("<=", (last,))
    first = math.ceil(value) if operator == ">=" else math.floor(value) + 1
    if first > most:
        return Condition(IN)
    return Condition(IS_NOT_NULL) if first <= least else Condition(">=", (first,))


def _of_floats(operator: str, values: list[tuple[float, int]]) -> Condition:
    """A condition on floats, equivalent to one with numbers that lie beside their nearest floats."""
    if operator in {IN, NOT_IN}:
        # + 0.0 turns -0.0 into 0.0, as in the column
        found = tuple(near + 0.0 for near, side in values if not side)
        return Condition(IS_NOT_NULL) if operator == NOT_IN and not found else Condition(operator, found)
    [(near, side)] = values
    if side:
        operator = operator[0] + ("=" if (side > 0) == (operator[0] == "<") else "")
    return Condition(operator, (near,))


def _comparable(column: pa.Array, kind: pa.DataType, values: tuple[Any, ...]) -> tuple[pa.Array, list[Any]]:
    """A column in a form that Arrow can compare, and the values as scalars of its type."""
    t = pa.types
    if t.is_dictionary(column.type):
        column = column.dictionary_decode()
    if t.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif t.is_float16(kind):
        column = column.cast(pa.float32())
    elif t.is_date32(kind) or t.is_time32(kind):
        column = column.view(pa.int32())
    elif t.is_timestamp(kind) or t.is_date64(kind) or t.is_time64(kind):
        column = column.view(pa.int64())
    if is_float(kind):
        column = pc.add(column, pa.scalar(0.0, column.type))  # -0.0 becomes 0.0
    if t.is_decimal32(kind) or t.is_decimal64(kind):  # for which Arrow has no is_in
        column = column.cast(pa.decimal128(kind.precision, kind.scale))
    if t.is_decimal(kind):
        # Decimals of digits, exact in any decimal context
        exact = (Decimal((int(v < 0), tuple(map(int, str(abs(v)))), -kind.scale)) for v in values)
        return column, [pa.scalar(v, column.type) for v in exact]
    if t.is_string(column.type) or t.is_large_string(column.type):
        return column, [pa.scalar(v.decode(), column.type) for v in values]
    if t.is_fixed_size_binary(column.type):  # values of another length are unequal, not an error
        column = column.cast(pa.binary())
    return column, [pa.scalar(v, column.type) for v in values]
