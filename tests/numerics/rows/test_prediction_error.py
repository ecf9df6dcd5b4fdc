"""The error of predictions, held against scikit-learn, statsmodels' definition and rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from gdpipe.numerics.rows.prediction_error import PredictionError, error_sums

Floats = NDArray[np.float64]


def rows(n: int = 500, scale: float = 1.0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(3)
    target = scale * rng.normal(5.0, 2.0, n)
    return target, scale * rng.normal(0.1, 0.7, n)


@pytest.mark.parametrize("scale", [1.0, 1e-160, 1e160, 1e300])
def test_it_is_that_of_scikit_learn(scale: float) -> None:
    target, residual = rows(scale=scale)
    found = PredictionError.of(error_sums(target, residual), centred=True)
    y, prediction = target / scale, (target - residual) / scale
    assert found.n_samples == 500
    assert found.rmse / scale == pytest.approx(root_mean_squared_error(y, prediction), rel=1e-12)
    assert found.mae / scale == pytest.approx(mean_absolute_error(y, prediction), rel=1e-12)
    assert found.r2 == pytest.approx(r2_score(y, prediction), rel=1e-12)


def test_without_an_intercept_r2_is_not_about_the_mean() -> None:
    target, residual = rows()
    found = PredictionError.of(error_sums(target, residual), centred=False)
    exact = 1 - sum(Fraction(e) ** 2 for e in residual.tolist()) / sum(Fraction(y) ** 2 for y in target.tolist())
    assert found.r2 == float(exact)


def test_the_bits_do_not_depend_on_the_cut() -> None:
    target, residual = rows()
    order = np.random.default_rng(0).permutation(500)
    whole = PredictionError.of(error_sums(target, residual), centred=True)
    for size in (1, 7, 499):
        sums = error_sums(target[:0], residual[:0])
        for start in range(0, 500, size):
            part = order[start : start + size]
            sums = sums + error_sums(target[part], residual[part])
        assert PredictionError.of(sums, centred=True) == whole


def test_where_there_is_nothing_to_say() -> None:
    none = np.empty(0)
    empty = PredictionError.of(error_sums(none, none), centred=True)
    assert empty.n_samples == 0
    assert all(map(math.isnan, (empty.r2, empty.rmse, empty.mae)))
    one = PredictionError.of(error_sums(np.array([3.0]), np.array([-2.0])), centred=True)
    assert math.isnan(one.r2)  # one row does not vary
    assert (one.rmse, one.mae) == (2.0, 2.0)
    far = PredictionError.of(error_sums(np.array([0.0, 1e-300]), np.array([1e300, 1e300])), centred=True)
    assert (far.r2, far.rmse) == (-math.inf, 1e300)
