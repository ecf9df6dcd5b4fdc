"""The certificate: what passes and what does not."""

import dataclasses

import numpy as np
import pytest

from gdpipe.numerics import ols
from gdpipe.numerics.convergence import Certificate, certify
from gdpipe.numerics.descent import GradientDescent, Solution, minimize
from tests.numerics.build import Problem, problem, random_data

BUILT: Problem = problem(*random_data(0))
SETTINGS = GradientDescent(tolerance=1e-7)


def solved() -> Solution:
    return minimize(BUILT.loss, SETTINGS.plan(BUILT.loss))


def certificate(
    solution: Solution, *, std_error: float = 0.05, row_gradient: float = 0.0, rounding: float = 0.0
) -> Certificate:
    optimum = ols.solve(BUILT.cross, BUILT.scaling, BUILT.loss, ()).coef_scaled
    return certify(BUILT.loss, solution, optimum, np.full(4, std_error), row_gradient, rounding)


def moved(by: float) -> Solution:
    solution = solved()
    return dataclasses.replace(solution, coef_scaled=solution.coef_scaled + np.array([by, 0, 0, 0]))


def test_a_converged_descent_passes_with_its_gap_measured() -> None:
    verdict = certificate(solved())
    optimum = ols.solve(BUILT.cross, BUILT.scaling, BUILT.loss, ()).coef_scaled
    gaps = [abs(w - float(o)) for w, o in zip(solved().coef_scaled.tolist(), optimum, strict=True)]
    assert verdict.passed
    assert verdict.coef_gap == pytest.approx(max(gaps), rel=1e-6, abs=1e-16)
    assert verdict.coef_gap_se == pytest.approx(verdict.coef_gap / 0.05)
    assert 0 <= verdict.excess_loss <= verdict.excess_loss_limit


def test_a_solution_that_claims_to_have_converged_but_is_elsewhere_does_not_pass() -> None:
    verdict = certificate(moved(1e-3))
    assert not verdict.passed
    assert verdict.coef_gap == pytest.approx(1e-3, rel=1e-3)
    assert "coef_gap" in verdict.reason
    assert "excess_loss" in verdict.reason


def test_a_descent_that_did_not_converge_does_not_pass_and_says_what_to_do() -> None:
    short = GradientDescent(tolerance=1e-7, max_iterations=3, method="gd")
    verdict = certificate(minimize(BUILT.loss, short.plan(BUILT.loss)))
    assert not verdict.passed
    assert "stopped after 3 steps" in verdict.reason
    assert "allow more steps" in verdict.reason


def test_rows_that_disagree_with_the_sums_do_not_pass() -> None:
    verdict = certificate(solved(), row_gradient=1e-3)
    assert not verdict.passed
    assert verdict.reason.startswith("row_gradient")
    assert certificate(solved(), row_gradient=1e-6, rounding=1e-5).passed
    assert not certificate(solved(), row_gradient=0.0, rounding=1e-2).passed


def test_a_gap_within_a_loose_tolerance_must_still_be_invisible_beside_the_standard_errors() -> None:
    loose = GradientDescent(tolerance=0.1)
    verdict = certificate(minimize(BUILT.loss, loose.plan(BUILT.loss)), std_error=1e-3)
    assert verdict.coef_gap <= 0.1
    assert not verdict.passed
    assert verdict.reason.startswith("coef_gap_se")


def test_a_noise_free_fit_with_standard_errors_of_nothing_passes() -> None:
    assert certificate(minimize(BUILT.loss, GradientDescent(tolerance=1e-14).plan(BUILT.loss)), std_error=1e-20).passed


def test_where_data_are_nearly_certain_the_descent_goes_on_until_no_gap_is_visible() -> None:
    X, y = random_data(0)
    certain = problem(X, X @ [1.0, 1.0, 1.0, 1.0] + 1e-7 * y)
    plan = SETTINGS.plan(certain.loss, total_weight=len(y))
    assert plan.stop_gradient_norm < SETTINGS.plan(certain.loss).stop_gradient_norm
    noisy = SETTINGS.plan(BUILT.loss, total_weight=len(y))
    assert noisy.stop_gradient_norm == SETTINGS.plan(BUILT.loss).stop_gradient_norm


def test_a_verdict_without_a_row_read_again_says_so() -> None:
    verdict = certificate(solved(), row_gradient=float("nan"))
    assert verdict.passed
    assert np.isnan(verdict.row_gradient)
    assert "not checked against the rows" in verdict.reason
    assert "not checked" not in certificate(solved()).reason
