"""Horizontal bars with a name and a number each: coefficients, rows, drift."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gdpipe.printable import markup, printable
from gdpipe.report.pictures.axes import WIDTH, picture, text

LINE = 22
NAME_END, VALUE_START = 116, 296
LETTERS = 18


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of length `value`; NaN draws none."""

    name: str  # text before the bar
    value: float
    said: str  # text behind the bar
    interval: tuple[float, float] | None = None  # a line over the end of the bar
    more: str = ""  # text that shows when a pointer rests on it; `said` where empty


def bars(shown: Sequence[Bar], title: str, label: str) -> str:
    """A picture of bars (at least one) from one zero line; the label says what their length means."""
    reached = [v for bar in shown for v in (0.0, bar.value, *(bar.interval or ())) if math.isfinite(v)]
    low, high = min(reached), max(reached)
    scale = (VALUE_START - NAME_END - 16) / ((high - low) or 1.0)

    def across(value: float) -> float:
        return float(NAME_END + 8 + (min(max(value, low), high) - low) * scale)

    zero, height = across(0.0), LINE * len(shown) + 30
    body = []
    for place, bar in enumerate(shown):
        y = 8 + LINE * place
        body.append(f"<g><title>{markup(f'{bar.name}: {bar.more or bar.said}')}</title>")
        body.append(text(2, y + 13, _short(printable(bar.name)), "name"))
        if not math.isnan(bar.value):
            start, end = sorted((zero, across(bar.value)))
            body.append(
                f'<rect class="bar" x="{start:.1f}" y="{y + 3}" width="{max(end - start, 0.5):.1f}" height="12"/>'
            )
        if bar.interval:
            first, last = (across(v) for v in bar.interval)
            ends = "".join(f"M{end:.1f} {y + 6}v6" for end in (first, last))
            body.append(f'<path class="whisker" d="{ends}M{first:.1f} {y + 9}H{last:.1f}"/>')
        body.append(text(WIDTH - 2, y + 13, bar.said, "end") + "</g>")
    body.append(f'<path class="axis" d="M{zero:.1f} 4V{8 + LINE * len(shown)}"/>')
    body.append(text(WIDTH / 2, height - 6, label, "label mid"))
    said = ", ".join(f"{bar.name} {bar.more or bar.said}" for bar in shown[:5]) + (
        " and others" if len(shown) > 5 else ""
    )
    return picture(body, title, said, height)


def _short(name: str) -> str:
    """Both ends of a long name, as names often differ only in the last letters."""
    half = LETTERS // 2
    return name if len(name) <= LETTERS else f"{name[: half - 1]}…{name[-half:]}"
