"""Names and other text in Markdown, as Prefect's page shows artifacts: nothing in them is Markdown or HTML."""

import re

from gdpipe.printable import printable

# every sign of ASCII that begins or ends something in Markdown; '_' does so only at the end of a word
SIGNS = re.compile(r"[!-&(-+.:<-@\[-^`{-~]|(?<![^\W_])_|_(?![^\W_])|^-")


def escaped(text: str) -> str:
    """One line of text."""
    return SIGNS.sub(r"\\\g<0>", printable(text).strip())


def fenced(text: str) -> str:
    """Lines in a block that shows them as they are; the lines themselves are printable."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return f"{fence}\n{text}\n{fence}"


def in_code(text: str) -> str:
    """One line of text as code in a sentence."""
    said = printable(text)
    ticks = "`" * (_longest_ticks(said) + 1)
    blank = " " if said.startswith("`") or said.endswith("`") else ""
    return f"{ticks}{blank}{said}{blank}{ticks}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
