"""Proven optima: against fractions from the rows, scikit-learn, knots by hand, and terms that depend on each other."""

from fractions import Fraction

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet, Ridge

from gdpipe.numerics.problem.active_set import minimum
from gdpipe.numerics.problem.penalized_baseline import PenalizedBaseline, solve_penalized
from gdpipe.numerics.problem.penalty import Penalty, alpha_max
from tests.numerics.build import Floats, Problem, orthogonal, penalized, problem, random_data, regression

PENALTIES = [Penalty(alpha, l1_ratio) for alpha in (0.2, 0.01) for l1_ratio in (1.0, 0.5, 0.0)]


def solved(built: Problem, penalty: Penalty, start: Floats | None = None) -> PenalizedBaseline:
    """The optimum from the signs of a float64 solution, or of those given."""
    if start is None:
        start = minimum(built.loss.ridge(0.0), penalty.l1, penalty.l2, np.zeros(built.loss.n_features))
    return solve_penalized(built.loss, penalty, start)


def conditions(X: Floats, y: Floats, built: Problem, penalty: Penalty, w: tuple[Fraction, ...]) -> list[Fraction]:
    """Each term's gradient of the smooth part, in fractions from the rows, with the scales taken as exact."""
    columns = [
        [(Fraction(v) - mean) / Fraction(scale) for v in column]
        for column, mean, scale in zip(
            [*X.T.tolist(), y.tolist()],
            [*built.scaling.means, built.scaling.target_mean],
            [*built.scaling.scales.tolist(), built.scaling.target_scale],
            strict=True,
        )
    ]
    *Z, t = columns
    residual = [sum((wj * z for wj, z in zip(w, row, strict=True)), -ti) for *row, ti in zip(*Z, t, strict=True)]
    return [
        sum((e * z for e, z in zip(residual, column, strict=True)), Fraction(0)) / len(t) + Fraction(penalty.l2) * wj
        for column, wj in zip(Z, w, strict=True)
    ]


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_conditions_hold_exactly_on_the_rows(penalty: Penalty, centred: bool) -> None:
    rng = np.random.default_rng(0)
    X: Floats = rng.integers(-20, 20, (30, 5)).astype(float) + np.array([0, 5, 0, 0, 10])
    y: Floats = X @ np.array([1.0, 0.5, 0.0, 0.0, -0.25]) + rng.integers(-5, 5, 30).astype(float)
    built = problem(X, y, centred=centred)
    found = solved(built, penalty)
    assert found.proven
    assert found.unique
    limit = Fraction(penalty.l1)
    for g, w in zip(conditions(X, y, built, penalty, found.coef_scaled), found.coef_scaled, strict=True):
        assert g == (-limit if w > 0 else limit) if w else abs(g) <= limit


@pytest.mark.parametrize("penalty", PENALTIES)
def test_diabetes_is_scikit_learns(penalty: Penalty) -> None:
    X, y = load_diabetes(return_X_y=True)
    Z, t = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    if penalty.l1:
        model = ElasticNet(alpha=penalty.alpha, l1_ratio=penalty.l1_ratio, fit_intercept=False, tol=1e-15)
    else:
        model = Ridge(alpha=penalty.alpha * len(y), fit_intercept=False)
    theirs = model.fit(Z, t).coef_
    for exact in (True, False):
        fit = penalized(problem(X, y, exact=exact).loss, penalty)
        assert fit.baseline.proven == exact
        np.testing.assert_allclose([float(w) for w in fit.baseline.coef_scaled], theirs, atol=1e-8)
        np.testing.assert_allclose(fit.solution.coef_scaled, theirs, atol=2e-8)
        assert fit.certificate.passed, fit.certificate.reason


@pytest.mark.parametrize(("alpha", "undecided"), [(0.75, [0]), (0.5, [1]), (0.25, [2, 3, 4]), (0.3, [])])
def test_a_knot_is_an_optimum_with_terms_on_its_edge(alpha: float, undecided: list[int]) -> None:
    loss = orthogonal([3, 2, 1, 1, 1])
    fit = penalized(loss, Penalty(alpha, 1.0))
    b = [Fraction(3, 4), Fraction(1, 2), *[Fraction(1, 4)] * 3]
    assert fit.baseline.coef_scaled == tuple(max(bj - Fraction(alpha), Fraction(0)) for bj in b)
    assert np.flatnonzero(fit.baseline.undecided).tolist() == undecided
    assert fit.baseline.proven
    assert fit.certificate.passed, fit.certificate.reason
    assert ("about to enter or leave" in fit.certificate.reason) == bool(undecided)


