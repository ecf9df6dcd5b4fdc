"""Curves: the loss at each step, its excess over the floor, and the eigenvalues."""

import math
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent.descent import distinct
from gdpipe.numerics.descent.landscape import Landscape
from gdpipe.printable import counted
from gdpipe.report.pictures.axes import BOTTOM, HEIGHT, RIGHT, TOP, WIDTH, Axis, Frame, picture, text
from gdpipe.report.pictures.letters import text_width
from gdpipe.report.pictures.ticks import number

# relative to the first, a loss below this factor and an excess below its square are rounding errors
LEAST_FACTOR = 1e-15
# share of the height that a label below the floor takes
LABEL_SHARE = 0.1
# points that are drawn
MOST_STEPS, MOST_EIGENVALUES = 400, 300


def loss_curve(
    iterations: Sequence[int], losses: Sequence[float], least: float, unit: str, optimum: str = "OLS"
) -> str:
    """A picture of the loss at each step, and of the least loss; both axes are logarithmic.

    Iterations, ascending from 0, and losses have shape (n,); the unit is that of the loss. `optimum` is a name of what
    has the least loss. Empty where every loss is zero.
    """
    if not max(losses):  # an absorbed category may give the target by itself, before the first step
        return ""
    # evenly spaced on the logarithmic axis
    drawn = sorted({round(len(losses) ** (i / MOST_STEPS)) - 1 for i in range(MOST_STEPS + 1)})
    floor = max(least, max(losses) * LEAST_FACTOR)
    steps, heights = [iterations[i] + 1 for i in drawn], [max(losses[i], floor) for i in drawn]
    above = Axis.around([floor, *heights], f"loss, {unit}", logarithmic=True)
    # room below the floor for its label, which no loss can reach
    low = min(above.low, max(above.low / (above.high / above.low) ** LABEL_SHARE, sys.float_info.min))
    frame = Frame(_steps(steps), Axis(low, above.high, above.label, logarithmic=True))
    below = frame.at(steps[0], floor)[1]
    body = [
        *frame.background(),
        frame.line([(frame.x.low, floor), (frame.x.high, floor)], "dash"),
        text(WIDTH - RIGHT - 6, below + 16, f"{optimum} {number(least)}", "end second halo"),
        frame.line(zip(steps, heights, strict=True), "line"),
        *_ends(frame, steps, heights),
    ]
    ends = f"From {number(losses[0])} to {number(losses[-1])}"
    return picture(
        body, "Loss at each step", f"{ends} in {counted(iterations[-1], 'step')}; {optimum}: {number(least)}"
    )


def excess_curve(seen: Landscape, forecast: int | None, unit: str, optimum: str = "OLS") -> str:
    """A picture of the excess over the least loss, measured and forecast; both axes are logarithmic.

    `forecast` is the step at which the descent was expected to end, None if never; the unit is that of the loss.
    """
    measured = [(t + 1, e) for t, e in zip(seen.iterations.tolist(), seen.excess.tolist(), strict=True) if e > 0]
    expected = [(t + 1, e) for t, e in zip(seen.expected_iterations.tolist(), seen.expected.tolist(), strict=True)]
    expected = [(t, e) for t, e in expected if expected[0][1] * LEAST_FACTOR**2 < e < math.inf]
    points = [*measured, *expected]
    if len({t for t, _ in points}) < 2:  # the first step reached the optimum: there is no curve to draw
        return ""
    frame = Frame(
        _steps([t for t, _ in points]),
        Axis.around([e for _, e in points], f"loss − {optimum} loss, {unit}", logarithmic=True),
    )
    body = [*frame.background(), frame.line(measured, "line"), frame.line(expected, "dash")]
    if forecast is not None and frame.x.low <= forecast + 1 <= frame.x.high:
        x = frame.across(forecast + 1)
        body.append(f'<path class="dash thin" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        label = f"forecast {forecast:,}"
        if x - 5 - text_width(label) > frame.left:
            body.append(text(x - 5, TOP + 12, label, "end second halo"))
        else:
            body.append(text(x + 5, TOP + 12, label, "second halo"))
    body += _ends(frame, *zip(*measured, strict=True)) if measured else []
    ended = f"Measured to step {seen.iterations[-1]:,}"
    said = f"{ended}; forecast: {'never' if forecast is None else f'{forecast:,} steps'}"
    return picture(body, "Loss above the optimum, measured and forecast", said)


def spectrum(eigenvalues: NDArray[np.float64]) -> str:
    """A picture of the eigenvalues; the ratio of the largest and the least is the condition number.

    The eigenvalues are those of the correlation matrix, ascending, shape (rank,); a single one is 1, and not drawn.
    """
    sizes = eigenvalues[eigenvalues > 0][::-1].tolist()
    if len(sizes) < 2:
        return ""
    n = len(sizes)
    drawn = distinct(np.rint(np.linspace(0, n - 1, min(n, MOST_EIGENVALUES))).astype(int)).tolist()
    frame = Frame(
        Axis(0.5, n + 0.5, "direction, the widest first", whole=True),
        Axis.around([1.0, *sizes], "eigenvalue", logarithmic=True),
    )
    ground = frame.at(1, frame.y.low)[1]
    radius = 4.0 if n <= 30 else 2.0
    body = frame.background()
    body.append(frame.line([(frame.x.low, 1.0), (frame.x.high, 1.0)], "dash thin"))
    for i in drawn:
        x, y = frame.at(i + 1, sizes[i])
        body.append(f'<path class="stem" d="M{x:.1f} {ground:.1f}V{y:.1f}"/>')
        body.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>')
    body.append(text(WIDTH - 16, 40, f"largest / least = {number(sizes[0] / sizes[-1])}", "end second halo"))
    return picture(
        body, "Spectrum of the correlation matrix", f"{n} eigenvalues from {number(sizes[0])} to {number(sizes[-1])}"
    )


def _steps(steps: Sequence[int]) -> Axis:
    return Axis(1.0, max(*steps, 2) * 1.15, "step + 1", logarithmic=True, whole=True)


def _ends(frame: Frame, steps: Sequence[int], values: Sequence[float]) -> list[str]:
    spots = (frame.at(steps[i], values[i]) for i in (0, -1))
    return [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in spots]
