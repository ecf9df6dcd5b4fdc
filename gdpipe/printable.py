"""Text that people read, with every character in it visible: a name cannot forge a line or command a terminal.

A column, a folder or a value may be named anything. Names are kept as they are in Parquet, JSON and SQL; where they are
shown (terminal, log, error, state, report), control and bidirectional characters and line breaks are escaped.
"""

import logging
import unicodedata


def printable(text: str) -> str:
    r"""The same text with each character that Python's `repr` escapes escaped likewise: a line break becomes `\n`.

    Those are the characters that control (C0, C1), turn the direction, break a line, are a lone surrogate (a byte of a
    path that is no UTF-8), or show nothing; blanks of any width stay. The answer is one line, may stand in XML, and is
    not changed by a second call.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else repr(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    """Text of several lines, such as a traceback, where the line breaks are meant."""
    return "\n".join(map(printable, text.split("\n")))


def logger_named(name: str) -> logging.Logger:
    """The standard library's logger of that name; its messages are printable, whoever handles them."""
    logger = logging.getLogger(name)
    # on the logger, not on a handler: a script's or Prefect's handlers are not ours
    logger.addFilter(escape)
    return logger


def escape(record: logging.LogRecord) -> bool:
    """A filter that lets every record through, with its message printable."""
    record.msg, record.args = printable(record.getMessage()), None
    return True
