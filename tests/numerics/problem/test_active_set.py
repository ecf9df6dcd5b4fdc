"""Paths of lasso, elastic net and ridge, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet, Ridge

from gdpipe.numerics.problem.active_set import minimum, path
from gdpipe.numerics.problem.penalty import alpha_grid, alpha_max
from tests.numerics.build import orthogonal, problem, random_data


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_a_path_on_diabetes_is_scikit_learns(l1_ratio: float) -> None:
    X, y = load_diabetes(return_X_y=True)
    Z, t = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    loss = problem(X, y).loss
    alphas = alpha_grid(loss, l1_ratio)
    found = path(loss, alphas, l1_ratio)
    assert found.violation.max() < 1e-13
    for alpha, coef in zip(alphas[::9].tolist(), found.coef_scaled[::9], strict=True):
        if l1_ratio:
            model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, fit_intercept=False, tol=1e-15, max_iter=10**6)
        else:
            model = Ridge(alpha=alpha * len(y), fit_intercept=False)
        np.testing.assert_allclose(coef, model.fit(Z, t).coef_, atol=1e-8)
    assert not l1_ratio or (found.n_active[0], found.n_active[-1]) == (0, 10)


def test_the_knots_of_orthogonal_terms_by_hand() -> None:
    loss = orthogonal([3, 2, 1, 1, 1])
    found = path(loss, np.array([1.0, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]), 1.0)
    b = loss.linear
    np.testing.assert_array_equal(b, [0.75, 0.5, 0.25, 0.25, 0.25])
    np.testing.assert_allclose(found.coef_scaled, np.maximum(b - found.alphas[:, None], 0.0), atol=1e-16)
    assert found.n_active.tolist() == [0, 0, 1, 1, 2, 2, 5]


@pytest.mark.parametrize("seed", range(10))
def test_any_start_leads_to_the_same_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 12)) @ rng.normal(size=(12, 12))
    loss = problem(X, X @ rng.normal(size=12) + 5 * rng.normal(size=60)).loss
    l1 = 0.05 * alpha_max(loss, 1.0)
    wanted = minimum(loss, l1, 0.0, np.zeros(12))
    gradient = loss.gradient(wanted.tolist())
    assert (np.abs(gradient) <= l1 * (1 + 1e-10)).all()
    np.testing.assert_allclose(gradient[wanted != 0], -l1 * np.sign(wanted[wanted != 0]), rtol=1e-10)
    for _ in range(5):
        np.testing.assert_allclose(minimum(loss, l1, 0.0, rng.normal(size=12)), wanted, atol=1e-9)


def test_a_duplicate_changes_no_prediction() -> None:
    X, y = random_data(0)
    X = np.column_stack([X, X[:, 0] - 2 * X[:, 1]])
    single, double = problem(X, y).loss, problem(np.column_stack([X, X[:, 2]]), y).loss
    alphas = alpha_grid(single, 1.0)
    one, two = path(single, alphas, 1.0), path(double, alphas, 1.0)
    assert max(one.violation.max(), two.violation.max()) < 1e-12
    merged = two.coef_scaled[:, :5].copy()
    merged[:, 2] += two.coef_scaled[:, 5]
    np.testing.assert_allclose(single.losses(merged), single.losses(one.coef_scaled), rtol=1e-9)
    np.testing.assert_allclose(np.abs(two.coef_scaled).sum(axis=1), np.abs(one.coef_scaled).sum(axis=1), rtol=1e-8)


def test_without_a_term_or_a_relation_to_the_target() -> None:
    signs = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    loss = problem(signs, np.array([1.0, -1.0, 1.0, -1.0])).loss
    assert path(loss, alpha_grid(loss, 1.0), 1.0).n_active.max() == 0
    empty = problem(np.empty((4, 0)), signs[:, 0]).loss
    assert path(empty, alpha_grid(empty, 1.0), 1.0).coef_scaled.shape == (100, 0)
