"""Pictures from counts: means of groups, quantiles, the fitted line and the cells, by hand."""

import re
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdpipe.numerics.rows.density import Density, DensityAccumulator, DensityGrid, FeatureGrid
from gdpipe.report.pictures.axes import Axis, Frame
from gdpipe.report.pictures.densities import binned_means, fitted_line, quantiles
from gdpipe.report.pictures.partial import HEIGHT, partial_residuals
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


def test_a_few_rows_left_over_are_part_of_the_last_group() -> None:
    counts = np.array([[0, 40], [0, 40], [1, 0]])
    centres = np.array([0.0, 1.0, 2.0])
    # 81 rows: a group has at least 4.05; the one at 2 alone is less than half of that
    assert binned_means(centres, counts, (-2.0, 2.0)) == [(0.0, 1.0), (42 / 41, 39 / 41)]
    counts[2, 0] = 4
    assert binned_means(centres, counts, (-2.0, 2.0))[2] == (2.0, -1.0)


def partial(x: np.ndarray, residual: np.ndarray, coef: float) -> str:
    return partial_residuals(of(x, residual), 0, "x", "y", coef)


def test_the_means_by_feature_show_a_bend() -> None:
    x = np.random.default_rng(0).uniform(-2, 2, 20_000)
    said = re.search(r"means? residuals? from (\S+) at (\S+) to (\S+) at (\S+)\"", partial(x, (x**2 - 4 / 3), 2.0))
    assert said
    least, middle, most, end = (float(v.replace("−", "-")) for v in said.groups())
    assert least == pytest.approx(-4 / 3, abs=0.15)
    assert abs(middle) < 0.4
    assert most > 1.5
    assert abs(end) > 1.5


@pytest.mark.parametrize("coef", [0.0, 2.0, -40.0])
def test_partial_residuals_lie_about_the_line_of_their_coefficient(coef: float) -> None:
    rng = np.random.default_rng(0)
    x, residual = rng.uniform(-2, 2, 20_000), rng.normal(scale=0.5, size=20_000)
    svg = partial(x, residual, coef)
    lines = re.findall(r'<polyline class="(dash|mean)" points="([^"]*)"', svg)
    drawn = [(style, np.array([pair.split(",") for pair in at.split()], float)) for style, at in lines]
    (fit, means, zero, alone) = (at for _, at in drawn)
    assert [style for style, _ in drawn] == ["dash", "mean", "dash", "mean"]
    slope = (fit[1, 1] - fit[0, 1]) / (fit[1, 0] - fit[0, 0])
    assert np.sign(slope) == -np.sign(coef)
    np.testing.assert_allclose(means[:, 1], fit[0, 1] + slope * (means[:, 0] - fit[0, 0]), atol=4)
    # below, the same groups without the coefficient, whose mean residuals are nothing beside the RMSE
    np.testing.assert_array_equal(alone[:, 0], means[:, 0])
    np.testing.assert_allclose(alone[:, 1], zero[0, 1], atol=6)
    # cells: every row within 2.5 RMSE once
    scale = re.search(r">([\d,]+) rows a cell<", svg)
    assert scale
    assert 1 < int(scale[1].replace(",", "")) < 20_000


def test_cells_of_partial_residuals_are_lifted_by_the_coefficient() -> None:
    # two values of x, one residual: two cells, as far apart as the coefficient says
    x = np.repeat([-1.0, 1.0], 50)
    svg = partial(x, np.full(100, 0.3), 3.0)
    [group] = re.findall(r'<g class="cell"[^>]*transform="matrix\(([\d.]+) 0 0 -([\d.]+) [^"]*">(.*?)</g>', svg)
    strokes = [(int(a), int(b)) for a, b in re.findall(r"M(\d+) (\d+)h1.1", group[2])]
    assert len(strokes) == 2
    (left, low), (right, high) = sorted(strokes)
    ends = re.findall(r'<polyline class="dash" points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"', svg)[0]
    x0, y0, x1, y1 = map(float, ends)
    risen = (high - low) * float(group[1])
    assert risen == pytest.approx((y0 - y1) / (x1 - x0) * (right - left) * float(group[0]), abs=float(group[1]))


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e3))
def test_cells_of_partial_residuals_have_no_stripes(coef: float, typical: float) -> None:
    grid = DensityGrid(0.0, 2.0, typical, features=(FeatureGrid(0, 0, 3.0, 1.0),))
    alike = np.ones((1, grid.feature_cells, grid.cells), int)
    svg = partial_residuals(replace(of(np.zeros(3), np.zeros(3)), grid=grid, by_feature=alike), 0, "x", "y", coef)
    [full] = re.findall(r'class="c9" d="([^"]*)"', svg)
    lines: dict[int, list[int]] = {}
    for first, line, n in re.findall(r"M(\d+) (\d+)h(\d+)\.1", full):
        for column in range(int(first), int(first) + int(n)):
            lines.setdefault(column, []).append(int(line))
    # as many rows in each line of a column, but at its ends, which may have fewer: no line between is missing
    assert all(at == list(range(at[0], at[0] + len(at))) for at in lines.values())
    fit = np.array(re.findall(r'<polyline class="dash" points="([^ ]*) ([^"]*)"', svg)[0][1].split(","), float)
    assert 0 < fit[1] < HEIGHT


def test_a_perfect_fit_has_partial_residuals_too() -> None:
    x = np.linspace(-2, 2, 100)
    grid = DensityGrid(0.0, 2.0, 2.0**-52, features=(FeatureGrid(0, 0, 0.0, 1.2),))
    counter = DensityAccumulator(grid)
    counter.add(2 * x, 2 * x, np.zeros(100), [x])
    assert "Partial residuals by x" in partial_residuals(counter.counts(), 0, "x", "y", 2.0)
    assert partial(np.zeros(9), np.zeros(9), 2.0) == ""


def test_the_fitted_line_stays_in_the_picture() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, 500)
    drawn = fitted_line(of(x, np.zeros(500)), "x", "y", (1.0, 2.0))
    [line] = re.findall(r'<polyline class="fitted" points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"', drawn)
    assert all(0 <= float(v) <= 360 for v in line)
    assert "500 rows; y = 1 + 2 · x" in drawn


def test_the_cell_with_the_most_rows_is_drawn_whatever_their_number() -> None:
    frame = Frame(Axis(0, 1, ""), Axis(0, 1, ""))
    for most in range(1, 3_000):
        [drawn] = cells(frame, np.array([[most]]))
        assert 'class="c9"' in drawn, most


def test_neighbours_of_one_shade_are_one_stroke() -> None:
    counts = np.zeros((6, 2), int)
    counts[[0, 1, 2, 5], 1] = 7
    [drawn] = cells(Frame(Axis(0, 1, ""), Axis(0, 1, "")), counts)
    assert 'd="M0 1h3.1M5 1h1.1"' in drawn
