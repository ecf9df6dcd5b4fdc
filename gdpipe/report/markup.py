"""Names and other text in HTML and SVG."""

import html

from gdpipe.printable import printable


def markup(said: str) -> str:
    """Text as it stands in HTML, in SVG and in their attributes: none of it is a tag, and XML takes every character."""
    return html.escape(printable(said))
