"""The cost surface: a bowl in three dimensions and as contours from above, with the descent on it."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent.landscape import Plane
from gdpipe.report.pictures.axes import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Frame,
    number,
    outline,
    picture,
    shade,
    text,
)

# rings that are drawn, of which one goes through the farthest point of the descent; room beyond it
RINGS, RIM = 8, 1.15
SQUARE = 360
# the bowl: its mesh, the way it is looked at (turned, and from above, in radians), and its height beside its width
MESH_RINGS, MESH_SPOKES = 16, 48
TURN, TILT, RISE = math.radians(40), math.radians(33), 0.75
SCALE, MIDDLE = 112.0, (186.0, 222.0)
# points a step of the path is drawn with, so that it lies on the bowl
BENDS = 16
# steps that are dotted
DOTS = 40


def contours(plane: Plane, labels: tuple[str, str]) -> str:
    """Lines of equal loss from above, which are ellipses, the descent on them.

    Empty if it started at the optimum, or so near that float64 has no numbers between.

    Args:
        plane: The slice.
        labels: Of the two coordinates.
    """
    farthest = float(plane.radii.max())
    if not farthest > 0:
        return ""
    half = plane.half_widths(farthest * RIM)
    low, high = plane.optimum - half, plane.optimum + half
    if not (low < high).all():
        return ""
    frame = Frame(Axis(low[0], high[0], labels[0]), Axis(low[1], high[1], labels[1]), SQUARE)
    angles = np.linspace(0, 2 * math.pi, 73)[:-1]
    # in a narrow valley the corners of the box lie many rings up the slope: beyond RINGS all is drawn as one
    corner = float(np.linalg.norm(np.linalg.solve(plane.axes, np.array([half, half * [1, -1]]).T), axis=0).max())
    radii = [farthest * k / (RINGS - 2) for k in range(1, RINGS + 1) if farthest * (k - 1) / (RINGS - 2) < corner]
    body = [frame.filled(shade(1 - (RINGS + 1) / (RINGS + 2)))] if corner > radii[-1] else []
    shades = len(radii) + len(body) + 1
    for k, radius in reversed(list(enumerate(radii))):
        ring = np.array([frame.at(*point) for point in plane.ring(radius, angles).tolist()])
        body.append(f'<path class="ring {shade(1 - (k + 1) / shades)}" d="{outline(ring)}"/>')
    steps = np.array([frame.at(*point) for point in plane.path.tolist()])
    body.append(_path(steps, steps))
    clipped = frame.inside(body)
    losses = [
        text(*_label_place(frame, plane, radii[k]), number(float(f"{plane.floor + radii[k] ** 2:.3g}")), "mid halo")
        for k in (1, 3, RINGS - 3)
    ]
    start = plane.floor + float(plane.radii[0]) ** 2
    said = f"From loss {number(start)} at the start to {number(plane.floor)} at the optimum"
    return picture([*frame.background(), clipped, *losses], "Cost contours from above", said, SQUARE)


def surface(plane: Plane, labels: tuple[str, str], unit: str) -> str:
    """The bowl up to where the descent began, seen from above its rim; empty if it started at the optimum.

    Args:
        plane: The slice, with the path lying in it.
        labels: Of the two coordinates.
        unit: Of the loss.
    """
    farthest = float(plane.radii.max())
    if not farthest > 0:
        return ""
    rim = farthest * RIM
    view = _View(plane, rim)
    angles = np.linspace(0, 2 * math.pi, MESH_SPOKES + 1)
    radii = np.linspace(0, rim, MESH_RINGS + 1)
    rings = [view.see(plane.ring(radius, angles), radius) for radius in radii.tolist()]
    patches = []
    for k, (inner, outer) in enumerate(itertools.pairwise(rings)):
        for j in range(MESH_SPOKES):
            corners = np.array([inner[j], outer[j], outer[j + 1], inner[j + 1]])
            style = shade(1 - ((k + 0.5) / MESH_RINGS) ** 2)
            patches.append((corners[:, 2].mean(), f'<path class="{style}" d="{outline(corners[:, :2])}"/>'))
    patches.sort(key=lambda patch: -patch[0])  # what is behind comes first
    shadow = [
        f'<path class="grid" fill="none" d="{outline(view.see(plane.ring(radius, angles), 0.0)[:-1, :2])}"/>'
        for radius in (rim / 3, rim * 2 / 3, rim)
    ]
    share = np.linspace(0, 1, BENDS, endpoint=False)[:, None]
    legs = [a + share * (b - a) for a, b in itertools.pairwise(plane.path)]
    way = np.concatenate([*legs, plane.path[-1:]])
    body = [
        *view.box(labels, (plane.floor, plane.floor + rim**2), f"loss, {unit}"),
        *shadow,
        f'<g class="mesh">{"".join(patch for _, patch in patches)}</g>',
        _path(view.see(plane.path, plane.radii)[:, :2], view.see(way, plane.radius(way))[:, :2]),
    ]
    start, end = plane.path[0].tolist(), plane.path[-1].tolist()
    said = f"From {_point(start, labels)} to {_point(end, labels)}, at the bottom of the bowl"
    return picture(body, "Cost surface over weight and bias", said, SQUARE)


class _View:
    """An isometric look at a box, across the valley: two coordinates on the ground, the loss upward."""

    def __init__(self, plane: Plane, rim: float) -> None:
        self._centre, self._half, self._rim = plane.optimum, plane.half_widths(rim), rim
        # the valley runs from the far left to the near right, or from the near left to the far right
        self._turn = -TURN if (plane.axes @ plane.axes.T)[0, 1] > 0 else TURN

    def see(self, points: NDArray[np.float64], radius: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of shape (n, 2) at loss floor + radius²: place in the picture and how far away, shape (n, 3)."""
        return self._project((points - self._centre) / self._half, (radius / self._rim) ** 2)

    def _project(self, box: NDArray[np.float64], height: float | NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = box.T
        right = x * math.cos(self._turn) - y * math.sin(self._turn)
        away = x * math.sin(self._turn) + y * math.cos(self._turn)
        up = away * math.sin(TILT) + height * 2 * RISE * math.cos(TILT)
        return np.column_stack([MIDDLE[0] + SCALE * right, MIDDLE[1] - SCALE * up, away])

    def box(self, labels: tuple[str, str], losses: tuple[float, float], unit: str) -> list[str]:
        """The ground with the ends of its two near edges named, and the height at its left corner."""
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
        ground = self._project(corners, 0.0)[:, :2]
        left = corners[[ground[:, 0].argmin()]]
        post = np.array([self._project(left, height)[0, :2] for height in (0.0, 1.0)])
        body = [f'<path class="axis" d="{outline(ground)}"/>', f'<path class="axis" d="{outline(post)}"/>']
        (x0, y0), (x1, y1) = post.tolist()
        body += [text(x0 + 4, y0 - 6, number(losses[0])), text(x1, y1 - 6, number(losses[1]), "mid")]
        body.append(text(2, 12, unit, "label"))
        near = int(ground[:, 1].argmax())
        low, high = self._centre - self._half, self._centre + self._half
        for other in ((near - 1) % 4, (near + 1) % 4):
            coordinate = int(np.abs(corners[near] - corners[other]).argmax())
            ends = [(low, high)[int(corners[corner, coordinate] > 0)][coordinate] for corner in (near, other)]
            at = ground[near] + np.array([[0.16], [0.84]]) * (ground[other] - ground[near])
            middle = at.mean(axis=0)
            style = "" if middle[0] > ground[near, 0] else "end"
            aside = 6 if style == "" else -6
            for (x, y), value in zip(at.tolist(), ends, strict=True):
                body.append(text(x + aside, y + 14, number(float(f"{value:.3g}")), style))
            body.append(text(middle[0] + aside, middle[1] + 18, labels[coordinate], f"label {style}"))
        return body


def _path(steps: NDArray[np.float64], way: NDArray[np.float64]) -> str:
    """The descent: a line, a dot for each of the first steps, the start hollow and the end full."""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in way.tolist())
    dots = "".join(f'<circle class="step" cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>' for x, y in steps[1:DOTS].tolist())
    (x0, y0), (x1, y1) = steps[0].tolist(), steps[-1].tolist()
    return (
        f'<polyline class="path" points="{line}"/>{dots}<circle class="start" cx="{x0:.1f}" cy="{y0:.1f}" r="4.5"/>'
        f'<circle class="end" cx="{x1:.1f}" cy="{y1:.1f}" r="4.5"/>'
    )


def _label_place(frame: Frame, plane: Plane, radius: float) -> tuple[float, float]:
    """Where a ring's loss is written: at its upper or lower end, away from the start."""
    start_is_above = plane.path[0, 1] - plane.optimum[1] > 1e-9 * plane.half_widths(radius)[1]
    angle = np.array([math.atan2(plane.axes[1, 1], plane.axes[1, 0]) + (math.pi if start_is_above else 0.0)])
    x, y = frame.at(*plane.ring(radius, angle)[0].tolist())
    return min(max(x, LEFT + 20), WIDTH - RIGHT - 20), min(max(y + 4, TOP + 12), SQUARE - BOTTOM - 6)


def _point(point: list[float], labels: tuple[str, str]) -> str:
    return ", ".join(f"{label} {number(float(f'{value:.4g}'))}" for label, value in zip(labels, point, strict=True))
