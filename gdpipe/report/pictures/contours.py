"""The cost surface from above: lines of equal loss, with the descent on them."""

import math

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent.landscape import Plane
from gdpipe.report.pictures.axes import BOTTOM, RIGHT, SHADES, TOP, WIDTH, Axis, Frame, picture, text
from gdpipe.report.pictures.letters import text_width
from gdpipe.report.pictures.ticks import number

# rings that are drawn, one of them through the farthest point of the descent; and the margin beyond it
RINGS, RIM = 8, 1.15
# the least width of the picture, relative to the place of its middle
LEAST_WIDTH = 1e-12
# units between points of the descent that are drawn, and between those with a dot
APART, DOTS_APART = 2.0, 7.0
# steps drawn with dots, until two of them come no farther than this: more that go to and fro would be a blob, so that
# of the later ones the middle between neighbours is drawn, which is where the valley lies
CLEAR_STEPS, LEAST_ADVANCE = 24, 4.0
# side of the small picture of the true shape, in units; stretched by less than this factor a picture needs none
TRUE_SIDE, LEAST_STRETCH = 76.0, 1.2


def contours(plane: Plane, iterations: NDArray[np.int64], labels: tuple[str, str]) -> str:
    """A picture of lines of equal loss, which are ellipses, and the descent.

    Args:
        plane: The slice of the loss, with the descent on it.
        iterations: The step of each point of the descent, ascending, shape (n,).
        labels: The names of the two coordinates.

    Returns:
        SVG; empty if the descent started at the optimum, or so near that float64 has too few numbers between to mark.
    """
    farthest = float(plane.radii.max())
    if not farthest > 0:
        return ""
    half = plane.half_widths(farthest * RIM)
    if not (half > LEAST_WIDTH * np.abs(plane.optimum)).all():
        return ""
    low, high = plane.optimum - half, plane.optimum + half
    frame = Frame(Axis(low[0], high[0], labels[0]), Axis(low[1], high[1], labels[1]), WIDTH)
    angles = np.linspace(0, 2 * math.pi, 73)[:-1]
    # in a narrow valley the corners of the box are many rings up the slope; all beyond RINGS are drawn as one
    corner = float(np.linalg.norm(np.linalg.solve(plane.axes, np.array([half, half * [1, -1]]).T), axis=0).max())
    radii = [farthest * k / (RINGS - 2) for k in range(1, RINGS + 1) if farthest * (k - 1) / (RINGS - 2) < corner]
    body = []
    if corner > radii[-1]:
        whole = f"M{frame.left} {TOP}H{WIDTH - RIGHT}V{WIDTH - BOTTOM}H{frame.left}Z"
        body.append(f'<path class="{_shade(1 - (RINGS + 1) / (RINGS + 2))}" d="{whole}"/>')
    shades = len(radii) + len(body) + 1
    for k, radius in reversed(list(enumerate(radii))):
        points = (frame.at(*point) for point in plane.ring(radius, angles).tolist())
        outline = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        body.append(f'<path class="ring {_shade(1 - (k + 1) / shades)}" d="M{outline}Z"/>')
    steps = np.array([frame.at(*point) for point in plane.path.tolist()])
    body.append(_path(steps, iterations))
    left, width, height = frame.left, WIDTH - frame.left - RIGHT, WIDTH - TOP - BOTTOM
    if plane.direction is not None and not 1 / LEAST_STRETCH < half[0] / half[1] < LEAST_STRETCH:
        body += _true_shape(plane, angles)
    place = f'x="{left}" y="{TOP}" width="{width}" height="{height}" viewBox="{left} {TOP} {width} {height}"'
    clipped = f"<svg {place}>{''.join(body)}</svg>"
    losses = []
    for k in (1, 3, RINGS - 3):
        label = number(float(f"{plane.floor + radii[k] ** 2:.3g}"))
        losses.append(text(*_label_place(frame, plane, radii[k], label), label, "mid halo"))
    start = plane.floor + float(plane.radii[0]) ** 2
    said = f"From loss {number(start)} at the start to {number(plane.floor)} at the optimum"
    return picture([*frame.background(), clipped, *losses], "Cost contours from above", said, WIDTH)


