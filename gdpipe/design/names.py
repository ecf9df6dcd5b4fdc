"""How columns are written in features, and levels that are numbers in labels."""

import keyword
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from gdpipe.kinds import pieces


def quoted(column: str) -> str:
    """A column's name inside a feature: in backticks unless it could be a name in Python."""
    if column.isidentifier() and not keyword.iskeyword(column):
        return column
    return f"`{column.replace('`', '``')}`"


def with_backticks(text: str, columns: Iterable[str]) -> list[str]:
    """The feature that a text without backticks may mean: for each column in it whose name needs them, with them."""
    if "`" in text:
        return []
    return [text.replace(column, quoted(column)) for column in columns if column in text and quoted(column) != column]


def typed(column: str) -> str:
    """A column's name as a person types it for a feature: in backticks where blanks or a comma would cut it."""
    return column if pieces(column, ",") == [column] else quoted(column)


def number_label(value: float | Decimal | Fraction) -> str:
    """The label of a level that is a number: the same for 5, 5.0 and -0.0 + 5, whatever the type was."""
    if isinstance(value, Decimal | Fraction):  # exact; Python divides whole numbers to the nearest float64
        numerator, denominator = value.as_integer_ratio()
        value = numerator if denominator == 1 else numerator / denominator
    return repr(int(value)) if value % 1 == 0 else repr(float(value))
