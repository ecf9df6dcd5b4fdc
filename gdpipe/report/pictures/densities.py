"""Densities of rows: predicted against actual values, residuals against predictions, and residuals alone."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.rows.density import Density
from gdpipe.printable import counted
from gdpipe.report.pictures.axes import WIDTH, Axis, Frame, picture
from gdpipe.report.pictures.shades import SCALE_HEIGHT, cells, scale
from gdpipe.report.pictures.ticks import number

CURVE_POINTS = 121
# groups of rows whose mean is drawn
GROUPS = 20


def predicted_and_actual(density: Density, target: str) -> str:
    """A picture of rows by predicted and actual value, with the line on which both are the same."""
    low, high = density.grid.target_range
    first, last = occupied(density.targets.sum(axis=0) + density.targets.sum(axis=1))
    step = (high - low) / density.grid.cells
    reach = (low + first * step, low + last * step)
    frame = Frame(Axis(*reach, f"predicted {target}"), Axis(*reach, f"actual {target}"), WIDTH)
    body = [
        *frame.background(),
        *cells(frame, density.targets[first:last, first:last]),
        frame.line([(v, v) for v in reach], "dash"),
        *scale(frame, int(density.targets.max())),
    ]
    on_line = int(np.trace(density.targets))
    said = f"{counted(density.rows, 'row')}, {on_line:,} of them in cells on the line where both are the same"
    return picture(body, "Predicted against actual", said, WIDTH + SCALE_HEIGHT)


def residuals_and_predictions(density: Density, target: str) -> str:
    """A picture of rows by prediction and residual; residuals are about zero everywhere if a line suits the data."""
    low, high = density.grid.target_range
    below, above = density.grid.residual_range
    first, last = occupied(density.residuals.sum(axis=1))
    step = (high - low) / density.grid.cells
    frame = Frame(
        Axis(low + first * step, low + last * step, f"predicted {target}"),
        Axis(below, above, f"residual: actual − predicted {target}"),
        WIDTH,
    )
    body = [
        *frame.background(),
        *cells(frame, density.residuals[first:last]),
        frame.line([(frame.x.low, 0.0), (frame.x.high, 0.0)], "dash"),
        *dotted(frame, binned_means(centres(low, high, density.grid.cells), density.residuals, (below, above))),
        *scale(frame, int(density.residuals.max())),
    ]
    said = f"{counted(density.rows, 'row')}; the residual's cells end at ±{density.grid.residuals:g} RMSE"
    return picture(body, "Residuals against predictions", said, WIDTH + SCALE_HEIGHT)


def residual_histogram(density: Density, target: str) -> str:
    """A picture of rows by residual, with the normal distribution of the same RMSE."""
    counts = density.residuals.sum(axis=0)
    low, high = density.grid.residual_range
    step, sigma = (high - low) / len(counts), density.grid.typical_residual
    at = np.linspace(low, high, CURVE_POINTS)
    normal = density.rows * step / (sigma * math.sqrt(2 * math.pi)) * np.exp(-0.5 * (at / sigma) ** 2)
    top = max(float(counts.max()), float(normal.max())) * 1.05
    frame = Frame(Axis(low, high, f"residual: actual − predicted {target}"), Axis(0.0, top, "rows"), WIDTH)
    ground = frame.at(0.0, 0.0)[1]
    bars = []
    for k, count in enumerate(counts.tolist()):
        if count:
            left, right, y = frame.across(low + k * step), frame.across(low + (k + 1) * step), frame.at(0.0, count)[1]
            bars.append(f"M{left:.1f} {ground:.1f}V{y:.1f}H{right:.1f}V{ground:.1f}Z")
    body = [
        *frame.background(),
        f'<path class="bar" d="{"".join(bars)}"/>',
        frame.line(zip(at.tolist(), normal.tolist(), strict=True), "dash"),
    ]
    middle = int(counts[np.abs((np.arange(len(counts)) + 0.5) * step + low) < sigma].sum())
    share, rows = middle / max(density.rows, 1), counted(density.rows, "row")
    said = f"{share:.0%} of {rows} within one RMSE, {number(sigma)}; 68 % if normal"
    return picture(body, "Residuals and the normal curve", said, WIDTH)


def quantiles(density: Density, target: str) -> str:
    """A picture of the residuals' quantiles against those of the normal distribution; a straight line if normal.

    A dot stands at each edge between cells, where the share of rows below is known exactly.
    """
    below = np.cumsum(density.residuals.sum(axis=0))[:-1].tolist()
    low, high = density.grid.residual_range
    edges = np.linspace(low, high, density.grid.cells + 1)[1:-1].tolist()
    normal, rows = NormalDist(), density.rows
    dots = [(normal.inv_cdf(n / rows), edge) for n, edge in zip(below, edges, strict=True) if 0 < n < rows]
    # an edge with no row between it and the one before says nothing new
    dots = [dot for before, dot in zip([None, *dots], dots, strict=False) if before is None or before[0] != dot[0]]
    if len(dots) < 2:
        return ""
    reach = max(3.0, *(abs(z) for z, _ in dots)) * 1.05
    sigma = density.grid.typical_residual
    frame = Frame(
        Axis(-reach, reach, "normal quantile, SDs"), Axis(low, high, f"residual: actual − predicted {target}"), WIDTH
    )
    end = min(reach, density.grid.residuals)
    circles = "".join(
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in (frame.at(*dot) for dot in dots)
    )
    body = [*frame.background(), frame.line([(-end, -end * sigma), (end, end * sigma)], "dash"), circles]
    (_, least), (_, most) = dots[0], dots[-1]
    said = f"{len(dots)} quantiles from {number(least)} to {number(most)}; on the dashed line if normal"
    return picture(body, "Quantiles of the residuals", said, WIDTH)


def fitted_line(density: Density, feature: str, target: str, coef: tuple[float, float]) -> str:
    """A picture of rows by the only feature and the target, with the fitted line; `coef` is (intercept, slope)."""
    reach, up = density.grid.features[0].reach(density.grid.spreads), density.grid.target_range
    first, last = occupied(density.line.sum(axis=1))
    lowest, highest = occupied(density.line.sum(axis=0))
    x, y = (np.linspace(*ends, density.grid.cells + 1) for ends in (reach, up))
    frame = Frame(Axis(x[first], x[last], feature), Axis(y[lowest], y[highest], f"actual {target}"), WIDTH)
    intercept, slope = coef
    ends = [x[first], x[last]]
    if slope:  # the part of the line within the picture
        crossings = sorted((height - intercept) / slope for height in (y[lowest], y[highest]))
        ends = [max(ends[0], crossings[0]), min(ends[1], crossings[1])]
    means = binned_means(centres(*reach, density.grid.cells), density.line, up)
    body = [
        *frame.background(),
        *cells(frame, density.line[first:last, lowest:highest]),
        frame.line([(at, intercept + slope * at) for at in ends], "fitted"),
        *dotted(frame, means),
        *scale(frame, int(density.line.max())),
    ]
    said = f"{counted(density.rows, 'row')}; {target} = {number(intercept)} + {number(slope)} · {feature}"
    return picture(body, "Data and the fitted line", said, WIDTH + SCALE_HEIGHT)


def dotted(frame: Frame, points: Sequence[tuple[float, float]]) -> list[str]:
    """A line through points, with a dot at each, that stands out from the cells below it."""
    dots = "".join(
        f'<circle class="step" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in (frame.at(*at) for at in points)
    )
    return [frame.line(points, "under"), frame.line(points, "mean"), dots]


def binned_means(
    across: NDArray[np.float64], counts: NDArray[np.int64], reach: tuple[float, float]
) -> list[tuple[float, float]]:
    """The mean of about `GROUPS` groups of rows with neighbouring values, to half a cell of what the mean is of.

    The last group takes in what is left where that is less than half a group: a mean of a few rows looks like a bend.

    Args:
        across: The middle of each cell of the value, ascending, shape (n,).
        counts: Rows by cell of the value (first axis) and of what the mean is of.
        reach: The range of the cells of what the mean is of.

    Returns:
        The mean value, and the mean, of each group.
    """
    up = centres(*reach, counts.shape[1])
    of_cell = counts.sum(axis=1)
    enough = int(of_cell.sum()) / GROUPS
    ends = [0]
    for end in range(1, len(of_cell) + 1):
        if of_cell[ends[-1] : end].sum() >= max(enough, 1):
            ends.append(end)
    if left := int(of_cell[ends[-1] :].sum()):
        if left < enough / 2:
            ends.pop()
        ends.append(len(of_cell))
    groups = []
    for part in map(slice, ends[:-1], ends[1:]):
        rows = int(of_cell[part].sum())
        groups.append((float(of_cell[part] @ across[part]) / rows, float(counts[part].sum(axis=0) @ up) / rows))
    return groups


def centres(low: float, high: float, n: int) -> NDArray[np.float64]:
    """The middle of each of n cells."""
    edges = np.linspace(low, high, n + 1)
    middles: NDArray[np.float64] = edges[:-1] / 2 + edges[1:] / 2
    return middles


def occupied(counts: NDArray[np.int64], margin: int = 2) -> tuple[int, int]:
    """The slice of cells from the first with rows to the last, and some more on either side; all if none has rows."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return 0, len(counts)
    return max(int(filled[0]) - margin, 0), min(int(filled[-1]) + margin + 1, len(counts))
