"""What a line loses on rows that were only summed, and its gradient there."""

from fractions import Fraction

import numpy as np
import pytest

from gdpipe.numerics.problem.covariance import CrossProducts, square_root
from gdpipe.numerics.rows.linear import gradient_of_sums, mean_squared_error
from gdpipe.numerics.sums.float_moments import Float64Accumulator, Float64Moments
from tests.numerics.build import Floats, moments, problem, random_data

X_HAND, Y_HAND = np.array([[1.0, 2.0, 6.0]]), np.array([1.0, 0.0, 2.0])


@pytest.mark.parametrize("centred", [True, False])
def test_three_rows_by_hand(centred: bool) -> None:
    cross = CrossProducts.of(moments(np.vstack([X_HAND, Y_HAND])), centred=centred)
    # errors of y = x/2 - 1: 1.5, 0, 0
    assert mean_squared_error(cross, [0.5], -1.0) == Fraction(3, 4)
    # of y = 0: the mean square
    assert mean_squared_error(cross, [0.0], 0.0) == Fraction(5, 3)


@pytest.mark.parametrize("centred", [True, False])
def test_weights_count_as_repeated_rows(centred: bool) -> None:
    weighted = CrossProducts.of(moments(np.vstack([X_HAND, Y_HAND]), np.array([2.0, 1.0, 0.0])), centred=centred)
    assert mean_squared_error(weighted, [0.5], -1.0) == Fraction(2 * 9, 4 * 3)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_any_line_loses_what_it_loses_row_by_row(centred: bool, weighted: bool, exact: bool) -> None:
    X, y = random_data(7)
    rng = np.random.default_rng(7)
    columns = np.ascontiguousarray(np.column_stack([X, y]).T)
    weights = rng.uniform(0.1, 3.0, len(y)) if weighted else None
    coef, intercept = rng.normal(size=X.shape[1]) / X.std(axis=0), float(rng.normal())
    expected = np.average((y - X @ coef - intercept) ** 2, weights=weights)
    sums = moments(columns, weights) if exact else _float64(columns, weights)
    found = mean_squared_error(CrossProducts.of(sums, centred=centred), coef.tolist(), intercept)
    assert float(found) == pytest.approx(expected, rel=1e-12 if exact else 1e-9)


def _float64(columns: Floats, weights: Floats | None) -> Float64Moments:
    accumulator = Float64Accumulator(len(columns))
    accumulator.add(columns, weights)
    return accumulator.moments()


def test_a_huge_offset_costs_no_digit() -> None:
    x = 1e9 + np.arange(8.0)
    cross = CrossProducts.of(moments(np.vstack([x, 3 * x + 0.5])), centred=True)
    assert mean_squared_error(cross, [3.0], 0.25) == Fraction(1, 16)


def test_of_the_fit_itself_it_is_the_loss() -> None:
    p = problem(*random_data(3))
    w = np.linalg.solve(p.loss.hessian, p.loss.linear).astype(np.float64)
    coef, intercept = p.scaling.to_original(w.tolist())
    found = mean_squared_error(p.cross, [float(c) for c in coef], float(intercept))
    assert square_root(found) ** 2 == pytest.approx(p.loss.loss(w), rel=1e-12)


def test_the_gradient_of_two_rows_by_hand() -> None:
    # x = 1, 3 and y = 2, 8 on the line 1 + 2x: e = -1, 1; z = (x - 1) / 2 = 0, 1; Σe·z = 1
    cross = CrossProducts.of(moments(np.array([[1.0, 3.0], [2.0, 8.0]])), centred=True)
    found = gradient_of_sums(cross, np.array([2.0]), 1.0, np.array([1.0]), np.array([2.0]))
    assert found.tolist() == [1.0]


def test_the_gradient_of_two_weighted_rows_by_hand() -> None:
    # the same, the second row three times
    cross = CrossProducts.of(moments(np.array([[1.0, 3.0], [2.0, 8.0]]), np.array([1.0, 3.0])), centred=True)
    found = gradient_of_sums(cross, np.array([2.0]), 1.0, np.array([1.0]), np.array([2.0]))
    assert found.tolist() == [3.0]


@pytest.mark.parametrize("exact", [True, False])
def test_the_gradient_is_what_the_rows_give(exact: bool) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(4, 500)) * [[1e3], [1.0], [1e-4], [20.0]] + [[5e4], [0.0], [1.0], [-3.0]]
    coef, intercept, means, scales = rng.normal(size=3), 0.7, rows[:3, :9].mean(axis=1), np.array([900.0, 1.1, 2e-4])
    if exact:
        cross = CrossProducts.of(moments(rows), centred=True)
    else:
        accumulator = Float64Accumulator(4)
        accumulator.add(rows)
        cross = CrossProducts.of(accumulator.moments(), centred=True)
    error = rows[3] - intercept - coef @ rows[:3]
    z = (rows[:3] - means[:, None]) / scales[:, None]
    size = np.abs(z) @ np.abs(error)
    np.testing.assert_array_less(
        np.abs(gradient_of_sums(cross, coef, intercept, means, scales) - z @ error), size * 1e-12
    )
