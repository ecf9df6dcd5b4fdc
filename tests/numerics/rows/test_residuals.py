"""Sums of residuals: exact, in pieces as in one go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdpipe.numerics.rows.residuals import ResidualAccumulator, ResidualGrids, ResidualStatistics
from tests.numerics.build import Floats

RNG = np.random.default_rng(0)
Z, E = RNG.normal(size=(2, 50)), RNG.normal(size=50)
MEANS, SCALES = np.array([3.0, -0.5]), np.array([2.0, 0.25])
WEIGHTS = RNG.integers(1, 4, 50).astype(float)


def gather(
    cuts: list[int], weights: Floats | None = None, unit: float = 1.0, *, exact: bool = True
) -> ResidualStatistics:
    weight_exponent = None if weights is None else -52
    grids = ResidualGrids.of(np.array([5.0, 5.0]), 5.0 * unit, weight_exponent, 0.5 * unit, exact=exact)
    total = ResidualAccumulator(grids, MEANS, 1 / SCALES).sums()
    for start, stop in zip([0, *cuts], [*cuts, 50], strict=True):
        accumulator = ResidualAccumulator(grids, MEANS, 1 / SCALES)
        X = Z[:, start:stop] * SCALES[:, None] + MEANS[:, None]
        accumulator.add(X, E[start:stop] * unit, None if weights is None else weights[start:stop])
        total = total + accumulator.sums()
    return ResidualStatistics.of(total, grids)


@given(st.lists(st.integers(0, 50), max_size=4).map(sorted))
def test_any_cut_gives_the_same_statistics_to_the_last_bit(cuts: list[int]) -> None:
    whole, pieces = gather([]), gather(cuts)
    assert whole.durbin_watson == pieces.durbin_watson
    assert whole.powers == pieces.powers
    assert (whole.meat.whole() == pieces.meat.whole()).all()
    assert (whole.gradient == pieces.gradient).all()


def test_statistics_are_the_means_that_they_say() -> None:
    s = gather([])
    np.testing.assert_allclose(s.gradient, Z @ E / 50, rtol=1e-12)
    # factors of these two are rounded to 42 bits of the largest that the grid allows
    np.testing.assert_allclose(s.meat.whole(), (Z * E**2) @ Z.T / 50, rtol=1e-8)
    np.testing.assert_allclose(s.square_by_feature, Z @ E**2 / 50, rtol=1e-8)
    np.testing.assert_allclose(s.powers, [np.mean(E**k) for k in (1, 2, 3, 4)], rtol=1e-12)
    assert s.absolute == pytest.approx(np.abs(E).mean(), rel=1e-14)
    assert s.durbin_watson == pytest.approx(np.sum(np.diff(E) ** 2) / np.sum(E**2), rel=1e-13)


def test_weights_are_repeated_rows() -> None:
    weighted = gather([], WEIGHTS)
    times = WEIGHTS.astype(int)
    repeated = np.repeat(E, times)
    assert weighted.absolute == pytest.approx(np.abs(repeated).mean(), rel=1e-14)
    np.testing.assert_allclose(weighted.gradient, np.repeat(Z, times, axis=1) @ repeated / len(repeated), rtol=1e-12)
    # rows repeated in place have no step between them
    assert weighted.durbin_watson == pytest.approx(np.sum(np.diff(repeated) ** 2) / np.sum(repeated**2), rel=1e-13)


def test_huge_residuals_are_summed_in_a_unit_of_their_own() -> None:
    huge, plain = gather([], unit=2.0**400), gather([])
    assert huge.unit == 2.0**400
    assert huge.powers == plain.powers
    assert huge.durbin_watson == plain.durbin_watson


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_scores_in_float64_are_the_same_but_for_rounding(weights: Floats | None) -> None:
    exact, rounded = gather([10, 30], weights), gather([10, 30], weights, exact=False)
    np.testing.assert_allclose(rounded.gradient, exact.gradient, rtol=1e-12)
    np.testing.assert_allclose(rounded.meat.whole(), exact.meat.whole(), rtol=1e-8)
    np.testing.assert_allclose(rounded.square_by_feature, exact.square_by_feature, rtol=1e-8)
    assert rounded.powers == exact.powers
