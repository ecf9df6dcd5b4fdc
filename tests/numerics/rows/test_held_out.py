"""The error on unseen rows from their sums, against the rows themselves."""

from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import r2_score, root_mean_squared_error

from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.rows.held_out import HeldOutError, pooled
from tests.numerics.build import moments, random_data, rounded_moments

X, Y = random_data(1)
COEF, INTERCEPT = [0.5, -0.25, 1e-3, 2.0], 3.0
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2, len(Y))


def error(rows: slice, *, exact: bool = True, weighted: bool = False, centred: bool = True) -> HeldOutError:
    z, weights = np.vstack([X.T, Y])[:, rows], WEIGHTS[rows] if weighted else None
    sums = moments(z, weights) if exact else rounded_moments(z, weights)
    return HeldOutError.of(CrossProducts.of(sums, centred=centred), COEF, INTERCEPT)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_scikit_learn_finds_the_same_on_the_rows(exact: bool, weighted: bool) -> None:
    predicted, weights = INTERCEPT + X @ COEF, WEIGHTS if weighted else None
    found = error(slice(None), exact=exact, weighted=weighted)
    assert found.rmse == pytest.approx(root_mean_squared_error(Y, predicted, sample_weight=weights), rel=1e-12)
    assert found.r2 == pytest.approx(r2_score(Y, predicted, sample_weight=weights), rel=1e-12)
    assert found.n_samples == len(Y)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_parts_pool_to_the_whole(weighted: bool, centred: bool) -> None:
    cuts = [slice(0, 20), slice(20, 300), slice(300, None)]
    parts = pooled([error(rows, weighted=weighted, centred=centred) for rows in cuts])
    whole = error(slice(None), weighted=weighted, centred=centred)
    assert parts.n_samples == whole.n_samples
    assert parts.rmse == pytest.approx(whole.rmse, rel=1e-15)
    assert parts.r2 == pytest.approx(whole.r2, rel=1e-14)
    assert parts.weight == pytest.approx(whole.weight, rel=1e-15)
    about = np.average(Y, weights=WEIGHTS if weighted else None) if centred else 0
    square = np.average((Y - INTERCEPT - X @ COEF) ** 2, weights=WEIGHTS if weighted else None)
    assert whole.r2 == pytest.approx(
        1 - square / np.average((Y - about) ** 2, weights=WEIGHTS if weighted else None), rel=1e-11
    )


def test_one_row_has_an_error_and_no_r2() -> None:
    found = error(slice(0, 1))
    assert found.rmse == pytest.approx(abs(Y[0] - INTERCEPT - X[0] @ COEF), rel=1e-12)
    assert np.isnan(found.r2)


def test_an_error_beyond_float64_is_infinite() -> None:
    cross = CrossProducts.of(moments(np.array([[0.0, 1e154], [0.0, 1e-154]])), centred=True)
    found = HeldOutError.of(cross, [1e300], 0.0)
    assert (found.rmse, found.r2) == (np.inf, -np.inf)


def test_a_line_through_all_rows_has_no_error() -> None:
    x = np.arange(9.0)
    cross = CrossProducts.of(moments(np.array([x, 3 * x - 1])), centred=True)
    assert HeldOutError.of(cross, [Fraction(3)], -1.0).mse == 0
    assert HeldOutError.of(cross, [3.0], 0.0).mse == 1
