"""Float64 sums all the way to the certificate: against exact ones, and against NumPy."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from gdpipe.numerics.descent.descent import Solution, Status, minimize
from gdpipe.numerics.descent.plan import GradientDescent
from gdpipe.numerics.inference.certificate import Certificate
from gdpipe.numerics.inference.inference import infer_terms
from gdpipe.numerics.inference.inverse import inverse_of
from gdpipe.numerics.problem import baseline as ols
from gdpipe.numerics.problem.baseline import Baseline
from gdpipe.numerics.problem.fixed_point import GridMatrix, to_fixed
from gdpipe.numerics.rows.meat import Meat
from gdpipe.numerics.rows.residuals import ResidualStatistics
from tests.numerics.build import Floats, Problem, dependencies, fitted, problem, random_data, regression


def standardized(X: Floats, y: Floats) -> tuple[Floats, Floats]:
    return (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()


def solved(built: Problem, **settings: Any) -> tuple[Solution, Baseline, Certificate]:
    """Descent, baseline and verdict, with the relations projected out."""
    found = fitted(built, **settings)
    assert isinstance(found.baseline, Baseline)
    assert isinstance(found.certificate, Certificate)
    return found.solution, found.baseline, found.certificate


@pytest.mark.parametrize("p", [1, 5, 37, 300])
def test_a_grid_matrix_multiplies_integers_of_any_length_without_rounding(p: int) -> None:
    rng = np.random.default_rng(p)
    values = rng.uniform(-1.0, 1.0, (p, p))
    values[0] *= 1e-12
    np.fill_diagonal(values, 1.0 + 2e-16)
    matrix = GridMatrix.of(values.copy())
    np.testing.assert_allclose(matrix.values, values, rtol=0, atol=2.0**-61)
    integers = np.array([to_fixed(row) for row in matrix.values.tolist()], object)
    rounded = to_fixed((rng.normal(size=p) * 10.0 ** rng.integers(-9, 5, p)).tolist())
    for point in (rounded, rounded + rng.integers(-(2**62), 2**62, p).astype(object), 0 * rounded):
        np.testing.assert_array_equal(matrix @ point, integers @ point)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_few_features_agree_with_exact_sums(seed: int, centred: bool) -> None:
    X, y = random_data(seed, p=5)
    X = X - 0.9 * X.mean(axis=0)  # without an intercept a mean makes all features alike
    exact, rounded = (problem(X, y, centred=centred, exact=kind) for kind in (True, False))
    wanted = ols.solve(exact.loss, ())
    solution, baseline, verdict = solved(rounded, tolerance=1e-10)
    assert verdict.passed
    np.testing.assert_allclose(np.array(baseline.coef_scaled, float), np.array(wanted.coef_scaled, float), atol=1e-9)
    np.testing.assert_allclose(solution.coef_scaled, np.array(wanted.coef_scaled, float), atol=1e-9)
    assert baseline.loss == pytest.approx(wanted.loss, rel=1e-9)
    assert rounded.loss.condition_number == pytest.approx(exact.loss.condition_number, rel=1e-6)


def test_the_baseline_is_the_optimum_of_the_rounded_problem_beyond_float64() -> None:
    X, y = random_data(1, p=12)
    built = problem(X, y, exact=False)
    _, baseline, _ = solved(built)
    gradient = built.loss.gradient(baseline.coef_scaled)
    assert np.abs(gradient).max() < 1e-20


def test_hundreds_of_features_agree_with_numpy() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_200, 400)) + 0.5 * rng.normal(size=(1_200, 1)) + 50.0
    y = X @ rng.normal(size=400) + 10.0 * rng.normal(size=1_200)
    built = problem(X, y, exact=False)
    solution, baseline, verdict = solved(built)
    assert verdict.passed, verdict.reason
    Z, t = standardized(X, y)
    expected = np.linalg.lstsq(Z, t)[0]
    np.testing.assert_allclose(np.array(baseline.coef_scaled, float), expected, atol=1e-12)
    np.testing.assert_allclose(solution.coef_scaled, expected, atol=1e-8)
    assert baseline.loss == pytest.approx(float(((y - y.mean() - y.std() * (Z @ expected)) ** 2).mean()), rel=1e-10)


@pytest.mark.parametrize("centred", [True, False])
def test_standard_errors_agree_with_exact_sums(centred: bool) -> None:
    X, y = random_data(4, p=6)
    errors = []
    for exact in (True, False):
        built = problem(X, y, centred=centred, exact=exact)
        baseline = ols.solve(built.loss, ())
        residuals = ResidualStatistics(
            np.zeros(6), Meat.of_all(built.loss.hessian, np.zeros(6)), np.zeros(6), 1.0, (0.0, 1.0, 0.0, 3.0), 1.0, 2.0
        )
        posed = regression(built)
        terms = infer_terms(posed, inverse_of(posed), residuals, baseline.loss, np.ones(7))
        errors.append((terms.std_error, terms.std_error_hc1, terms.vif))
    for ours, wanted in zip(*errors, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-8)


def test_wide_dependencies_are_found_and_descent_ends_at_the_minimum_norm() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(800, 120))
    X = np.column_stack([X, X[:, 3], X[:, 5] - 2 * X[:, 7], X[:, 10] / 3 + X[:, 11]])
    y = X @ rng.normal(size=123) + rng.normal(size=800)
    found = dependencies(built := problem(X, y, exact=False))
    assert found.redundant == [120, 121, 122]
    terms = [{j: relation.coefficients[j] for j in relation.features} for relation in found.relations]
    assert terms == [{3: -1, 120: 1}, {5: -1, 7: 2, 121: 1}, {10: -1, 11: -3, 122: 3}]
    solution, baseline, verdict = solved(built)
    assert verdict.passed, verdict.reason
    Z, t = standardized(X, y)
    expected = np.linalg.pinv(Z, 1e-10) @ t
    np.testing.assert_allclose(np.array(baseline.coef_scaled, float), expected, atol=1e-11)
    np.testing.assert_allclose(solution.coef_scaled, expected, atol=1e-8)


def test_fewer_rows_than_features_give_the_minimum_norm() -> None:
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 60)), rng.normal(size=40)
    built = problem(X, y, exact=False)
    assert len(dependencies(built).redundant) == 60 - 39
    solution, _, verdict = solved(built)
    assert verdict.passed, verdict.reason
    Z, t = standardized(X, y)
    np.testing.assert_allclose(solution.coef_scaled, np.linalg.pinv(Z, 1e-10) @ t, atol=1e-7)


def test_constants_are_told_from_features_that_hardly_vary() -> None:
    X, y = random_data(5)
    built = problem(np.column_stack([X, np.full(400, 0.1), 0.1 + 1e-9 * X[:, 0]]), y, exact=False)
    assert dependencies(built).constant == [4]


@pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-6])
def test_nearly_dependent_features_converge_to_the_optimum_or_are_refused(apart: float) -> None:
    rng = np.random.default_rng(6)
    X = rng.normal(size=(1_000, 30))
    X = np.column_stack([X, X[:, 0] + apart * rng.normal(size=1_000)])
    y = X @ rng.normal(size=31) + rng.normal(size=1_000)
    built = problem(X, y, exact=False)
    assert dependencies(built).relations == ()
    # the bound of the distance is divided by the least eigenvalue: that of these very sums, or less
    least = min(np.linalg.eigvalsh(built.loss.hessian.astype(np.float64)))
    assert least * (1 - 0.1) < built.loss.strong_convexity < least
    solution, _, verdict = solved(built, max_iterations=10_000)
    assert verdict.passed == (solution.status is Status.CONVERGED) == (apart > 1e-4)
    if verdict.passed:
        assert verdict.coef_gap <= solution.distance_bound <= 1e-8
    else:
        assert verdict.coef_gap > 1e-8


def test_a_condition_number_beyond_the_sums_is_never_certified() -> None:
    X, y = random_data(7)
    loss = problem(X, y, exact=False).loss
    # as if rounding had left nothing of the least eigenvalue
    lost = dataclasses.replace(loss, eigenvalues=np.array([1e-17, *loss.eigenvalues[1:]]))
    assert lost.strong_convexity < 0
    assert lost.condition_number == math.inf
    plan = GradientDescent(max_iterations=50).plan(lost)
    assert plan.forecast_iterations is None
    assert minimize(lost, plan).status is Status.MAX_ITERATIONS


def test_without_a_feature_there_is_nothing_to_refine() -> None:
    X, y = random_data(0)
    _, baseline, verdict = solved(problem(X[:, :0], y, exact=False))
    assert baseline.coef_scaled == ()
    assert verdict.passed
