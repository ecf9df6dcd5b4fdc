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
    fitted = coef * (centres(low, high, grid.feature_cells)[first:last] - of.centre)
    # each column of cells is lifted by what the feature adds, in whole cells of the residual; a line takes as many of
    # them in each column, as more in one would be stripes
    lift = np.rint((fitted - fitted.min()) / step)
    height = grid.cells - 2 * left_out
    each = max(1, math.ceil((lift.max() + height) / MOST_LINES))
    lines = math.ceil((lift.max() + height) / each)
    at = np.minimum((lift[:, None] + np.arange(height)) // each, lines - 1).astype(int)
    lifted = np.zeros((last - first, lines), np.int64)
    np.add.at(lifted, (np.arange(last - first)[:, None], at), counts[first:last, shown])
    bottom = float(fitted.min()) - height / 2 * step
    top = bottom + lines * each * step
    means = binned_means(centres(low, high, grid.feature_cells), counts, (below, above))
    partial = [(x, min(max(y + coef * (x - of.centre), bottom), top)) for x, y in means]
    across = Axis(edges[first], edges[last], feature)
    ends = [across.low, across.high]
    if coef:  # the part of the line within the picture
        crossings = sorted(of.centre + y / coef for y in (bottom, top))
        ends = [max(ends[0], crossings[0]), min(ends[1], crossings[1])]
    # wiggles that are nothing beside the RMSE are drawn as such
    reach = _one_digit(max(LEAST_REACH * grid.typical_residual, *(abs(y) for _, y in means)))
    strip = Frame(across, Axis(-reach, reach, "mean residual", marks=(-reach, 0.0, reach)), STRIP)
    frame = Frame(across, Axis(bottom, top, f"partial residual of {target}"), HEIGHT, least_left=strip.left)
    strip = replace(strip, least_left=frame.left)
    body = [
        *frame.background(across=False),
        *cells(frame, lifted),
        frame.line([(x, coef * (x - of.centre)) for x in ends], "dash"),
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
    return picture(body, f"Partial residuals by {feature}", said, HEIGHT - BELOW + STRIP + SCALE_HEIGHT)


def _one_digit(value: float) -> float:
    """A value above 0, rounded up to one digit."""
    unit = 10.0 ** math.floor(math.log10(value))
    return math.ceil(value / unit) * unit