def _shade(share: float) -> str:
    """The CSS class of a shade, from 0 (the lightest) to 1 (the darkest)."""
    return f"s{min(int(share * SHADES), SHADES - 1)}"


def _true_shape(plane: Plane, angles: NDArray[np.float64]) -> list[str]:
    """A small picture of one line of equal loss, with the same scale along both axes."""
    outline = plane.ring(1.0, angles) - plane.optimum
    outline *= (TRUE_SIDE / 2 - 8) / np.abs(outline).max()
    x, y = WIDTH - RIGHT - TRUE_SIDE - 4, WIDTH - BOTTOM - TRUE_SIDE - 4
    middle = (x + TRUE_SIDE / 2, y + TRUE_SIDE / 2 + 6)
    points = "L".join(f"{middle[0] + dx:.1f} {middle[1] - dy:.1f}" for dx, dy in outline.tolist())
    return [
        f'<rect class="true" x="{x:g}" y="{y:g}" width="{TRUE_SIDE:g}" height="{TRUE_SIDE:g}"/>',
        text(middle[0], y + 14, "true shape", "mid"),
        f'<path class="line" d="M{points}Z"/>',
    ]


def _path(steps: NDArray[np.float64], iterations: NDArray[np.int64]) -> str:
    """The descent: a line through steps told apart, dots on the first, the start hollow, the end full."""
    clear = _clear(steps)
    first, middles = steps[: clear + 1], (steps[clear:-1] + steps[clear + 1 :]) / 2
    # not every step is recorded, and two of one side have no middle between them
    middles = middles[np.diff(iterations[clear:]) == 1]
    later = np.vstack([steps[clear : clear + 1], middles, steps[-1:]])
    lines = [f'<polyline class="path" points="{_points(_spaced(first, APART))}"/>']
    if len(middles):
        lines.append(f'<polyline class="path" points="{_points(_spaced(later, APART))}"/>')
    dots = "".join(
        f'<circle class="step" cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>'
        for x, y in _spaced(first, DOTS_APART)[1:-1].tolist()
    )
    (x0, y0), (x1, y1) = steps[0].tolist(), steps[-1].tolist()
    return (
        f"{''.join(lines)}{dots}"
        f'<circle class="start" cx="{x0:.1f}" cy="{y0:.1f}" r="4.5"/>'
        f'<circle class="end" cx="{x1:.1f}" cy="{y1:.1f}" r="4.5"/>'
    )


def _clear(steps: NDArray[np.float64]) -> int:
    """The last of the steps that are drawn one by one, at least two of them."""
    for i in range(2, min(CLEAR_STEPS, len(steps) - 1)):
        if i + 2 < len(steps) and np.hypot(*(steps[i + 2] - steps[i])) < LEAST_ADVANCE:
            return i
    return min(CLEAR_STEPS, len(steps) - 1)


def _points(steps: NDArray[np.float64]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in steps.tolist())


def _spaced(steps: NDArray[np.float64], apart: float) -> NDArray[np.float64]:
    """The first and the last point, and those between that lie so far from the one taken before."""
    taken = [0]
    for i in range(1, len(steps) - 1):
        if np.hypot(*(steps[i] - steps[taken[-1]])) >= apart:
            taken.append(i)
    spaced: NDArray[np.float64] = steps[[*taken, len(steps) - 1]]
    return spaced


def _label_place(frame: Frame, plane: Plane, radius: float, label: str) -> tuple[float, float]:
    """The position of a ring's label: at its upper or lower end, away from the start."""
    start_is_above = plane.path[0, 1] - plane.optimum[1] > 1e-9 * plane.half_widths(radius)[1]
    angle = np.array([math.atan2(plane.axes[1, 1], plane.axes[1, 0]) + (math.pi if start_is_above else 0.0)])
    x, y = frame.at(*plane.ring(radius, angle)[0].tolist())
    half = text_width(label) / 2 + 2
    return min(max(x, frame.left + half), WIDTH - RIGHT - half), min(max(y + 4, TOP + 12), WIDTH - BOTTOM - 6)
