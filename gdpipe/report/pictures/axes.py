"""Parts of all pictures: axes with round numbers, a frame, and a name for screen readers.

All pictures are 360 units wide, the width of a phone, so that their text is as large as the page's.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gdpipe.printable import markup, printable
from gdpipe.report.pictures.letters import cut_to, text_width
from gdpipe.report.pictures.ticks import tick_labels

WIDTH, HEIGHT = 360, 300  # a square picture has the height WIDTH
# margins; the left one grows with the numbers beside the axis
LEAST_LEFT, RIGHT, TOP, BOTTOM = 46, 12, 26, 40
# between two numbers, and between a number and the picture's edge or the axis
GAP, EDGE, BESIDE = 8.0, 2.0, 6.0
# shades of the one colour, from paper to ink; style.py has a class for each
SHADES = 10


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values, `low` < `high`; the label says what it shows, with the unit."""

    low: float
    high: float
    label: str
    logarithmic: bool = False  # `low` is then above 0
    whole: bool = False  # only whole numbers are marked
    descending: bool = False  # `high` is at the beginning
    marks: tuple[float, ...] = ()  # what is marked, ascending; round numbers where empty

    @classmethod
    def around(cls, values: Iterable[float], label: str, *, logarithmic: bool = False) -> "Axis":
        """The axis that these values just fit; a logarithmic one has at least half a decade."""
        finite = [v for v in values if math.isfinite(v)]
        low, high = min(finite), max(finite)
        if logarithmic:
            middle, half = math.sqrt(low) * math.sqrt(high), math.sqrt(high / low)
            half = max(half * 1.05, 10**0.25)
            return cls(middle / half, middle * half, label, logarithmic=True)
        margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        return cls(low - margin, high + margin, label)

    def place(self, value: float) -> float:
        """The place of a value, from 0 at the beginning of the axis to 1 at its end."""
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return 1.0 - share if self.descending else share

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers in the range, unless others are asked for; their number is near `about`."""
        if self.marks:
            return list(self.marks)
        if self.logarithmic and math.log10(self.high / self.low) >= 2:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, math.ceil((last - first) / about))
            return [10.0**power for power in range(first, last + 1, every)]
        if self.logarithmic and self.high / self.low >= 5:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
            marks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            return [mark for mark in marks if self.low <= mark <= self.high]
        rough = (self.high - self.low) / about
        unit = 10.0 ** math.floor(math.log10(rough))
        step: float = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= rough * 0.999)
        step = max(step, 1.0) if self.whole else step
        begin, end = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(k * step, 12 - math.floor(math.log10(step))) for k in range(begin, end + 1)]

    def labelled(self, about: int = 5) -> list[tuple[float, str]]:
        """The ticks and what stands beside them."""
        ticks = self.ticks(about)
        return list(zip(ticks, tick_labels(ticks, logarithmic=self.logarithmic), strict=True))


@dataclass(frozen=True, slots=True)
class Frame:
    """Two axes, to the right and upward, in a picture of this height and a width of 360 units.

    `left` is where the horizontal axis begins: the numbers beside the vertical one have room before it. `right` is what
    is left free behind its end.
    """

    x: Axis
    y: Axis
    height: float = HEIGHT
    right: float = RIGHT
    least_left: float = LEAST_LEFT
    left: float = field(init=False)

    def __post_init__(self) -> None:
        widest = max((text_width(said) for _, said in self.y.labelled()), default=0.0)
        object.__setattr__(self, "left", max(self.least_left, math.ceil(EDGE + widest + BESIDE)))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The position of a point in the picture, in its units."""
        return self.across(x), self.height - BOTTOM - self.y.place(y) * (self.height - TOP - BOTTOM)

    def across(self, x: float) -> float:
        """The horizontal position in the picture, in its units."""
        return self.left + self.x.place(x) * (WIDTH - self.left - self.right)

    def line(self, points: Iterable[tuple[float, float]], style: str) -> str:
        """A line through points given in the axes' units."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*point) for point in points))
        return f'<polyline class="{style}" points="{path}"/>'

    def background(self, *, across: bool = True) -> list[str]:
        """Grid, ticks and labels; the label of the vertical axis is above it, and so not rotated.

        Without `across` nothing is written below the picture: another one with the same axis stands there.
        """
        left, right, top, bottom = self.left, WIDTH - self.right, TOP, self.height - BOTTOM
        room = WIDTH - 2 * EDGE
        below = cut_to(printable(self.x.label), room)
        body = [text(EDGE, 12, cut_to(printable(self.y.label), room), "label")]
        if across:
            body.append(text(within((left + right) / 2, below), self.height - 6, below, "label mid"))
        for value, said in self.y.labelled():
            y = self.at(self.x.low, value)[1]
            body.append(f'<path class="grid" d="M{left} {y:.1f}H{right}"/>')
            body.append(text(left - BESIDE, y + 4, said, "end"))
        for value, said in beside_each_other(self.x, self.across):
            x = self.across(value)
            body.append(f'<path class="grid" d="M{x:.1f} {top}V{bottom}"/>')
            if across:
                body.append(text(within(x, said), bottom + 15, said, "mid"))
        body.append(f'<path class="axis" d="M{left} {bottom}H{right}"/>')
        return body


def picture(body: Iterable[str], title: str, said: str, height: float = HEIGHT) -> str:
    """A picture made of its elements; `said` describes it for screen readers."""
    name = markup(f"{title}. {said}" if said else title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{name}">'
        f"<title>{markup(title)}</title>{''.join(body)}</svg>"
    )


def text(x: float, y: float, said: str, style: str = "") -> str:
    """A text at a position, which is its start, or with the style `mid` or `end` its middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{markup(said)}</text>'


def within(x: float, said: str) -> float:
    """The middle of a text that is to stand at `x`, or as near as keeps all of it in the picture."""
    half = text_width(said) / 2 + EDGE
    return min(max(x, half), WIDTH - half)


def beside_each_other(axis: Axis, across: Callable[[float], float]) -> list[tuple[float, str]]:
    """Ticks of a horizontal axis with their texts: as many as stand beside each other.

    `across` is the horizontal position of a value in the picture.
    """
    shown: list[tuple[float, str]] = []
    for about in (5, 4, 3, 2):
        labels = sorted(axis.labelled(about), key=lambda label: across(label[0]))
        shown, end = [], -math.inf
        for value, said in labels:
            half = text_width(said) / 2
            middle = within(across(value), said)
            if middle - half >= end + GAP:
                shown.append((value, said))
                end = middle + half
        if len(shown) == len(labels):
            break
    return shown
