"""Text in the Markdown of Prefect's page, escaped so that nothing in it is Markdown or HTML."""

import re

from gdpipe.printable import printable

# every sign of ASCII that has a meaning in Markdown; '_' has one only at the edge of a word
SIGNS = re.compile(r"[!-&(-+.:<-@\[-^`{-~]|(?<![^\W_])_|_(?![^\W_])|^-")


def escaped(text: str) -> str:
    """One line of text, escaped."""
    return SIGNS.sub(r"\\\g<0>", printable(text).strip())


def fenced(text: str) -> str:
    """Printable lines as a code block."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return f"{fence}\n{text}\n{fence}"


def in_code(text: str) -> str:
    """One line of text as inline code."""
    line = printable(text)
    ticks = "`" * (_longest_ticks(line) + 1)
    blank = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{blank}{line}{blank}{ticks}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
