"""The cost surface from above: lines of equal loss, with the descent on them."""

import math

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent.landscape import Plane
from gdpipe.report.pictures.axes import BOTTOM, LEFT, RIGHT, SHADES, TOP, WIDTH, Axis, Frame, number, picture, text

# rings that are drawn, one of them through the farthest point of the descent; and the margin beyond it
RINGS, RIM = 8, 1.15
# steps that are drawn as dots
DOTS = 40


def contours(plane: Plane, labels: tuple[str, str]) -> str:
    """A picture of lines of equal loss, which are ellipses, and the descent; the labels are of the two coordinates.

    The picture is empty if the descent started at the optimum, or so near that float64 has no numbers between.
    """
    farthest = float(plane.radii.max())
    if not farthest > 0:
        return ""
    half = plane.half_widths(farthest * RIM)
    low, high = plane.optimum - half, plane.optimum + half
    if not (low < high).all():
        return ""
    frame = Frame(Axis(low[0], high[0], labels[0]), Axis(low[1], high[1], labels[1]), WIDTH)
    angles = np.linspace(0, 2 * math.pi, 73)[:-1]
    # in a narrow valley the corners of the box are many rings up the slope; all beyond RINGS are drawn as one
    corner = float(np.linalg.norm(np.linalg.solve(plane.axes, np.array([half, half * [1, -1]]).T), axis=0).max())
    radii = [farthest * k / (RINGS - 2) for k in range(1, RINGS + 1) if farthest * (k - 1) / (RINGS - 2) < corner]
    body = []
    if corner > radii[-1]:
        whole = f"M{LEFT} {TOP}H{WIDTH - RIGHT}V{WIDTH - BOTTOM}H{LEFT}Z"
        body.append(f'<path class="{_shade(1 - (RINGS + 1) / (RINGS + 2))}" d="{whole}"/>')
    shades = len(radii) + len(body) + 1
    for k, radius in reversed(list(enumerate(radii))):
        points = (frame.at(*point) for point in plane.ring(radius, angles).tolist())
        outline = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        body.append(f'<path class="ring {_shade(1 - (k + 1) / shades)}" d="M{outline}Z"/>')
    steps = np.array([frame.at(*point) for point in plane.path.tolist()])
    body.append(_path(steps))
    width, height = WIDTH - LEFT - RIGHT, WIDTH - TOP - BOTTOM
    place = f'x="{LEFT}" y="{TOP}" width="{width}" height="{height}" viewBox="{LEFT} {TOP} {width} {height}"'
    clipped = f"<svg {place}>{''.join(body)}</svg>"
    losses = [
        text(*_label_place(frame, plane, radii[k]), number(float(f"{plane.floor + radii[k] ** 2:.3g}")), "mid halo")
        for k in (1, 3, RINGS - 3)
    ]
    start = plane.floor + float(plane.radii[0]) ** 2
    said = f"From loss {number(start)} at the start to {number(plane.floor)} at the optimum"
    return picture([*frame.background(), clipped, *losses], "Cost contours from above", said, WIDTH)


def _shade(share: float) -> str:
    """The CSS class of a shade, from 0 (the lightest) to 1 (the darkest)."""
    return f"s{min(int(share * SHADES), SHADES - 1)}"


def _path(steps: NDArray[np.float64]) -> str:
    """The descent: a line, a dot for each of the first steps, the start hollow and the end full."""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in steps.tolist())
    dots = "".join(f'<circle class="step" cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>' for x, y in steps[1:DOTS].tolist())
    (x0, y0), (x1, y1) = steps[0].tolist(), steps[-1].tolist()
    return (
        f'<polyline class="path" points="{line}"/>{dots}<circle class="start" cx="{x0:.1f}" cy="{y0:.1f}" r="4.5"/>'
        f'<circle class="end" cx="{x1:.1f}" cy="{y1:.1f}" r="4.5"/>'
    )


def _label_place(frame: Frame, plane: Plane, radius: float) -> tuple[float, float]:
    """The position of a ring's label: at its upper or lower end, away from the start."""
    start_is_above = plane.path[0, 1] - plane.optimum[1] > 1e-9 * plane.half_widths(radius)[1]
    angle = np.array([math.atan2(plane.axes[1, 1], plane.axes[1, 0]) + (math.pi if start_is_above else 0.0)])
    x, y = frame.at(*plane.ring(radius, angle)[0].tolist())
    return min(max(x, LEFT + 20), WIDTH - RIGHT - 20), min(max(y + 4, TOP + 12), WIDTH - BOTTOM - 6)
