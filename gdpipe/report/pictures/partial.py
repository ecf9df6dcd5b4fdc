"""Partial residuals by a feature: what the other features leave of the target, and what this one makes of it."""

import math
from dataclasses import replace

import numpy as np

from gdpipe.numerics.rows.density import Density
from gdpipe.report.pictures.axes import Axis, Frame, picture
from gdpipe.report.pictures.densities import binned_means, centres, dotted, occupied
from gdpipe.report.pictures.shades import SCALE_HEIGHT, cells, scale
from gdpipe.report.pictures.ticks import number

# heights of both parts, and what the lower one takes of the upper one, which has no numbers below it
HEIGHT, STRIP, BELOW = 240, 110, 34
# means of residuals are drawn beside this part of the RMSE, or a larger one of them
LEAST_REACH = 0.25
# part of the range of residuals that is drawn: where means can be seen to bend
SHOWN = 0.5
# cells upward, at most about
MOST_LINES = 64


def partial_residuals(density: Density, place: int, feature: str, target: str, coef: float) -> str:
    """A picture of residual + coef · (value - its mean) by the value of one feature, and of the means of residuals.

    Args:
        density: The counts of rows.
        place: The feature's place among the grid's.
        feature: The name of its term.
        target: The name of the target.
        coef: Its coefficient, of the fit that the residuals are of, in target units per unit of the feature.

    Returns:
        SVG; empty where all rows have one value.
    """
    counts, grid = density.by_feature[place], density.grid
    of, (below, above) = grid.features[place], grid.residual_range
    low, high = of.reach(grid.spreads)
    first, last = occupied(counts.sum(axis=1), margin=0)
    step = (above - below) / grid.cells
    if last - first < 2 or not step > 0:
        return ""
    edges = np.linspace(low, high, grid.feature_cells + 1)
    left_out = round(grid.cells * (1 - SHOWN) / 2)
    shown = slice(left_out, grid.cells - left_out)
    residuals = centres(below, above, grid.cells)[shown]
    fitted = coef * (centres(low, high, grid.feature_cells)[first:last] - of.centre)
    # each column of cells is lifted by what the feature adds; lines take whole cells of the residual, so that none has
    # more of them than its neighbours
    bottom, top = (float(end) for end in (fitted.min() + residuals[0] - step, fitted.max() + residuals[-1] + step))
    line = step * max(1, math.ceil((top - bottom) / step / MOST_LINES))
    lines = math.ceil((top - bottom) / line)
    lifted = np.zeros((last - first, lines), np.int64)
    # residuals of a perfect fit are lost in the rounding of what is fitted, which may reach the end
    at = np.minimum(((fitted[:, None] + residuals - bottom) / line).astype(int), lines - 1)
    np.add.at(lifted, (np.arange(last - first)[:, None], at), counts[first:last, shown])
    means = binned_means(centres(low, high, grid.feature_cells), counts, (below, above))
    partial = [(x, min(max(y + coef * (x - of.centre), bottom), top)) for x, y in means]
    across = Axis(edges[first], edges[last], feature)
    # wiggles that are nothing beside the RMSE are drawn as such
    reach = _one_digit(max(LEAST_REACH * grid.typical_residual, *(abs(y) for _, y in means)))
    strip = Frame(across, Axis(-reach, reach, "mean residual", marks=(-reach, 0.0, reach)), STRIP)
    frame = Frame(
        across, Axis(bottom, bottom + lines * line, f"partial residual of {target}"), HEIGHT, least_left=strip.left
    )
    strip = replace(strip, least_left=frame.left)
    body = [
        *frame.background(across=False),
        *cells(frame, lifted),
        frame.line([(x, coef * (x - of.centre)) for x in (across.low, across.high)], "dash"),
        *dotted(frame, partial),
        f'<g transform="translate(0 {HEIGHT - BELOW})">',
        *strip.background(),
        strip.line([(across.low, 0.0), (across.high, 0.0)], "dash"),
        *dotted(strip, means),
        *scale(strip, int(lifted.max())),
        "</g>",
    ]
    least, most = min(means, key=lambda mean: mean[1]), max(means, key=lambda mean: mean[1])
    said = (
        f"Slope {number(coef)}; mean residuals from {number(least[1])} at {number(least[0])} "
        f"to {number(most[1])} at {number(most[0])}"
    )
    height = HEIGHT - BELOW + STRIP + SCALE_HEIGHT
    return picture(body, f"Partial residuals by {feature}", said, height)


def _one_digit(value: float) -> float:
    """A value above 0, rounded up to one digit."""
    unit = 10.0 ** math.floor(math.log10(value))
    return math.ceil(value / unit) * unit
