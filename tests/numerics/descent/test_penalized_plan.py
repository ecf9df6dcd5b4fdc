"""Proximal descent: against the textbook on rows, its forecast, its stop rule, and its zeros."""

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from gdpipe.errors import ConfigError
from gdpipe.numerics.descent.descent import Status, minimize
from gdpipe.numerics.descent.penalized_plan import plan_penalized
from gdpipe.numerics.descent.plan import GradientDescent
from gdpipe.numerics.problem.active_set import minimum
from gdpipe.numerics.problem.penalty import Penalty, alpha_max
from tests.numerics.build import Floats, orthogonal, penalized, problem, random_data

DIABETES = problem(*load_diabetes(return_X_y=True)).loss
PENALTIES = [Penalty(alpha, l1_ratio) for alpha in (0.3, 0.01) for l1_ratio in (1.0, 0.5, 0.0)]


def row_by_row(X: Floats, y: Floats, penalty: Penalty, rate: float, steps: int) -> Floats:
    """The textbook's proximal gradient descent on standardized rows; the loss with its penalty at each step."""
    Z, t = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    w, losses = np.zeros(X.shape[1]), []
    for _ in range(steps + 1):
        residual = t - Z @ w
        losses.append((residual @ residual / len(t) + 2 * penalty.value(w)) * y.var())
        moved = w - rate * (penalty.l2 * w - Z.T @ residual / len(t))
        w = np.sign(moved) * np.maximum(np.abs(moved) - rate * penalty.l1, 0)
    return np.array(losses)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_step_for_step_as_the_textbook(penalty: Penalty) -> None:
    X, y = load_diabetes(return_X_y=True)
    solution = penalized(DIABETES, penalty, method="gd").solution
    textbook = row_by_row(X, y, penalty, solution.plan.learning_rate, solution.iterations)
    np.testing.assert_allclose(solution.history_loss, textbook[solution.history_iterations], rtol=1e-10)
    assert (np.diff(solution.history_loss) <= 1e-13 * solution.loss).all()


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("method", ["gd", "accelerated"])
def test_the_optimum_within_its_bound_in_about_the_steps_forecast(method: str, penalty: Penalty) -> None:
    solution = penalized(DIABETES, penalty, method=method).solution
    ridge = DIABETES.ridge(penalty.l2)
    wanted: Floats = (
        minimum(ridge, penalty.l1, 0.0, np.zeros(10))
        if penalty.l1
        else np.linalg.solve(ridge.hessian, ridge.linear).astype(np.float64)
    )
    distance = float(np.linalg.norm(solution.coef_scaled - wanted))
    assert solution.status is Status.CONVERGED
    assert distance <= solution.distance_bound + 1e-14 <= 1e-8
    np.testing.assert_array_equal(solution.coef_scaled == 0, wanted == 0)
    assert solution.plan.forecast_iterations == pytest.approx(solution.iterations, rel=0.25, abs=15)


def test_a_ridge_penalty_takes_exactly_the_steps_forecast() -> None:
    solution = penalized(DIABETES, Penalty(0.01, 0.0)).solution
    assert solution.iterations == pytest.approx(solution.plan.forecast_iterations, abs=1)


def test_one_step_by_hand() -> None:
    loss = orthogonal([3, 2, 1, 1, 1])
    plan = plan_penalized(GradientDescent(learning_rate=0.5, max_iterations=1, method="gd"), loss, Penalty(0.5, 1.0))
    solution = minimize(loss, plan, l1=0.5)
    # half of the way to b, less half of the penalty
    np.testing.assert_array_equal(solution.history_coef_scaled, [[0] * 5, [0.375 - 0.25, 0, 0, 0, 0]])
    np.testing.assert_allclose(solution.history_loss, [16.0, 16 * (1 - 2 * 0.75 / 8 + 1 / 64 + 2 * 0.5 / 8)])
    assert solution.status is Status.MAX_ITERATIONS


@pytest.mark.parametrize("l1_ratio", [1.0, 0.25])
def test_from_alpha_max_on_no_step_is_taken(l1_ratio: float) -> None:
    limit = alpha_max(DIABETES, l1_ratio)
    for alpha in (limit, 2 * limit):
        fit = penalized(DIABETES, Penalty(alpha, l1_ratio))
        assert (fit.solution.iterations, fit.solution.status) == (0, Status.CONVERGED)
        assert not fit.solution.coef_scaled.any()
        assert fit.certificate.passed, fit.certificate.reason
    assert penalized(DIABETES, Penalty(0.99 * limit, l1_ratio)).solution.coef_scaled.any()


@pytest.mark.parametrize("seed", range(8))
def test_alpha_max_is_rounded_and_so_is_what_enters_there(seed: int) -> None:
    loss = problem(*random_data(seed)).loss
    fit = penalized(loss, Penalty(alpha_max(loss, 1.0), 1.0))
    assert fit.baseline.proven
    assert fit.certificate.passed, fit.certificate.reason


def test_precision_is_that_of_float64_also_with_zeros() -> None:
    loss = problem(*random_data(1)).loss
    fit = penalized(loss, Penalty(0.05, 1.0), tolerance=1e-15)
    assert fit.solution.status is Status.CONVERGED
    assert fit.certificate.coef_gap < 1e-15
    stalled = penalized(loss, Penalty(0.05, 1.0), tolerance=1e-40)
    assert stalled.solution.status is Status.STALLED


def test_nearly_equal_terms_are_accelerated_and_told_apart() -> None:
    rng = np.random.default_rng(0)
    a, b, noise = rng.normal(size=(3, 300))
    loss = problem(np.column_stack([a, a + 1e-4 * b]), a + noise).loss
    fit = penalized(loss, Penalty(0.1, 1.0))
    assert fit.solution.plan.method == "accelerated"
    assert fit.certificate.passed, fit.certificate.reason
    assert np.count_nonzero(fit.solution.coef_scaled) == 1


def test_a_small_coefficient_is_resolved_whatever_the_tolerance() -> None:
    loss = orthogonal([3, 2, 1, 1, 1])
    fit = penalized(loss, Penalty(0.5 - 1e-9, 1.0), tolerance=1e-3, learning_rate=0.5)
    assert fit.solution.distance_bound < 1e-9
    assert fit.certificate.passed, fit.certificate.reason
    assert np.count_nonzero(fit.solution.coef_scaled) == 2


def test_a_wrong_forecast_of_the_terms_costs_steps_only() -> None:
    X, y = random_data(3)
    loss, penalty = problem(X, y).loss, Penalty(0.02, 1.0)
    plan = plan_penalized(GradientDescent(), loss, penalty)
    misled = dataclasses.replace(plan, stop_gradient_norm=1e3 * plan.stop_gradient_norm)
    solution = minimize(loss, misled, l1=penalty.l1)
    assert solution.status is Status.CONVERGED
    assert solution.distance_bound <= plan.tolerance


def test_a_rate_that_would_diverge_is_refused() -> None:
    with pytest.raises(ConfigError, match="would diverge"):
        plan_penalized(GradientDescent(learning_rate=2.0), DIABETES, Penalty(0.1, 1.0))
