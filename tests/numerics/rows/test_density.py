"""Counts of rows on cells: by hand, at the edges, and the same however the rows are cut."""

import functools

import numpy as np
import pytest

from gdpipe.numerics.rows.density import BLOCK_ROWS, Density, DensityAccumulator, DensityGrid, FeatureGrid
from tests.numerics.build import Floats

# cells of width 1: target and prediction from -4 to 4, the residual from -2 to 2 in cells of 0.5
SMALL = DensityGrid(centre=0.0, spread=1.0, typical_residual=1.0, spreads=4.0, residuals=2.0, cells=8)


def count(grid: DensityGrid, prediction: Floats, target: Floats) -> Density:
    accumulator = DensityAccumulator(grid)
    accumulator.add(prediction, target, target - prediction)
    return accumulator.counts()


def test_three_rows_by_hand() -> None:
    found = count(SMALL, np.array([-3.5, 0.25, 0.5]), np.array([-3.5, 1.0, 0.75]))
    targets, residuals = np.zeros((2, 8, 8), int)
    targets[0, 0] = targets[4, 5] = targets[4, 4] = 1
    residuals[0, 4] = residuals[4, 5] = residuals[4, 4] = 1
    np.testing.assert_array_equal(found.targets, targets)
    np.testing.assert_array_equal(found.residuals, residuals)
    assert found.rows == 3


@pytest.mark.parametrize(("value", "cell"), [(-1e300, 0), (-4.0, 0), (-3.0, 1), (3.999, 7), (4.0, 7), (1e300, 7)])
def test_what_lies_beyond_is_counted_at_the_edge(value: float, cell: int) -> None:
    found = count(SMALL, np.array([0.0]), np.array([value]))
    assert found.targets[4, cell] == 1
    assert found.rows == 1


def test_the_same_as_a_histogram_of_numpy() -> None:
    rng = np.random.default_rng(0)
    prediction = rng.normal(3.0, 2.0, 5_000)
    target = prediction + rng.normal(0.0, 0.5, 5_000)
    grid = DensityGrid(3.0, 2.1, 0.5)
    found = count(grid, prediction, target)
    across, up = (np.clip(v, *grid.target_range) for v in (prediction, target))
    expected, *_ = np.histogram2d(across, up, bins=grid.cells, range=[grid.target_range, grid.target_range])
    np.testing.assert_array_equal(found.targets, expected)
    residual = np.clip(target - prediction, *grid.residual_range)
    expected, *_ = np.histogram2d(across, residual, bins=grid.cells, range=[grid.target_range, grid.residual_range])
    np.testing.assert_array_equal(found.residuals, expected)


@pytest.mark.parametrize("cut", [1, 7, 999, 5_000])
def test_any_cut_gives_the_same_counts(cut: int) -> None:
    rng = np.random.default_rng(1)
    prediction, target = rng.standard_cauchy((2, 5_000))
    whole = count(SMALL, prediction, target)
    parts = [count(SMALL, prediction[i : i + cut], target[i : i + cut]) for i in range(0, 5_000, cut)]
    joined = functools.reduce(Density.__add__, parts)
    np.testing.assert_array_equal(joined.targets, whole.targets)
    np.testing.assert_array_equal(joined.residuals, whole.residuals)
    assert joined.rows == 5_000


def by_feature(x: Floats, target: Floats, residual: Floats, cut: int) -> Density:
    """Counts of rows with one feature, in parts of this many rows."""
    grid = DensityGrid(0.0, 1.0, 1.0, features=(FeatureGrid(1, 0, 2.0, 0.5),), feature_cells=6, cells=10, alone=True)
    parts = []
    for i in range(0, len(x), cut):
        accumulator, rows = DensityAccumulator(grid), slice(i, i + cut)
        numbers = [np.full(len(x), np.nan)[rows], x[rows]]
        accumulator.add((target - residual)[rows], target[rows], residual[rows], numbers)
        parts.append(accumulator.counts())
    return functools.reduce(Density.__add__, parts)


@pytest.mark.parametrize("cut", [37, 5_000, 2 * BLOCK_ROWS + 7])
def test_features_are_counted_with_residual_and_target_as_by_numpy(cut: int) -> None:
    rng = np.random.default_rng(2)
    x, target, residual = rng.normal([2.0, 0.0, 0.0], [0.5, 1.0, 1.0], (2 * BLOCK_ROWS + 7, 3)).T
    found = by_feature(x, target, residual, cut)
    ends = [(0.0, 4.0), (-5.0, 5.0), (-4.0, 4.0)]
    held = [np.clip(v, *reach) for v, reach in zip((x, residual, target), ends, strict=True)]
    expected, *_ = np.histogram2d(held[0], held[1], bins=(6, 10), range=ends[:2])
    np.testing.assert_array_equal(found.by_feature[0], expected)
    expected, *_ = np.histogram2d(held[0], held[2], bins=10, range=[ends[0], ends[2]])
    np.testing.assert_array_equal(found.line, expected)


def test_a_feature_whose_spread_is_nothing_beside_its_mean_has_no_cells() -> None:
    assert FeatureGrid(0, 0, 1e3, 1.0).has_cells
    assert not FeatureGrid(0, 0, 1e15, 1e-3).has_cells
