"""Sums by cell: any assignment of rows to cells adds up to the whole, bit for bit, and what is taken away is gone."""

import functools
import operator

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gdpipe.numerics.problem import baseline as ols
from gdpipe.numerics.problem.covariance import CrossProducts, Scaling
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.sums.digits import BLOCK_ROWS, Scratch
from gdpipe.numerics.sums.float_moments import Float64Accumulator
from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator, grid_exponents
from tests.numerics.build import Floats, moments

ROWS = 2 * BLOCK_ROWS + 77  # a cell goes on from one block to the next
RNG = np.random.default_rng(0)
COLUMNS = RNG.normal(size=(4, ROWS)) * np.array([[1.0], [1e-5], [1e9], [3.0]])
COLUMNS[3] = np.rint(COLUMNS[3])  # leaves digits empty
WEIGHTS = RNG.uniform(0.1, 2, ROWS)
GRID, WEIGHT_GRID = grid_exponents(np.abs(COLUMNS).max(axis=1)), int(grid_exponents(np.array([2.0]))[0])


def assert_same(a: Moments, b: Moments) -> None:
    """In every integer, and on the same grid."""
    assert (a.n_samples, a.weight, a.weight_exponent) == (b.n_samples, b.weight, b.weight_exponent)
    assert a.exponents.tolist() == b.exponents.tolist()
    assert a.sums.tolist() == b.sums.tolist()
    assert a.products.tolist() == b.products.tolist()


def gathered(cells: NDArray[np.int64] | int, *, weighted: bool, lowest: int = 0, cuts: int = 1) -> dict[int, Moments]:
    accumulator = MomentsAccumulator(GRID, WEIGHT_GRID if weighted else None, lowest)
    for rows in np.array_split(np.arange(ROWS), cuts):
        of_rows = cells if isinstance(cells, int) else cells[rows]
        accumulator.add(COLUMNS[:, rows], WEIGHTS[rows] if weighted else None, of_rows)
    return {cell: accumulator.moments(cell) for cell in accumulator.cells}


@pytest.mark.parametrize("lowest", [0, 1])
@pytest.mark.parametrize("weighted", [False, True])
@settings(max_examples=6)
@given(seed=st.integers(0, 10**6), n_cells=st.sampled_from([1, 3, 60]), cuts=st.sampled_from([1, 3]))
def test_any_assignment_of_rows_to_cells_sums_to_the_total(
    weighted: bool, lowest: int, seed: int, n_cells: int, cuts: int
) -> None:
    cells = np.random.default_rng(seed).integers(-1, n_cells - 1, ROWS)
    parts = gathered(cells, weighted=weighted, lowest=lowest, cuts=cuts)
    assert sorted(parts) == sorted(set(cells.tolist()))
    [whole] = gathered(0, weighted=weighted, lowest=lowest).values()
    assert_same(functools.reduce(operator.add, parts.values()), whole)
    cell = int(cells[0])
    alone = MomentsAccumulator(GRID, WEIGHT_GRID if weighted else None, lowest)
    rows = cells == cell
    alone.add(COLUMNS[:, rows], WEIGHTS[rows] if weighted else None)
    assert_same(parts[cell], alone.moments())


def test_cells_as_bytes_and_columns_in_a_list_make_the_same_sums() -> None:
    cells = RNG.integers(0, 200, ROWS)
    accumulator = MomentsAccumulator(GRID, WEIGHT_GRID)
    accumulator.add(list(COLUMNS), WEIGHTS, cells.astype(np.uint8))
    for cell, found in gathered(cells, weighted=True).items():
        assert_same(accumulator.moments(cell), found)


def test_blocks_of_one_cell_each_are_what_they_are_alone() -> None:
    """Two cells in turn, and accumulators of other widths that share the scratch."""
    scratch = Scratch()
    accumulator = MomentsAccumulator(GRID, scratch=scratch)
    narrow = MomentsAccumulator(GRID[:1], scratch=scratch)
    starts = range(0, ROWS, 500)
    for number, start in enumerate(starts):
        narrow.add(COLUMNS[:1, start : start + 500])  # the scratch grows after it
        accumulator.add(COLUMNS[:, start : start + 500], cells=number % 2)
    for cell in (0, 1):
        alone = MomentsAccumulator(GRID)
        for start in starts[cell::2]:
            alone.add(COLUMNS[:, start : start + 500])
        assert_same(accumulator.moments(cell), alone.moments())
    assert_same(accumulator.moments(5), Moments.zero(GRID))
    narrow_alone = MomentsAccumulator(GRID[:1])
    narrow_alone.add(COLUMNS[:1])
    assert_same(narrow.moments(), narrow_alone.moments())


def test_the_total_without_a_fold_is_the_fit_of_the_other_rows() -> None:
    """To the last bit the sums, and the line that statsmodels fits to the rows that are left."""
    cells = RNG.integers(0, 5, ROWS)
    X, y = COLUMNS[:3], np.array([2.0, 3e4, -1e-9]) @ COLUMNS[:3] + RNG.normal(size=ROWS)
    rows = np.vstack([X, y])
    accumulator = MomentsAccumulator(grid_exponents(np.abs(rows).max(axis=1)))
    accumulator.add(rows, cells=cells)
    folds = [accumulator.moments(fold) for fold in range(5)]
    total = functools.reduce(operator.add, folds)
    for fold in range(5):
        left = cells != fold
        trained_on = total - folds[fold]
        assert_same(trained_on, moments(rows[:, left], largest=np.abs(rows).max(axis=1)))
        cross = CrossProducts.of(trained_on, centred=True)
        scaling = Scaling.of(cross)
        baseline = ols.solve(LeastSquares.of(cross), ())
        coef, intercept = scaling.to_original(baseline.coef_scaled)
        refit = sm.OLS(y[left], sm.add_constant((X / scaling.scales[:, None]).T[left])).fit()
        np.testing.assert_allclose(np.array(coef, float) * scaling.scales, refit.params[1:], rtol=1e-9)
        assert float(intercept) == pytest.approx(refit.params[0], rel=1e-9)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_float64_sums_by_cell_are_those_of_its_rows(weights: Floats | None) -> None:
    cells = RNG.integers(0, 3, ROWS)
    accumulator = Float64Accumulator(4)
    accumulator.add(COLUMNS, weights, cells)
    assert sorted(accumulator.cells) == [0, 1, 2]
    for cell in accumulator.cells:
        rows = cells == cell
        of_rows = None if weights is None else weights[rows]
        found = accumulator.moments(cell)
        assert found.n_samples == rows.sum()
        np.testing.assert_allclose(found.means, np.average(COLUMNS[:, rows], axis=1, weights=of_rows), rtol=1e-9)
        expected = np.cov(COLUMNS[:, rows], aweights=of_rows, ddof=0) * found.weight
        np.testing.assert_allclose(found.comoments, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
