"""The core: from sums to a proven fit, against statsmodels, and against itself on rows it has not seen apart."""

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from gdpipe.config import TrainingConfig
from gdpipe.design import Design
from gdpipe.errors import ConfigError, DataError
from gdpipe.fit import Fit, RowEvidence, conclude, fit, standardize
from gdpipe.numerics.rows.meat import Meat
from gdpipe.numerics.rows.residuals import ResidualStatistics
from gdpipe.numerics.rows.row_checks import RowCheck
from tests.numerics.build import Floats, moments, random_data, rounded_moments

NAMES = ["a", "b", "c", "d"]


def fitted(X: Floats, y: Floats, exact: bool = True, weights: Floats | None = None, **settings: Any) -> Fit:
    rows = np.vstack([X.T, y])
    sums = moments(rows, weights) if exact else rounded_moments(rows, weights)
    return fit(sums, Design.of_numbers(NAMES[: X.shape[1]]), config(**settings))


def config(**settings: Any) -> TrainingConfig:
    return TrainingConfig(source="X", target="y", **settings)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
def test_everything_that_sums_can_tell_agrees_with_statsmodels(exact: bool, intercept: bool) -> None:
    X, y = random_data(1)
    found = fitted(X, y, exact, fit_intercept=intercept)
    theirs = sm.OLS(y, sm.add_constant(X) if intercept else X).fit()
    skip = 0 if intercept else 1  # without an intercept its place holds no number
    ours = {
        "params": np.array([found.ols.intercept, *found.ols.coef]),
        "bse": found.terms.std_error,
        "tvalues": found.terms.t_value,
        "pvalues": found.terms.p_value,
    }
    for name, values in ours.items():
        np.testing.assert_allclose(values[skip:], getattr(theirs, name), rtol=1e-8, atol=1e-300, err_msg=name)
    quality = found.statistics
    assert quality.r2 == pytest.approx(theirs.rsquared, rel=1e-10)
    assert quality.f_p_value == pytest.approx(theirs.f_pvalue, rel=1e-8)
    assert quality.aic == pytest.approx(theirs.aic, rel=1e-10)
    assert found.certificate.passed
    np.testing.assert_allclose(found.model.coef, found.ols.coef, rtol=1e-7)


def test_what_takes_single_rows_is_nan_without_them() -> None:
    found = fitted(*random_data(2))
    single = (found.statistics.mae, found.statistics.durbin_watson, found.statistics.breusch_pagan)
    assert all(map(math.isnan, [*single, *found.terms.std_error_hc1, found.certificate.row_gradient]))
    assert "not checked against the rows" in found.certificate.reason


def test_rows_change_no_number_of_the_sums_and_can_refute_them() -> None:
    X, y = random_data(3)
    found = fitted(X, y)
    meat = Meat.of_all(np.eye(4), np.zeros(4))
    residuals = ResidualStatistics(np.zeros(4), meat, np.zeros(4), 1.0, (0.0, 1.0, 0.0, 3.0), 1.0, 2.0)

    def again(*checks: RowCheck) -> Fit:
        rows = RowEvidence(residuals, 0.0, 0.0, checks)
        return conclude(found.design, found.regression, found.solution, rows)

    assert again().certificate.passed
    assert again().terms.std_error.tolist() == found.terms.std_error.tolist()
    assert again().terms.std_error_hc1[1] > 0
    refuted = again(RowCheck("row_count_gap", 1.0, 0.0)).certificate
    assert not refuted.passed
    assert "row_count_gap 1 is above its limit 0" in refuted.reason