@pytest.mark.parametrize("signs", [[1, 1, 1, 1], [-1, -1, -1, -1], [0, 0, 0, 0]])
def test_signs_that_fail_are_corrected(signs: list[int]) -> None:
    built, penalty = problem(*random_data(4)), Penalty(0.05, 1.0)
    found = solved(built, penalty, np.array(signs, float))
    assert found.proven
    assert found.coef_scaled == solved(built, penalty).coef_scaled


@pytest.mark.parametrize("seed", range(5))
def test_rounded_sums_are_refined_to_the_rational_optimum_with_a_gap_evaluated_exactly(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = problem(*random_data(seed, n=300, p=12))
    penalty = Penalty(0.1 * alpha_max(built.loss, 0.5), 0.5)
    rational = solved(built, penalty)
    monkeypatch.setattr("gdpipe.numerics.problem.penalized_baseline.RATIONAL_FEATURES", 5)
    refined = solved(built, penalty)
    assert (rational.proven, refined.proven) == (True, False)
    assert max(abs(a - b) for a, b in zip(rational.coef_scaled, refined.coef_scaled, strict=True)) < 1e-20
    assert 0 <= refined.duality_gap < 1e-30
    wrong = solved(built, penalty, np.ones(12))
    assert wrong.duality_gap > 1e-6


@pytest.mark.parametrize("exact", [True, False])
def test_ridge_has_one_optimum_for_dependent_terms(exact: bool) -> None:
    X, y = random_data(5)
    X = np.column_stack([X, X[:, 0] - 2 * X[:, 1], X[:, 2]])
    fit = penalized(regression(problem(X, y, exact=exact)).problem, Penalty(0.1, 0.0))
    assert fit.baseline.unique
    assert fit.certificate.passed, fit.certificate.reason
    assert fit.baseline.coef_scaled[2] == pytest.approx(fit.baseline.coef_scaled[5], rel=1e-12)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("factor", [1.0, -1.0, 3.0])
def test_a_lasso_of_duplicates_has_many_optima_with_the_same_predictions(factor: float, exact: bool) -> None:
    rng = np.random.default_rng(6)
    a, b = rng.integers(-100, 100, (2, 200)).astype(float)
    y = a + b + 20 * rng.normal(size=200)
    single = penalized(problem(np.column_stack([a, b]), y, exact=exact).loss, Penalty(0.1, 1.0))
    both = regression(problem(np.column_stack([a, factor * a, b]), y, exact=exact))
    assert both.relations
    double = penalized(both.problem, Penalty(0.1, 1.0))
    assert (single.baseline.unique, double.baseline.unique) == (True, False)
    assert double.certificate.passed, double.certificate.reason
    assert np.isnan(double.certificate.coef_gap)
    assert "other coefficients of dependent terms are as good" in double.certificate.reason
    shared = double.solution.coef_scaled
    assert shared[0] + np.sign(factor) * shared[1] == pytest.approx(single.solution.coef_scaled[0], abs=1e-7)
    assert double.baseline.loss == pytest.approx(single.baseline.loss, rel=1e-12)


def test_of_many_optima_the_nearest_is_taken_where_none_is_proven() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(2, 200))
    loss = problem(np.column_stack([a, a, b]), a + b + rng.normal(size=200), exact=False).loss
    shared = penalized(loss, Penalty(0.1, 1.0)).solution.coef_scaled
    uneven = shared + np.array([0.9, -0.9, 0.0]) * shared[0]
    found = solve_penalized(loss, Penalty(0.1, 1.0), uneven)
    np.testing.assert_allclose([float(w) for w in found.coef_scaled], uneven, atol=1e-7)
    assert found.duality_gap < 1e-15


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_a_hundred_terms(l1_ratio: float) -> None:
    rng = np.random.default_rng(7)
    X = rng.normal(size=(1_000, 100))
    X[:, 1:50] += 2 * X[:, :49]
    y = X @ (rng.normal(size=100) * (rng.random(100) < 0.5)) + 5 * rng.normal(size=1_000)
    loss = problem(X, y).loss
    fit = penalized(loss, Penalty(0.01 * alpha_max(loss, 1.0), l1_ratio))
    assert fit.baseline.proven
    assert fit.certificate.passed, fit.certificate.reason


def test_nothing_to_fit() -> None:
    empty = problem(np.empty((4, 0)), np.arange(4.0)).loss
    for l1_ratio in (1.0, 0.0):
        fit = penalized(empty, Penalty(0.1, l1_ratio))
        assert fit.baseline.coef_scaled == ()
        assert fit.certificate.passed, fit.certificate.reason
