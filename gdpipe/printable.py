"""Text for people, with every character visible: no name can forge a line or send commands to a terminal.

A column, a folder or a value may have any name. Names are unchanged in Parquet, JSON and SQL; where they are shown
(terminal, log, error, state, report), control and bidirectional characters and line breaks are escaped.
"""

import html
import logging
import math
import unicodedata
from collections.abc import Sequence

# from here to there, floats are written without decimals; above as powers of ten
WHOLE_ONLY, LARGEST_WRITTEN = 1e6, 1e15


def printable(text: str) -> str:
    r"""The text, in which the characters are escaped that Python's `repr` escapes: a line break becomes `\n`.

    These are control characters (C0, C1), characters that change the direction, line breaks, lone surrogates (bytes of
    a path that is not UTF-8) and invisible ones; blanks of any width stay. The result is one line, is allowed in XML,
    and a second call does not change it.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else repr(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    """A text of several lines, such as a traceback, made printable; its line breaks stay."""
    return "\n".join(map(printable, text.split("\n")))


def counted(n: int, unit: str) -> str:
    """A number of things: `1 file`, `1,234 files`, `2 processes`; the plural of the unit ends in s or es."""
    plural = "es" if unit.endswith("s") else "s"
    return f"{n:,} {unit}{plural if n != 1 else ''}"


def written(value: float) -> str:
    """A number in a sentence or a table: six digits, thousands separators, a power of ten where it is tiny or huge."""
    if math.isfinite(value) and WHOLE_ONLY <= abs(value) < LARGEST_WRITTEN:
        return f"{value:,.0f}"
    return f"{value:,.6g}"


def abridged(names: Sequence[str], most: int = 5, between: str = ", ") -> str:
    """The names on one line; of many only the first, and the number of the others."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return between.join(names[:most]) + more


def markup(text: str) -> str:
    """A text as HTML and SVG take it, also in attributes: none of it is a tag, and XML takes every character."""
    return html.escape(printable(text))


def logger_named(name: str) -> logging.Logger:
    """The standard library's logger of that name; its messages are printable, whatever handles them."""
    logger = logging.getLogger(name)
    # on the logger, not on a handler: handlers belong to the script or to Prefect
    logger.addFilter(escape)
    return logger


def escape(record: logging.LogRecord) -> bool:
    """True, as the filter passes every record; the record's message becomes printable."""
    record.msg, record.args = printable(record.getMessage()), None
    return True
