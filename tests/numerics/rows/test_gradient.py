"""The gradient of rows that are known by their sums only."""

import numpy as np
import pytest

from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.rows.gradient import gradient_of_sums
from gdpipe.numerics.sums.float_moments import Float64Accumulator
from tests.numerics.build import moments


def test_two_rows_by_hand() -> None:
    # x = 1, 3 and y = 2, 8 on the line 1 + 2x: e = -1, 1; z = (x - 1) / 2 = 0, 1; Σe·z = 1
    cross = CrossProducts.of(moments(np.array([[1.0, 3.0], [2.0, 8.0]])), centred=True)
    found = gradient_of_sums(cross, np.array([2.0]), 1.0, np.array([1.0]), np.array([2.0]))
    assert found.tolist() == [1.0]


def test_two_weighted_rows_by_hand() -> None:
    # the same, the second row three times
    cross = CrossProducts.of(moments(np.array([[1.0, 3.0], [2.0, 8.0]]), np.array([1.0, 3.0])), centred=True)
    found = gradient_of_sums(cross, np.array([2.0]), 1.0, np.array([1.0]), np.array([2.0]))
    assert found.tolist() == [3.0]


@pytest.mark.parametrize("exact", [True, False])
def test_it_is_what_the_rows_give(exact: bool) -> None:
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
