"""Pictures from counts: means of groups, quantiles, the fitted line and the cells, by hand."""

import re
from statistics import NormalDist

import numpy as np
import pytest

from gdpipe.numerics.rows.density import Density, DensityAccumulator, DensityGrid, FeatureGrid
from gdpipe.report.pictures.axes import Axis, Frame
from gdpipe.report.pictures.densities import binned_means, fitted_line, quantiles, residuals_by_feature
from gdpipe.report.pictures.shades import cells


def test_means_of_groups_by_hand() -> None:
    # residual cells from -2 to 2 have their middles at -1.5, -0.5, 0.5, 1.5
    counts = np.array([[4, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 2]])
    groups = binned_means(np.array([10.0, 20.0, 30.0, 40.0]), counts, (-2.0, 2.0))
    assert groups == [(10.0, -1.5), (30.0, 0.0), (40.0, 1.5)]
    assert binned_means(np.array([1.0]), np.zeros((1, 4), int), (-2.0, 2.0)) == []


def of(x: np.ndarray, residual: np.ndarray) -> Density:
    """The counts of y = 2 x + 1 + residual."""
    grid = DensityGrid(1.0, 2.0, 1.0, features=(FeatureGrid(0, 0, 0.0, 1.0),), alone=True)
    counter = DensityAccumulator(grid)
    counter.add(2 * x + 1, 2 * x + 1 + residual, residual, [x])
    return counter.counts()


def test_normal_residuals_lie_on_the_line_of_quantiles() -> None:
    n = 10_001
    residual = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    drawn = quantiles(of(np.zeros(n), residual), "y")
    dots = np.array(re.findall(r'class="dot" cx="([\d.]+)" cy="([\d.]+)"', drawn), float)
    [line] = re.findall(r'<polyline class="dash" points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"', drawn)
    x0, y0, x1, y1 = map(float, line)
    assert len(dots) > 50
    middle = dots[5:-5]  # beyond a handful of rows the share is that of single rows
    np.testing.assert_allclose(middle[:, 1], y0 + (middle[:, 0] - x0) * (y1 - y0) / (x1 - x0), atol=0.4)
    assert quantiles(of(np.zeros(3), np.zeros(3)), "y") == ""


def test_the_means_by_feature_show_a_bend() -> None:
    x = np.random.default_rng(0).uniform(-2, 2, 20_000)
    bent = residuals_by_feature(of(x, (x**2 - 4 / 3)), 0, "x", "y")
    said = re.search(r"Means from (\S+) at (\S+) to (\S+) at (\S+)\"", bent)
    assert said
    least, middle, most, end = (float(v.replace("−", "-")) for v in said.groups())
    assert least == pytest.approx(-4 / 3, abs=0.15)
    assert abs(middle) < 0.4
    assert most > 1.5
    assert abs(end) > 1.5


def test_the_fitted_line_stays_in_the_picture() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, 500)
    drawn = fitted_line(of(x, np.zeros(500)), "x", "y", (1.0, 2.0))
    [line] = re.findall(r'<polyline class="fitted" points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"', drawn)
    assert all(0 <= float(v) <= 360 for v in line)
    assert "500 rows; y = 1 + 2 · x" in drawn


def test_neighbours_of_one_shade_are_one_stroke() -> None:
    counts = np.zeros((6, 2), int)
    counts[[0, 1, 2, 5], 1] = 7
    [drawn] = cells(Frame(Axis(0, 1, ""), Axis(0, 1, "")), counts)
    assert 'd="M0 1h3.1M5 1h1.1"' in drawn
