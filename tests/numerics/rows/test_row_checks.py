"""Rows against sums: equal but for rounding, and nothing more is allowed."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdpipe.numerics.problem.covariance import CrossProducts, Scaling
from gdpipe.numerics.rows import linear
from gdpipe.numerics.rows.linear import mean_error
from gdpipe.numerics.rows.probe import Probe
from gdpipe.numerics.rows.row_checks import LineGaps, RowCheck, weight_check
from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator, grid_exponents
from tests.numerics.build import Floats, moments, rounded_moments


def rows(seed: int, n: int = 60) -> tuple[Floats, Floats]:
    """Columns [x1, x2, y] of sizes and offsets far apart, shape (3, n), and weights far apart."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(3, n)) * 10.0 ** rng.integers(-5, 6, (3, 1)) + 10.0 ** rng.integers(-3, 8, (3, 1))
    return columns, 10.0 ** rng.uniform(-6, 3, n)


def errors_of(columns: Floats, coef: Floats, intercept: float, weights: Floats | None, unit: float = 1.0) -> Moments:
    e = (columns[-1] - linear.predict(columns[:-1], coef, intercept)) / unit
    grid = grid_exponents(np.array([2 * np.abs(e).max()]), every=1)
    weight_exponent = None if weights is None else int(grid_exponents(np.array([weights.max()]))[0])
    accumulator = MomentsAccumulator(grid, weight_exponent)
    accumulator.add([e], weights)
    return accumulator.moments()


def gaps(columns: Floats, sums_of: Floats, coef: Floats, weights: Floats | None, *, exact: bool = True) -> LineGaps:
    summed = moments(sums_of, weights) if exact else rounded_moments(sums_of, weights)
    errors = errors_of(columns, coef, 0.5, weights, 2.0)
    return LineGaps.of(errors, 2.0, summed, coef, 0.5, np.abs(columns).max(axis=1))


def kept(found: LineGaps) -> bool:
    return found.mean <= found.mean_limit and found.square <= found.square_limit


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_the_rows_that_were_summed_agree_within_rounding(seed: int, weighted: bool, exact: bool) -> None:
    columns, weights = rows(seed)
    rng = np.random.default_rng(seed)
    assert kept(gaps(columns, columns, rng.normal(size=2), weights if weighted else None, exact=exact))
    # a perfect fit leaves nothing but rounding
    columns[-1] = 0.5 + columns[0] - 3 * columns[1]
    assert kept(gaps(columns, columns, np.array([1.0, -3.0]), weights if weighted else None, exact=exact))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_other_rows_do_not(weighted: bool, exact: bool) -> None:
    rng = np.random.default_rng(1)
    columns, weights, coef = rng.normal(size=(3, 60)), rng.uniform(0.5, 2, 60), np.array([2.0, -1.0])
    shift, scale = np.array([[0], [0], [1e-9]]), np.array([[1], [1 + 1e-9], [1]])
    for changed in (columns + shift, columns * scale, columns * scale[[1, 0, 2]], columns[[1, 0, 2]]):
        assert kept(gaps(columns, columns, coef, weights if weighted else None, exact=exact))
        assert not kept(gaps(changed, columns, coef, weights if weighted else None, exact=exact))


def test_gaps_are_those_of_rational_arithmetic() -> None:
    columns = np.array([[1.0, 2.0, 4.0, 8.0], [3.0, 1.0, 1.0, 0.0], [5.0, 1.0, 0.0, 2.0]])
    coef = np.array([0.5, 2.0])
    e = [Fraction(y) - Fraction(a) / 2 - 2 * Fraction(b) - Fraction(1, 2) for a, b, y in columns.T]
    other = [v + 1 for v in e]
    found = gaps(columns + np.array([[0], [0], [1]]), columns, coef, None)
    assert found.mean == 1
    assert found.square == abs(float(sum(v * v for v in other) - sum(v * v for v in e))) / 4
    cross = CrossProducts.of(moments(columns), centred=False)
    assert mean_error(cross, coef.tolist(), 0.5) == sum(e) / 4


def test_weights_of_exact_sums_are_equal_and_of_float64_sums_nearly() -> None:
    columns, weights = rows(3)
    errors = errors_of(columns, np.zeros(2), 0.0, weights)
    assert weight_check(errors, moments(columns, weights)) == RowCheck("row_weight_gap", 0.0, 0.0)
    rounded = weight_check(errors, rounded_moments(columns, weights))
    assert 0 <= rounded.value <= rounded.limit < 1e-9
    more = weight_check(errors, moments(columns, weights * (1 + 1e-12)))
    assert more.failed
    assert RowCheck("row_mean_gap", float("nan"), 1.0).failed


def test_the_probe_sees_every_sum_and_every_product() -> None:
    """Also those of a feature that has no weight in any fit: it is uncorrelated with all."""
    x1, x2 = np.array([1.0, -1, 1, -1, 1, -1, 1, -1]), np.array([1.0, 1, -1, -1, 1, 1, -1, -1])
    columns = np.array([x1 + 3, x2, np.full(8, 5.0), 2 * x1 + x1 * x2])
    summed = moments(columns)
    largest = np.abs(columns).max(axis=1)
    cross = CrossProducts.of(summed, centred=True)
    probe = Probe.of(Scaling.of(cross), [2], largest, 1.0)
    accumulator = MomentsAccumulator(probe.exponents)
    accumulator.add([probe.values(linear.predict(columns[:-1], probe.coef, probe.intercept), columns[-1])])

    def refuted(sums: Moments) -> bool:
        found = LineGaps.of(accumulator.moments(), probe.unit, sums, probe.coef, probe.intercept, largest)
        return found.square > found.square_limit

    assert not refuted(summed)
    for i in range(4):
        changed = summed.sums.copy()
        changed[i] += int(1e-9 / float(Fraction(2) ** int(summed.exponents[i])))
        assert refuted(Moments(8, summed.weight, changed, summed.products, summed.exponents)), i
        for j in range(4):
            products = summed.products.copy()
            unit = float(Fraction(2) ** int(summed.exponents[i] + summed.exponents[j]))
            products[i, j] = products[j, i] = products[i, j] + int(1e-9 / unit)
            assert refuted(Moments(8, summed.weight, summed.sums, products, summed.exponents)), (i, j)
