"""Checks that the numbers of a design are defined, and not too large to be squared."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.design import Design, Input, Number, Values, applied, applied_name, quoted
from gdpipe.errors import ConfigError
from gdpipe.filters import filter_columns, normalized
from gdpipe.numerics.problem.covariance import LARGEST_VALUE

# what a function takes
_DOMAINS = {"log": ("> 0", np.greater), "sqrt": (">= 0", np.greater_equal)}


@dataclass(frozen=True, slots=True)
class Undefined:
    """A number of a design that cannot be used in some row.

    Attributes:
        at: The row, the first of its kind.
        what: The number, and what is wrong with it.
        why: The rest of the sentence, after the row.
        condition: The rows that can be used, as filters in SQL; None where no condition on the column says it.
        otherwise: What to do if not to leave such rows out.
    """

    at: int
    what: str
    why: str
    condition: str | None
    otherwise: str

    @property
    def remedy(self) -> str:
        """Advice for rows that are given in memory."""
        such = f"keep rows with {self.condition} alone" if self.condition else "leave such rows out"
        return f"{such}, or {self.otherwise}"


def made_numbers(design: Design) -> list[tuple[Number, ...]]:
    """The numbers of a design that are more than a column: functions and products."""
    return [factors for factors in design.numbers if len(factors) > 1 or factors[0].functions]


def first_undefined(
    design: Design, columns: Mapping[Input, Values], rows: NDArray[np.intp] | None = None
) -> Undefined | None:
    """The first number made from columns that is not defined in some row, or whose square is beyond float64.

    Columns themselves are not looked at.

    Args:
        design: The design.
        columns: The values of its inputs, shape (m,) each.
        rows: The rows to look at; None looks at all.
    """
    which = slice(None) if rows is None else rows

    def place(bad: NDArray[np.bool_]) -> tuple[int, int]:
        at = int(np.argmax(bad))
        return at, at if rows is None else int(rows[at])

    for factors in made_numbers(design):
        product = np.ones(1)
        for factor in factors:
            column = columns[factor.input]
            assert isinstance(column, np.ndarray)
            values = column[which]
            for done, function in enumerate(factor.functions):
                wanted, holds = _DOMAINS.get(str(function), ("", None))
                if holds is not None and not (fits := holds(values, 0)).all():
                    at, row = place(~fits)
                    said = f", where {_said(factor, done)} is {values[at]:g}"
                    # filters compare columns, not what functions make of them
                    plain = None if done or factor.input.part else _condition(factor.input.column, wanted)
                    return Undefined(row, f"{factor.name} is not defined", said, plain, "take another function")
                values = applied(function, values)
            with np.errstate(all="ignore"):
                product = product * values
        if not (fits := np.abs(product) <= LARGEST_VALUE).all():
            at, row = place(~fits)
            name = ":".join(factor.name for factor in factors)
            return Undefined(
                row, f"{name} is {product[at]:g}", ", whose square is beyond float64", None, "correct its columns"
            )
    return None


def _said(factor: Number, done: int) -> str:
    """The column that a factor is made from, as it is named there; or what the first of its functions give."""
    of = factor.input
    if not (of.part or done):
        return f"column {of.column!r}"
    name = f"{of.part}({quoted(of.column)})" if of.part else quoted(of.column)
    for function in factor.functions[:done]:
        name = applied_name(function, name)
    return name


def _condition(column: str, wanted: str) -> str:
    """A condition of filters on a column, whose name stands in double quotes where SQL would not take it for one."""
    condition = f"{column} {wanted}"
    with contextlib.suppress(ConfigError):
        if column in filter_columns(normalized(condition)):
            return condition
    doubled = column.replace('"', '""')
    return f'"{doubled}" {wanted}'
