"""The certificate of a fit with a penalty: what passes and what does not."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from gdpipe.numerics.inference.penalized_certificate import PenalizedCertificate, certify_penalized
from gdpipe.numerics.problem.penalty import Penalty
from gdpipe.numerics.rows.row_checks import RowCheck
from tests.numerics.build import Floats, PenalizedFit, penalized, problem, random_data

LOSS = problem(*random_data(0, p=6)).loss
NAMES = [f"x{j}" for j in range(6)]
LASSO, RIDGE = Penalty(0.1, 1.0), Penalty(0.1, 0.0)


def certificate(fit: PenalizedFit, penalty: Penalty, move: Floats | float = 0.0, **rows: Any) -> PenalizedCertificate:
    """The certificate of the proven optimum, rounded to float64, and moved."""
    optimum = np.array([float(w) for w in fit.baseline.coef_scaled])
    solution = dataclasses.replace(fit.solution, coef_scaled=optimum + move)
    return certify_penalized(LOSS, penalty, solution, fit.baseline, NAMES, **rows)


@pytest.mark.parametrize("penalty", [LASSO, Penalty(0.1, 0.5), RIDGE])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-8, 1e-10])
def test_a_nudge_of_a_billionth_is_measured_and_refused(penalty: Penalty, tolerance: float) -> None:
    fit = penalized(LOSS, penalty, tolerance=tolerance)
    assert fit.certificate.passed, fit.certificate.reason
    assert fit.certificate.proven
    largest = int(np.argmax(np.abs(fit.solution.coef_scaled)))
    verdict = certificate(fit, penalty, 1e-9 * np.eye(6)[largest])
    assert verdict.coef_gap == pytest.approx(1e-9, rel=1e-6)
    assert not verdict.passed
    assert verdict.reason.startswith("coef_gap 1e-09 is above its limit")


def test_a_term_that_should_be_zero_is_named() -> None:
    fit = penalized(LOSS, LASSO)
    zero = int(np.flatnonzero(fit.solution.coef_scaled == 0)[0])
    verdict = certificate(fit, LASSO, 1e-9 * np.eye(6)[zero])
    assert not verdict.passed
    assert f"x{zero} is 1e-09 and 0 at the optimum" in verdict.reason
    # the penalty of a term that is not needed counts at once: 1e-9 in the objective
    assert verdict.fit_gap > 1e-6


def test_the_excess_loss_is_that_of_the_penalized_loss() -> None:
    for penalty in (LASSO, RIDGE):
        fit = penalized(LOSS, penalty)
        move = np.array([1e-3, -2e-3, 0, 1e-3, 0, 0])
        found = certificate(fit, penalty, move)
        optimum = np.array([float(w) for w in fit.baseline.coef_scaled])
        losses = [LOSS.loss(w) + 2 * LOSS.variance * penalty.value(w) for w in (optimum + move, optimum)]
        assert found.excess_loss == pytest.approx(losses[0] - losses[1], rel=1e-6)
        assert found.fit_gap**2 * LOSS.variance == pytest.approx(found.excess_loss)


def test_an_optimum_of_other_signs_does_not_pass() -> None:
    fit = penalized(LOSS, LASSO)
    other = penalized(LOSS, Penalty(0.3, 1.0)).baseline
    verdict = certify_penalized(LOSS, LASSO, fit.solution, other, NAMES)
    assert not verdict.passed
    assert "coef_gap" in verdict.reason


def test_what_an_unproven_optimum_may_lack_is_part_of_the_gap() -> None:
    fit = penalized(LOSS, LASSO)
    unproven = dataclasses.replace(fit.baseline, proven=False, duality_gap=1e-12)
    verdict = certify_penalized(LOSS, LASSO, fit.solution, unproven, NAMES)
    assert not verdict.passed
    assert verdict.coef_gap >= np.sqrt(2e-12 / fit.baseline.convexity)


def test_a_descent_that_did_not_converge_does_not_pass_and_says_what_to_do() -> None:
    fit = penalized(LOSS, LASSO, max_iterations=3, method="gd")
    assert not fit.certificate.passed
    assert fit.certificate.reason.startswith("stopped after 3 steps of gd (forecast: ")
    assert "allow more steps" in fit.certificate.reason


def test_rows_that_disagree_with_the_sums_do_not_pass() -> None:
    fit = penalized(LOSS, LASSO)
    assert "not checked against the rows" in fit.certificate.reason
    assert certificate(fit, LASSO, row_gradient=1e-9).passed
    assert "not checked" not in certificate(fit, LASSO, row_gradient=1e-9).reason
    assert certificate(fit, LASSO, row_gradient=1e-3).reason.startswith("row_gradient")
    assert not certificate(fit, LASSO, row_gradient=0.0, row_rounding=1e-2).passed
    check = RowCheck("row_count_gap", 1.0, 0.0)
    refuted = certify_penalized(LOSS, LASSO, fit.solution, fit.baseline, NAMES, row_checks=[check])
    assert "row_count_gap 1 is above its limit 0" in refuted.reason
