"""Loss and gradient, by hand and by finite differences."""

from fractions import Fraction

import numpy as np
import pytest

from gdpipe.numerics.problem.covariance import Scaling
from gdpipe.numerics.problem.fixed_point import FIXED_POINT_BITS, to_fixed
from tests.numerics.build import Floats, problem, random_data


def test_two_features_by_hand() -> None:
    # orthogonal columns of variance 1, so A is the identity and b the correlations
    X = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    loss = problem(X, X @ [3.0, 4.0]).loss
    np.testing.assert_array_equal(loss.hessian, np.eye(2))
    np.testing.assert_allclose(loss.linear, [0.6, 0.8], rtol=1e-15)
    assert loss.variance == pytest.approx(25.0)
    assert loss.loss(np.zeros(2)) == pytest.approx(25.0, rel=1e-15)
    assert loss.loss(np.array([0.6, 0.8])) == pytest.approx(0.0, abs=1e-15)
    assert loss.condition_number == pytest.approx(1.0)


@pytest.mark.parametrize("centred", [True, False])
def test_the_loss_is_the_mean_squared_error_of_the_rows(centred: bool) -> None:
    X, y = random_data(0)
    built = problem(X, y, centred=centred)
    w = np.array([0.3, -0.2, 1.1, 0.05])
    coef, intercept = built.scaling.to_original(w.tolist())
    residual = y - float(intercept) - X @ np.array([float(c) for c in coef])
    assert built.loss.loss(w) == pytest.approx(float(residual @ residual) / len(y), rel=1e-9)
    assert centred or intercept == 0


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    X, y = random_data(1)
    loss = problem(X, y).loss
    w, h = np.array([0.5, -0.25, 0.125, 1.0]), 2.0**-20
    for j, slope in enumerate(2 * loss.variance * loss.gradient(w)):
        step = np.zeros(4)
        step[j] = h
        assert (loss.loss(w + step) - loss.loss(w - step)) / (2 * h) == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_the_exact_gradient_has_digits_where_float64_has_none() -> None:
    X, y = random_data(2)
    loss = problem(X, y).loss
    optimum: Floats = np.linalg.solve(loss.hessian, loss.linear).astype(np.float64)
    assert isinstance(loss.exact_hessian, np.ndarray)
    exact = [
        sum((Fraction(int(a)) * Fraction(w) for a, w in zip(row, optimum.tolist(), strict=True)), -Fraction(int(b)))
        / 2**FIXED_POINT_BITS
        for row, b in zip(loss.exact_hessian, loss.exact_linear, strict=True)
    ]
    np.testing.assert_allclose(loss.gradient(optimum), [float(g) for g in exact], rtol=1e-15)


def test_losses_along_a_path_are_those_of_its_points() -> None:
    X, y = random_data(4)
    loss = problem(X, y).loss
    path = np.random.default_rng(0).normal(size=(6, 4))
    np.testing.assert_allclose(loss.losses(path), [loss.loss(w) for w in path], rtol=1e-12)


def test_excess_loss_is_the_difference_of_losses() -> None:
    X, y = random_data(5)
    loss = problem(X, y).loss
    optimum: Floats = np.linalg.solve(loss.hessian, loss.linear).astype(np.float64)
    away = optimum + np.array([0.1, 0.2, -0.3, 0.05])
    excess = loss.excess_loss(to_fixed(away.tolist()) - to_fixed(optimum.tolist()))
    assert excess == pytest.approx(loss.loss(away) - loss.loss(optimum), rel=1e-9)


def test_projected_directions_have_no_gradient_and_no_curvature() -> None:
    X, y = random_data(6)
    direction = np.array([[1.0], [0.0], [-1.0], [0.0]])
    left = problem(X, y).loss.without(direction)
    assert np.abs(left.hessian @ direction).max() < 1e-15
    assert abs(left.linear @ direction[:, 0]) < 1e-15
    assert len(left.eigenvalues) == 3


def test_scaling_there_and_back() -> None:
    X, y = random_data(7)
    scaling: Scaling = problem(X, y).scaling
    np.testing.assert_allclose(scaling.scales, X.std(axis=0), rtol=1e-12)
    assert scaling.target_scale == pytest.approx(y.std(), rel=1e-12)
    w = [0.5, -1.0, 2.0, 0.0]
    coef, intercept = scaling.to_original(w)
    np.testing.assert_allclose([float(c) for c in coef], np.array(w) * y.std() / X.std(axis=0), rtol=1e-12)
    assert float(intercept) == pytest.approx(y.mean() - X.mean(axis=0) @ [float(c) for c in coef], rel=1e-9)
