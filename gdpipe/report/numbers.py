"""Numbers as the page writes them, in tables, tiles and sentences."""

import math
from typing import Any

from gdpipe.printable import LARGEST_WRITTEN, written
from gdpipe.report.summary import cell

# a p value below this is not written with its digits
LEAST_P = 1e-300


def shown_value(value: Any) -> str:
    """A value as the page shows it: as in the summary, with thousands separators where a number is large."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return cell(value)
    if isinstance(value, int):
        return f"{value:,}"
    return written(value) if math.isfinite(value) else cell(value)


def p_value(value: float | None) -> float | str | None:
    """A p value; in words where it is so small that float64 soon cannot hold it, and is 0."""
    return f"< {LEAST_P:g}" if value is not None and value < LEAST_P else value


def rounded(value: float) -> str:
    """A number of four digits; from 10,000 up without decimals."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < LARGEST_WRITTEN else f"{value:,.4g}"
