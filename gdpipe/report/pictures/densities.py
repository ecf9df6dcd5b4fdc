"""Densities of rows: predicted against actual values, residuals against predictions, and residuals alone."""

import math

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.rows.density import Density
from gdpipe.report.pictures.axes import SHADES, WIDTH, Axis, Frame, number, picture

# overlap of neighbouring cells, so that no gap is seen between them
OVERLAP = 0.4
CURVE_POINTS = 121


def predicted_and_actual(density: Density, target: str) -> str:
    """A picture of rows by predicted and actual value, with the line on which both are the same."""
    low, high = density.grid.target_range
    first, last = _occupied(density.targets.sum(axis=0) + density.targets.sum(axis=1))
    step = (high - low) / density.grid.cells
    reach = (low + first * step, low + last * step)
    frame = Frame(Axis(*reach, f"predicted {target}"), Axis(*reach, f"actual {target}"), WIDTH)
    body = [
        *frame.background(),
        *_cells(frame, density.targets[first:last, first:last]),
        frame.line([(v, v) for v in reach], "dash"),
    ]
    on_line = int(np.trace(density.targets))
    said = f"{density.rows:,} rows, {on_line:,} of them in cells on the line where both are the same"
    return picture(body, "Predicted against actual", said, WIDTH)


def residuals_and_predictions(density: Density, target: str) -> str:
    """A picture of rows by prediction and residual; residuals are about zero everywhere if a line suits the data."""
    low, high = density.grid.target_range
    below, above = density.grid.residual_range
    first, last = _occupied(density.residuals.sum(axis=1))
    step = (high - low) / density.grid.cells
    frame = Frame(
        Axis(low + first * step, low + last * step, f"predicted {target}"),
        Axis(below, above, f"residual: actual − predicted {target}"),
        WIDTH,
    )
    body = [
        *frame.background(),
        *_cells(frame, density.residuals[first:last]),
        frame.line([(frame.x.low, 0.0), (frame.x.high, 0.0)], "dash"),
    ]
    said = f"{density.rows:,} rows; the residual's cells end at ±{density.grid.residuals:g} RMSE"
    return picture(body, "Residuals against predictions", said, WIDTH)


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
    said = (
        f"{middle / max(density.rows, 1):.0%} of {density.rows:,} rows within one RMSE, {number(sigma)}; 68 % if normal"
    )
    return picture(body, "Residuals and the normal curve", said, WIDTH)


def _occupied(counts: NDArray[np.int64]) -> tuple[int, int]:
    """The slice of cells from the first with rows to the last, and two more on either side; all if none has rows."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return 0, len(counts)
    return max(int(filled[0]) - 2, 0), min(int(filled[-1]) + 3, len(counts))


def _cells(frame: Frame, counts: NDArray[np.int64]) -> list[str]:
    """Cells as squares, one SVG path for each shade, which grows with the logarithm of the rows."""
    lines, columns = counts.shape
    left, top = frame.at(frame.x.low, frame.y.high)
    right, bottom = frame.at(frame.x.high, frame.y.low)
    width, height = (right - left) / lines, (bottom - top) / columns
    shades = np.ceil(SHADES * np.log1p(counts) / max(math.log1p(int(counts.max(initial=0))), 1e-9)).astype(int)
    square = f"h{width + OVERLAP:.2f}v{-height - OVERLAP:.2f}h{-width - OVERLAP:.2f}z"
    paths = []
    for k in range(1, SHADES + 1):
        squares = "".join(
            f"M{left + i * width:.1f} {bottom - j * height:.1f}{square}" for i, j in np.argwhere(shades == k).tolist()
        )
        if squares:
            paths.append(f'<path class="cell s{k - 1}" d="{squares}"/>')
    return paths
