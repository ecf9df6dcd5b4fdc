"""The loss against the step, as everybody draws it, and what is left of it above the best possible one."""

import math
from collections.abc import Sequence

from gdpipe.numerics.descent.landscape import Landscape
from gdpipe.report.pictures.axes import BOTTOM, HEIGHT, LEFT, TOP, Axis, Frame, number, picture, text

# a loss that is smaller than the first by this factor, and what is left of it by its square, is rounding
LEAST_FACTOR = 1e-15
MAX_POINTS = 400


def loss_curve(iterations: Sequence[int], losses: Sequence[float], ols_loss: float, unit: str) -> str:
    """The loss at each step, with the floor that OLS sets; both axes logarithmic.

    Args:
        iterations: Shape (n,), ascending from 0.
        losses: Shape (n,).
        ols_loss: The floor.
        unit: Of the loss.
    """
    # evenly in the logarithm, as the axis is
    kept = sorted({round(len(losses) ** (i / MAX_POINTS)) - 1 for i in range(MAX_POINTS + 1)})
    floor = max(ols_loss, max(losses) * LEAST_FACTOR)
    steps, heights = [iterations[i] + 1 for i in kept], [max(losses[i], floor) for i in kept]
    frame = Frame(_steps(steps), Axis.around([floor, *heights], f"loss, {unit}", logarithmic=True))
    below = frame.at(steps[0], floor)[1]
    body = [
        *frame.background(),
        frame.line([(frame.x.low, floor), (frame.x.high, floor)], "dash"),
        text(LEFT + 6, below - 6, f"OLS {number(ols_loss)}", "second"),
        frame.line(zip(steps, heights, strict=True), "line"),
        *_ends(frame, steps, heights),
    ]
    ends = f"From {number(losses[0])} to {number(losses[-1])}"
    return picture(body, "Loss at each step", f"{ends} in {iterations[-1]:,} steps; OLS: {number(ols_loss)}")


def excess_curve(seen: Landscape, forecast: int | None, unit: str) -> str:
    """What is left of the loss above the OLS floor, beside what was forecast for it; both axes logarithmic.

    Args:
        seen: The descent.
        forecast: The step at which it was to end; None if never.
        unit: Of the loss.
    """
    measured = [(t + 1, e) for t, e in zip(seen.iterations.tolist(), seen.excess.tolist(), strict=True) if e > 0]
    expected = [(t + 1, e) for t, e in zip(seen.expected_iterations.tolist(), seen.expected.tolist(), strict=True)]
    expected = [(t, e) for t, e in expected if expected[0][1] * LEAST_FACTOR**2 < e < math.inf]
    points = [*measured, *expected]
    if len({t for t, _ in points}) < 2:  # the first step reached the optimum: there is no curve to draw
        return ""
    frame = Frame(
        _steps([t for t, _ in points]),
        Axis.around([e for _, e in points], f"loss − OLS loss, {unit}", logarithmic=True),
    )
    body = [*frame.background(), frame.line(measured, "line"), frame.line(expected, "dash")]
    if forecast is not None and frame.x.low <= forecast + 1 <= frame.x.high:
        x = frame.across(forecast + 1)
        body.append(f'<path class="dash thin" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        body.append(text(x - 5, TOP + 12, f"forecast {forecast:,}", "end second"))
    body += _ends(frame, *zip(*measured, strict=True)) if measured else []
    ended = f"Measured to step {seen.iterations[-1]:,}"
    said = f"{ended}; forecast: {'never' if forecast is None else f'{forecast:,} steps'}"
    return picture(body, "Loss above the optimum, measured and forecast", said)


def _steps(steps: Sequence[int]) -> Axis:
    return Axis(1.0, max(*steps, 2) * 1.15, "step + 1", logarithmic=True, whole=True)


def _ends(frame: Frame, steps: Sequence[int], values: Sequence[float]) -> list[str]:
    spots = (frame.at(steps[i], values[i]) for i in (0, -1))
    return [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in spots]
