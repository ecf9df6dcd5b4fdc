"""How columns are written in features, and levels that are numbers in labels."""

import contextlib
import difflib
import keyword
from collections.abc import Callable, Collection
from decimal import Decimal
from fractions import Fraction

from gdpipe.errors import ConfigError
from gdpipe.kinds import pieces


def quoted(column: str) -> str:
    """A column's name inside a feature: in backticks unless it could be a name in Python."""
    if column.isidentifier() and not keyword.iskeyword(column):
        return column
    return f"`{column.replace('`', '``')}`"


def typed(column: str) -> str:
    """A column's name as a person types it for a feature: in backticks where blanks or a comma would cut it."""
    return column if pieces(column, ",") == [column] else quoted(column)


def nearest(text: str, columns: Collection[str], read: Callable[[str], object]) -> str | None:
    """Suggestion for a text that is no feature: the text with the backticks that it lacks, or else the nearest column.

    Args:
        text: The text.
        columns: The names there are.
        read: Reads a text as a feature; raises ConfigError where it is none.
    """
    for column in columns if "`" not in text else ():
        if column in text and quoted(column) != column:
            with contextlib.suppress(ConfigError):
                read(meant := text.replace(column, quoted(column)))
                return meant
    return next(map(typed, difflib.get_close_matches(text, columns, n=1)), None)


def number_label(value: float | Decimal | Fraction) -> str:
    """The label of a level that is a number: the same for 5, 5.0 and -0.0 + 5, whatever the type was."""
    if isinstance(value, Decimal | Fraction):  # exact; Python divides whole numbers to the nearest float64
        numerator, denominator = value.as_integer_ratio()
        value = numerator if denominator == 1 else numerator / denominator
    return repr(int(value)) if value % 1 == 0 else repr(float(value))
