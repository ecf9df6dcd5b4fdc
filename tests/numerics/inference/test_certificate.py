"""The certificate: what passes and what does not."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest

from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import Solution, minimize
from gdpipe.numerics.descent.plan import GradientDescent
from gdpipe.numerics.inference.certificate import Certificate, certify
from gdpipe.numerics.problem import baseline as ols
from gdpipe.numerics.problem.covariance import square_root
from tests.numerics.build import Floats, Problem, problem, random_data

BUILT: Problem = problem(*random_data(0))
SETTINGS = GradientDescent(tolerance=1e-7)
TERMS = ["intercept", "x0", "x1", "x2", "x3"]


def solved() -> Solution:
    return minimize(BUILT.loss, SETTINGS.plan(BUILT.loss))


def certificate(
    solution: Solution,
    *,
    std_error: float = 0.05,
    intercept_std_error: float | None = None,
    row_gradient: float = 0.0,
    rounding: float = 0.0,
) -> Certificate:
    optimum = ols.solve(BUILT.loss, ()).coef_scaled
    agreement = Agreement.of(BUILT.loss, optimum, np.array([intercept_std_error or std_error, *[std_error] * 4]))
    return certify(BUILT.loss, solution, optimum, agreement, TERMS, row_gradient, rounding)


def foreseen(built: Problem) -> Agreement:
    agreement = Agreement.foreseen(built.loss, ())
    assert agreement is not None
    return agreement


def moved(by: float) -> Solution:
    solution = solved()
    return dataclasses.replace(solution, coef_scaled=solution.coef_scaled + np.array([by, 0, 0, 0]))


def test_a_converged_descent_passes_with_its_gap_measured() -> None:
    verdict = certificate(solved())
    optimum = ols.solve(BUILT.loss, ()).coef_scaled
    gaps = [abs(w - float(o)) for w, o in zip(solved().coef_scaled.tolist(), optimum, strict=True)]
    assert verdict.passed
    assert verdict.coef_gap == pytest.approx(max(gaps), rel=1e-6, abs=1e-16)
    assert verdict.coef_gap_se == pytest.approx(verdict.coef_gap / 0.05)
    assert 0 < verdict.excess_loss < 1e-12


def test_a_solution_that_claims_to_have_converged_but_is_elsewhere_does_not_pass() -> None:
    verdict = certificate(moved(1e-3))
    assert not verdict.passed
    assert verdict.coef_gap == pytest.approx(1e-3, rel=1e-3)
    assert "coef_gap" in verdict.reason
    assert "excess_loss" not in verdict.reason  # no number is held to a limit that follows from another's


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


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_holds_also_where_rounding_takes_the_least_eigenvalue_for_larger(seed: int) -> None:
    # with BOUND_MARGIN = 1 some of these would be bounded by less than they are off
    rng = np.random.default_rng(seed)
    a, b, noise = rng.normal(size=(3, 300))
    built = problem(np.column_stack([a, a + 1e-4 * b]), a + b + noise)
    plan = GradientDescent(method="gd", learning_rate=1 / built.loss.lipschitz, max_iterations=3).plan(built.loss)
    solution = minimize(built.loss, plan)
    optimum = ols.solve(built.loss, ()).coef_scaled
    away = [Fraction(w) - o for w, o in zip(solution.coef_scaled.tolist(), optimum, strict=True)]
    distance = square_root(sum((d * d for d in away), Fraction(0)))
    assert distance <= solution.distance_bound <= distance * (1 + 1e-4)


def off_by(difference: Floats) -> Solution:
    """As if a descent with a loose tolerance had ended so far from the optimum."""
    optimum = np.array([float(o) for o in ols.solve(BUILT.loss, ()).coef_scaled])
    loose = minimize(BUILT.loss, GradientDescent(tolerance=1e-2).plan(BUILT.loss))
    return dataclasses.replace(loose, coef_scaled=optimum + difference)


@pytest.mark.parametrize(("relative", "std_error"), [(1e-9, 0.0), (0.0, 1e-5)])
def test_each_term_is_held_to_nine_digits_or_a_thousandth_of_its_standard_error(
    relative: float, std_error: float
) -> None:
    limit = relative * abs(off_by(np.zeros(4)).coef_scaled[0]) + 1e-3 * std_error
    only_x0 = np.array([1.0, 0, 0, 0])
    verdict = certificate(off_by(2 * limit * only_x0), std_error=std_error, intercept_std_error=1e9)
    assert not verdict.passed
    assert verdict.reason.startswith("the distance of 'x0' to OLS")
    assert verdict.disagreement == pytest.approx(2, rel=0.01)
    assert certificate(off_by(0.9 * limit * only_x0), std_error=std_error, intercept_std_error=1e9).passed


def test_the_intercept_is_a_term_too() -> None:
    _, intercept = BUILT.scaling.to_original(ols.solve(BUILT.loss, ()).coef_scaled)
    shift = np.array([float(mean) for mean in BUILT.scaling.means]) / BUILT.scaling.scales
    one_part = 1e-9 * abs(float(intercept)) / BUILT.scaling.target_scale * shift / (shift @ shift)
    verdict = certificate(off_by(2 * one_part), std_error=1.0, intercept_std_error=1e-20)
    assert not verdict.passed
    assert verdict.reason.startswith("the distance of 'intercept' to OLS")
    assert certificate(off_by(0.9 * one_part), std_error=1.0, intercept_std_error=1e-20).passed


def test_a_term_that_float64_keeps_from_agreeing_is_told() -> None:
    x = np.arange(50.0)
    built = problem((1e9 + x)[:, None], 3 * x + 4)  # the intercept is 4 - 3e9
    for line, said in ((built, False), (problem((1e9 + x)[:, None], 3 * (1e9 + x) + 4), True)):
        agreement = foreseen(line)
        solution = minimize(line.loss, GradientDescent().plan(line.loss, agreement))
        exact = ols.solve(line.loss, ()).coef_scaled
        held = Agreement.of(line.loss, exact, agreement.std_error)
        # as if the last bit of the coefficient had been rounded otherwise
        solution = dataclasses.replace(solution, coef_scaled=np.nextafter(solution.coef_scaled, 2))
        verdict = certify(line.loss, solution, exact, held, ["intercept", "x"], np.nan, 0.0)
        assert verdict.passed
        assert ("intercept lies" in verdict.reason) == said
        assert ("coefficients rounded to float64 come no nearer" in verdict.reason) == said


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1.0])
@pytest.mark.parametrize("centred", [True, False])
def test_the_descent_goes_on_until_each_term_agrees(noise: float, centred: bool) -> None:
    X, y = random_data(3)
    target = X @ [1.0, 1e-6, 0.0, -1.0] + 5 + noise * y
    built = problem(X, target, centred=centred)
    agreement = foreseen(built)
    # a loose tolerance stays an upper limit, and no more
    solution = minimize(built.loss, GradientDescent(tolerance=1e-2, max_iterations=10**6).plan(built.loss, agreement))
    assert solution.plan.forecast_iterations == pytest.approx(solution.iterations, abs=2)
    optimum = ols.solve(built.loss, ()).coef_scaled
    held = Agreement.of(built.loss, optimum, agreement.std_error)
    verdict = certify(built.loss, solution, optimum, held, TERMS, np.nan, 0.0)
    assert verdict.passed, verdict.reason
    exact, found = (built.scaling.to_original(w) for w in (optimum, solution.coef_scaled.tolist()))
    Z = np.column_stack([X, np.ones(len(X))] if centred else [X])
    residual = target - Z @ np.linalg.lstsq(Z, target)[0]
    covariance = np.linalg.inv(Z.T @ Z) * (residual @ residual) / (len(X) - Z.shape[1])
    for j, (o, w) in enumerate(zip([*exact[0], exact[1]], [*found[0], found[1]], strict=True)):
        std_error = math.sqrt(covariance[j, j]) if j < Z.shape[1] else 0.0
        assert abs(w - o) <= max(1e-9 * abs(o), 1.01e-3 * std_error)


def test_where_data_are_nearly_certain_the_descent_goes_on_until_no_gap_is_visible() -> None:
    X, y = random_data(0)
    certain = problem(X, X @ [1.0, 1.0, 1.0, 1.0] + 1e-7 * y)
    plan = SETTINGS.plan(certain.loss, foreseen(certain))
    assert plan.stop_gradient_norm < SETTINGS.plan(certain.loss).stop_gradient_norm
    noisy = SETTINGS.plan(BUILT.loss, foreseen(BUILT))
    assert noisy.stop_gradient_norm == SETTINGS.plan(BUILT.loss).stop_gradient_norm


def test_a_verdict_without_a_row_read_again_says_so() -> None:
    verdict = certificate(solved(), row_gradient=float("nan"))
    assert verdict.passed
    assert np.isnan(verdict.row_gradient)
    assert "not checked against the rows" in verdict.reason
    assert "not checked" not in certificate(solved()).reason
