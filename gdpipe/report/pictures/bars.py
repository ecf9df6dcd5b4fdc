"""Horizontal bars with a name and a number each: coefficients, rows, drift."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gdpipe.printable import markup, printable
from gdpipe.report.pictures.axes import EDGE, WIDTH, Axis, beside_each_other, picture, text
from gdpipe.report.pictures.letters import cut_to, text_width

# units from bar to bar, and above the first; below the last those of a line of text
LINE, ABOVE, BELOW = 22, 8, 15
# units that names may take; the bars have what names and values leave
NAMES = 150
# units between the zero line and a note
BESIDE = 5
LEAST_RANGE = 1e-300


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of length `value`; NaN draws none."""

    name: str  # text before the bar
    value: float
    said: str  # text behind the bar
    interval: tuple[float, float] | None = None  # a line over the end of the bar
    more: str = ""  # text that shows when a pointer rests on it; `said` where empty
    note: str = ""  # text beside the zero line, of a bar without length

    @property
    def told(self) -> str:
        """The bar in words."""
        return f"{self.name}{f' ({self.note})' if self.note else ''}"


def bars(shown: Sequence[Bar], title: str, label: str, *, scaled: bool = False) -> str:
    """A picture of bars (at least one) from one zero line.

    Args:
        shown: The bars.
        title: The picture's name.
        label: The meaning of a bar's length.
        scaled: Whether a scale stands below them; needed where `said` is another number than the length.
    """
    reached = [v for bar in shown for v in (0.0, bar.value, *(bar.interval or ())) if math.isfinite(v)]
    low, high = min(reached), max(reached)
    names = [cut_to(printable(bar.name), NAMES) for bar in shown]
    begin = EDGE + max(map(text_width, names)) + 8
    end = WIDTH - EDGE - max(text_width(bar.said) for bar in shown) - 8
    # scaled first, as the difference of two very large numbers is infinite
    unit = max(-low, high) or 1.0
    scale = (end - begin) / ((high / unit - low / unit) or 1.0)

    def across(value: float) -> float:
        return float(begin + (min(max(value, low), high) / unit - low / unit) * scale)

    zero, bottom = across(0.0), ABOVE + LINE * len(shown)
    body = []
    # no scale where float64 has no round numbers between the ends
    has_scale = scaled and LEAST_RANGE < high - low < math.inf
    marks = beside_each_other(Axis(low, high, label), across) if has_scale else []
    for value, said in marks:
        body.append(f'<path class="grid" d="M{across(value):.1f} 4V{bottom}"/>')
        body.append(text(across(value), bottom + 13, said, "mid"))
    for place, bar in enumerate(shown):
        y = ABOVE + LINE * place
        body.append(f"<g><title>{markup(f'{bar.told}: {bar.more or bar.said}')}</title>")
        body.append(text(EDGE, y + 13, names[place], "name"))
        if not math.isnan(bar.value):
            first, last = sorted((zero, across(bar.value)))
            body.append(
                f'<rect class="bar" x="{first:.1f}" y="{y + 3}" width="{max(last - first, 0.5):.1f}" height="12"/>'
            )
        if bar.interval:
            first, last = (across(v) for v in bar.interval)
            ends = "".join(f"M{end:.1f} {y + 6}v6" for end in (first, last))
            body.append(f'<path class="whisker" d="{ends}M{first:.1f} {y + 9}H{last:.1f}"/>')
        if bar.note:
            to_the_right = end - zero >= zero - begin
            x = zero + (BESIDE if to_the_right else -BESIDE)
            body.append(text(x, y + 13, bar.note, "" if to_the_right else "end"))
        body.append(text(WIDTH - EDGE, y + 13, bar.said, "end") + "</g>")
    body.append(f'<path class="axis" d="M{zero:.1f} 4V{bottom}"/>')
    height = bottom + BELOW + 7 + (BELOW if marks else 0)
    body.append(text(WIDTH / 2, height - 6, cut_to(printable(label), WIDTH - 2 * EDGE), "label mid"))
    said = ", ".join(f"{bar.told} {bar.more or bar.said}" for bar in shown[:5]) + (
        " and others" if len(shown) > 5 else ""
    )
    return picture(body, title, said, height)