def test_constant_and_dependent_terms_have_places_but_no_part() -> None:
    X, y = random_data(4, p=2)
    X = np.column_stack([X[:, 0], np.full(len(X), 7.0), X[:, 1], 2 * X[:, 0]])
    found = fitted(X, y, collinear="drop")
    assert (found.regression.included, found.included) == ([0, 2], ["a", "c"])
    assert found.model.coef[[1, 3]].tolist() == found.ols.coef[[1, 3]].tolist() == [0.0, 0.0]
    assert found.dependencies == ("b is constant (7)", "d = 2 a")
    shared = fitted(X, y)
    assert shared.included == ["a", "c", "d"]
    # the least norm in standard deviations: both carry the same weight there
    assert shared.ols.coef[0] == pytest.approx(2 * shared.ols.coef[3])
    with pytest.raises(DataError, match=r"b is constant \(7\); d = 2 a; leave such features out"):
        fitted(X, y, collinear="fail")


def test_a_weight_of_two_is_the_row_twice() -> None:
    X, y = random_data(5)
    weights = np.where(np.arange(len(y)) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(len(y)), weights.astype(int))
    one, other = fitted(X, y, weights=weights), fitted(X[twice], y[twice])
    assert one.ols.coef.tolist() == other.ols.coef.tolist()
    assert one.terms.p_value.tolist() == other.terms.p_value.tolist()
    assert dataclasses.astuple(one.certificate)[:4] == dataclasses.astuple(other.certificate)[:4]


def test_settings_that_the_data_refuse() -> None:
    X, y = random_data(6)
    with pytest.raises(ConfigError, match=r"learning_rate 5 would diverge"):
        fitted(X, y, learning_rate=5.0)
    with pytest.raises(DataError, match=r"column 'b' has a standard deviation of .*e-16\d, .* use another unit"):
        fitted(X * [1, 1e-165, 1, 1], y)
    with pytest.raises(DataError, match=r"column 'y' has a standard deviation of .*e-16\d"):
        fitted(X, y * 1e-165)


def test_a_descent_that_may_not_take_its_steps_does_not_pass() -> None:
    found = fitted(*random_data(7), max_iterations=2, method="gd")
    assert not found.certificate.passed
    assert found.solution.iterations == 2
    assert found.certificate.reason.startswith("stopped after 2 steps of gd")
    assert found.baseline.loss < found.solution.loss


def test_a_resolution_of_float32_makes_more_of_the_terms_dependent() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(2, 500)).astype(np.float32)
    X = np.column_stack([a, b, (a + b).astype(np.float32)]).astype(float)
    sums = moments(np.vstack([X.T, rng.normal(size=500)]))
    design = Design.of_numbers("abc")
    assert standardize(sums, design, config()).dependencies.relations == ()
    resolution = np.full(3, float(np.finfo(np.float32).eps))
    [relation] = standardize(sums, design, config(), resolution).dependencies.relations
    assert [abs(c) for c in relation.coefficients] == [1, 1, 1]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("penalty", ["ridge", "lasso", "elastic_net"])
def test_a_penalized_fit_is_held_against_its_own_optimum(penalty: str, exact: bool) -> None:
    X, y = random_data(8)
    found = fitted(X, y, exact, penalty=penalty, alpha=0.05, tolerance=1e-10)
    assert found.certificate.passed, found.certificate.reason
    np.testing.assert_allclose(found.model.coef, found.optimum.coef, rtol=1e-9, atol=1e-9)
    assert np.abs(found.optimum.coef - found.ols.coef).max() > 0.01
    assert found.loss > found.ols_loss
    assert found.statistics.rmse == math.sqrt(found.loss)
    assert np.isnan(found.terms.std_error).all()
    assert np.isnan(found.features.f_p_value).all()
    assert np.isfinite(found.terms.vif[1:]).all()
    nudged = found.solution.coef_scaled.copy()
    nudged[np.flatnonzero(nudged)[0]] += 1e-9
    solution = dataclasses.replace(found.solution, coef_scaled=nudged)
    refuted = conclude(found.design, found.regression, solution).certificate
    assert not refuted.passed
    assert re.search(r"coef_gap (1e-09|9\.\d+e-10) is above its limit 1e-10", refuted.reason)


def test_an_alpha_that_is_to_be_chosen_needs_folds() -> None:
    with pytest.raises(ConfigError, match="alpha auto: needs folds to choose by; give a number"):
        fitted(*random_data(9), penalty="lasso")
