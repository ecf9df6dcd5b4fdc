"""The baseline against fractions by hand and NumPy's pseudo-inverse."""

from fractions import Fraction

import numpy as np
import pytest

from gdpipe.numerics.problem import baseline as ols
from gdpipe.numerics.problem.relations import null_directions
from tests.numerics.build import Floats, dependencies, problem, random_data


def standardized(X: Floats, y: Floats) -> tuple[Floats, Floats]:
    return (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()


def test_a_line_through_three_points_by_hand() -> None:
    built = problem(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 2.0, 4.0]))
    baseline = ols.solve(built.loss, ())
    coef, intercept = built.scaling.to_original(baseline.coef_scaled)
    assert coef == [Fraction(3, 2)]
    assert intercept == Fraction(5, 6)
    assert baseline.loss == float(Fraction(1, 18))


def test_a_line_through_the_origin_by_hand() -> None:
    built = problem(np.array([[1.0], [2.0]]), np.array([1.0, 3.0]), centred=False)
    baseline = ols.solve(built.loss, ())
    assert built.scaling.to_original(baseline.coef_scaled) == ([Fraction(7, 5)], Fraction(0))
    assert baseline.loss == float(Fraction(1, 10))


@pytest.mark.parametrize("centred", [True, False])
def test_dependent_features_get_the_minimum_norm_by_hand(centred: bool) -> None:
    # twins of which the second is doubled: their standardized coefficients are equal
    x = np.array([-1.0, 0.0, 1.0, 4.0])
    built = problem(np.column_stack([x, 2 * x]), np.array([-2.0, 1.0, 0.0, 9.0]), centred=centred)
    baseline = ols.solve(built.loss, dependencies(built).relations)
    slope = Fraction(15, 7) if centred else Fraction(19, 9)
    coef, intercept = built.scaling.to_original(baseline.coef_scaled)
    assert coef == [slope / 2, slope / 4]
    assert intercept == (2 - slope if centred else 0)


@pytest.mark.parametrize("seed", range(5))
def test_full_rank_agrees_with_numpy(seed: int) -> None:
    X, y = random_data(seed)
    built = problem(X, y)
    baseline = ols.solve(built.loss, ())
    Z, t = standardized(X, y)
    np.testing.assert_allclose([float(w) for w in baseline.coef_scaled], np.linalg.lstsq(Z, t)[0], rtol=1e-8)


@pytest.mark.parametrize("to_rounding", [False, True])
def test_dependent_features_get_the_minimum_norm(to_rounding: bool) -> None:
    rng = np.random.default_rng(3)
    X = np.rint(rng.normal(size=(100, 3)) * 100)
    third = X[:, 0] / 3 + X[:, 1] if to_rounding else X[:, 0] - 2 * X[:, 1]
    X = np.column_stack([X, third])
    y = X @ [1.0, 2.0, 3.0, 4.0] + rng.normal(size=100)
    built = problem(X, y)
    relations = dependencies(built).relations
    assert [r.exact for r in relations] == [not to_rounding]
    loss = built.loss.without(null_directions(relations, built.scaling))
    baseline = ols.solve(loss, relations)
    Z, t = standardized(X, y)
    np.testing.assert_allclose([float(w) for w in baseline.coef_scaled], np.linalg.pinv(Z, 1e-10) @ t, rtol=1e-9)


def test_a_perfect_fit_has_a_loss_of_zero_exactly() -> None:
    X = np.random.default_rng(0).integers(-50, 50, (40, 3)).astype(float)
    built = problem(X, X @ [1.0, -2.0, 3.0] + 7)
    baseline = ols.solve(built.loss, ())
    coef, intercept = built.scaling.to_original(baseline.coef_scaled)
    assert [*coef, intercept] == [1, -2, 3, 7]
    assert baseline.loss == 0.0


def test_refinement_for_wide_data_reaches_the_rational_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = random_data(1, n=300, p=12)
    built = problem(X, y)
    rational = ols.solve(built.loss, ())
    monkeypatch.setattr(ols, "RATIONAL_FEATURES", 5)
    refined = ols.solve(built.loss, ())
    gaps = [abs(a - b) for a, b in zip(rational.coef_scaled, refined.coef_scaled, strict=True)]
    assert max(gaps) < 1e-20
    assert refined.loss == pytest.approx(rational.loss, rel=1e-15)
