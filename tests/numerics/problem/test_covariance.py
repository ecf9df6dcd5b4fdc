"""Centred sums of products, and the rounding of roots."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdpipe.numerics.problem import covariance as covariance_module
from gdpipe.numerics.problem.covariance import (
    CrossProducts,
    ExactProducts,
    Float64Products,
    Scaling,
    nearest_float,
    square_root,
)
from gdpipe.numerics.sums.float_moments import Float64Accumulator
from tests.numerics.build import moments, random_data


def covariance(cross: CrossProducts) -> list[list[Fraction]]:
    if isinstance(cross, Float64Products):
        return [[Fraction(v) / Fraction(cross.total_weight) for v in row] for row in cross.comoments.tolist()]
    assert isinstance(cross, ExactProducts)
    units = [Fraction(2) ** int(e) for e in cross.exponents]
    return [
        [Fraction(int(v), cross.weight**2) * a * b for v, b in zip(row, units, strict=True)]
        for row, a in zip(cross.products, units, strict=True)
    ]


def test_means_and_covariances_by_hand() -> None:
    cross = CrossProducts.of(moments(np.array([[1.0, 2.0, 6.0], [1.0, 0.0, 2.0]])), centred=True)
    assert list(cross.means()) == [3, 1]
    assert covariance(cross) == [[Fraction(14, 3), Fraction(4, 3)], [Fraction(4, 3), Fraction(2, 3)]]
    assert cross.variances() == (Fraction(14, 3), Fraction(2, 3))


def test_without_centring_they_are_mean_squares() -> None:
    cross = CrossProducts.of(moments(np.array([[1.0, 2.0, 6.0]])), centred=False)
    assert cross.variances() == (Fraction(41, 3),)


def test_a_huge_offset_cancels_nothing() -> None:
    column = 1e9 + np.arange(8.0)
    cross = CrossProducts.of(moments(column[None, :]), centred=True)
    assert cross.variances() == (Fraction(21, 4),)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_float64_sums_agree_with_exact_ones(centred: bool, weighted: bool) -> None:
    X, y = random_data(3)
    columns = np.ascontiguousarray(np.column_stack([X, y]).T)
    weights = np.random.default_rng(1).uniform(0.1, 3.0, len(y)) if weighted else None
    parts = Float64Accumulator(5).moments()
    for piece in np.array_split(np.arange(len(y)), 7):
        accumulator = Float64Accumulator(5)
        for rows in np.array_split(piece, 3):
            accumulator.add(columns[:, rows], None if weights is None else weights[rows])
        parts += accumulator.moments()
    rounded = CrossProducts.of(parts, centred=centred)
    exact = CrossProducts.of(moments(columns, weights), centred=centred)
    np.testing.assert_allclose(np.array(covariance(rounded), float), np.array(covariance(exact), float), rtol=1e-9)
    np.testing.assert_allclose(np.array(rounded.means(), float), np.array(exact.means(), float), rtol=1e-12)
    assert rounded.total_weight == pytest.approx(exact.total_weight, rel=1e-14)


@pytest.mark.parametrize("centred", [True, False])
def test_scales_are_roots_of_the_variances_rounded_once(centred: bool) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(40, 300)) * 2.0 ** rng.integers(-300, 300, (40, 1))
    rows[7] = 5.0
    accumulator = Float64Accumulator(40)
    accumulator.add(rows)
    for cross in (
        CrossProducts.of(accumulator.moments(), centred=centred),
        CrossProducts.of(moments(rows[:8]), centred=centred),
    ):
        assert cross.scales().tolist() == [square_root(variance) or 1.0 for variance in cross.variances()]
        assert (cross.scales()[7] == 1.0) == centred
        scaling, chosen = Scaling.of(cross), Scaling.of(cross).select([4, 2])
        assert chosen.means == (scaling.means[4], scaling.means[2])
        assert chosen.scales.tolist() == [scaling.scales[4], scaling.scales[2]]
        assert (chosen.target_mean, chosen.target_scale) == (scaling.target_mean, scaling.target_scale)


def test_coefficients_of_many_features_are_the_exact_ones_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = random_data(5, n=200, p=9)
    scaling = Scaling.of(CrossProducts.of(moments(np.vstack([X.T + 3, y])), centred=True))
    coef_scaled = [Fraction(j, 7) for j in range(9)]
    exact, exact_intercept = scaling.to_original(coef_scaled)
    monkeypatch.setattr(covariance_module, "RATIONAL_FEATURES", 5)
    coef, intercept = scaling.to_original(coef_scaled)
    assert list(map(float, coef)) == list(map(float, exact))
    assert intercept != exact_intercept
    assert abs(intercept - exact_intercept) < Fraction(2) ** -240
    assert intercept.denominator.bit_length() < exact_intercept.denominator.bit_length()


def test_float64_sums_stay_as_they_were_handed_out() -> None:
    columns = np.random.default_rng(0).normal(size=(3, 50))
    accumulator = Float64Accumulator(3)
    accumulator.add(columns[:, :20])
    first = accumulator.moments()
    kept = first.comoments.copy()
    accumulator.add(columns[:, 20:])
    np.testing.assert_array_equal(first.comoments, kept)
    np.testing.assert_allclose(accumulator.moments().comoments / 50, np.cov(columns, bias=True), rtol=1e-13)


@given(st.fractions(min_value=0, max_value=10**30, max_denominator=10**20))
def test_a_root_is_rounded_once(value: Fraction) -> None:
    root = Fraction(square_root(value))
    above, below = (Fraction(float(np.nextafter(float(root), to))) for to in (np.inf, -np.inf))
    # no neighbouring float64 is nearer: the midpoints' squares enclose the value
    assert value == 0 or ((root + below) / 2) ** 2 <= value <= ((root + above) / 2) ** 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [(Fraction(1, 3), 1 / 3), (Fraction(10) ** 400, math.inf), (-(Fraction(10) ** 400), -math.inf)],
)
def test_a_fraction_beyond_float64_is_infinite_with_its_sign(value: Fraction, expected: float) -> None:
    assert nearest_float(value) == expected
