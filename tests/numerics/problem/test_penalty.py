"""Penalties: their value and conditions by hand, the soft threshold, and duality gaps in rationals."""

from fractions import Fraction

import numpy as np
import pytest

from gdpipe.numerics.problem.active_set import minimum
from gdpipe.numerics.problem.penalty import (
    Penalty,
    alpha_grid,
    alpha_max,
    duality_gap,
    least_subgradient,
    soft_threshold,
)
from tests.numerics.build import Floats, orthogonal, problem, random_data


def test_an_elastic_net_by_hand() -> None:
    penalty = Penalty(0.5, 0.25)
    assert (penalty.l1, penalty.l2) == (0.125, 0.375)
    assert penalty.value(np.array([2.0, -1.0])) == 0.125 * 3 + 0.375 / 2 * 5


@pytest.mark.parametrize("centred", [True, False])
def test_ridge_is_a_loss_like_any_other(centred: bool) -> None:
    X, y = random_data(0)
    w = np.array([0.5, -0.25, 1.0, 0.0])
    for exact in (True, False):
        loss = problem(X, y, centred=centred, exact=exact).loss
        ridge = loss.ridge(3.0)  # more than the grid of a float64 matrix could hold
        assert ridge.loss(w) == pytest.approx(loss.loss(w) + loss.variance * 3.0 * float(w @ w), rel=1e-14)
        np.testing.assert_allclose(ridge.gradient(w), loss.gradient(w) + 3.0 * w, rtol=1e-13)
        np.testing.assert_allclose(ridge.eigenvalues, np.linalg.eigvalsh(ridge.hessian), rtol=1e-12)


def test_ridge_projects_nothing_out() -> None:
    X, y = random_data(1)
    loss = problem(np.column_stack([X, X[:, 0]]), y).loss
    projected = loss.without(np.array([[1.0], [0.0], [0.0], [0.0], [-1.0]]))
    np.testing.assert_array_equal(projected.ridge(0.5).hessian, loss.ridge(0.5).hessian)
    assert projected.ridge(0.5).projection_error == 0


def test_a_restricted_loss_has_eigenvectors_of_its_terms_alone() -> None:
    loss = problem(*random_data(2)).loss
    part = loss.restricted(np.array([1, 3]))
    assert (part.modes[[0, 2]] == 0).all()
    np.testing.assert_allclose(
        part.modes * part.eigenvalues @ part.modes.T, np.where(part.modes[:, :1] @ part.modes[:, :1].T, loss.hessian, 0)
    )
    assert loss.restricted(np.array([], int)).modes.shape == (4, 0)


def test_the_soft_threshold_is_the_proximal_operator_and_loses_no_digit() -> None:
    centre, signs = np.array([1.0, -1.0, 0.0, 0.5, 0.0, 0.25]), np.array([1.0, -1.0, 0.0, 1.0, 0.0, 1.0])
    moved = np.array([1e-20, -1e-20, 0.4, -0.1, -0.05, -1.0])  # of the gradient step, from the centre
    threshold = 0.125
    step = moved - threshold * signs  # the centre's gradient holds the penalty's already
    step[:2] = moved[:2]
    soft_threshold(step, centre, threshold, signs)
    point = centre + step
    assert step[:2].tolist() == [1e-20, -1e-20]
    np.testing.assert_allclose(point[2:], [0.275, 0.275, 0.0, -0.625], rtol=1e-15)
    assert point[4] == 0


def test_what_is_shrunk_to_zero_is_zero_exactly() -> None:
    centre, within = np.random.default_rng(0).uniform([[1e-3], [-0.1]], [[0.1], [0.1]], (2, 1000))
    step = within - centre - 0.1
    soft_threshold(step, centre, 0.1, np.sign(centre))
    assert (centre + step == 0).all()


def test_the_shortest_subgradient_by_hand() -> None:
    w, gradient = np.array([2.0, -2.0, 0.0, 0.0, 0.0]), np.array([-0.5, 0.5, 0.4, -0.75, 0.75])
    found = least_subgradient(w, gradient, 0.5)
    np.testing.assert_array_equal(found, [0.0, 0.0, 0.0, -0.25, 0.25])
    signs = np.array([1.0, -1.0, 0.0, 1.0, 0.0])
    np.testing.assert_array_equal(least_subgradient(w, gradient + 0.5 * signs, 0.5, signs), found)


def test_the_grid_of_alphas_is_glmnets_and_starts_where_all_terms_are_zero() -> None:
    loss = orthogonal([3, 2, 1, 1, 1])
    assert alpha_max(loss, 1.0) == 0.75
    assert alpha_max(loss, 0.5) == 1.5
    assert alpha_max(loss, 0.0) == 750
    grid = alpha_grid(loss, 1.0)
    assert (len(grid), grid[0], grid[-1]) == (100, 0.75, pytest.approx(0.75e-4))
    np.testing.assert_allclose(grid[1:] / grid[:-1], 1e-4 ** (1 / 99))


def gap_in_rationals(A: Floats, b: Floats, l1: float, w: list[float], v: list[float]) -> Fraction:
    """F(w) - F's dual at v, where A = I and |v - b| <= l1: ½|w - v|² + Σ (v - b)·w + l1·|w|."""
    total = Fraction(0)
    for bj, wj, vj in zip(map(Fraction, b.tolist()), map(Fraction, w), map(Fraction, v), strict=True):
        total += (wj - vj) ** 2 / 2 + (vj - bj) * wj + Fraction(l1) * abs(wj)
    return total


@pytest.mark.parametrize("w", [[0.25, 0.0, 0.0, 0.0, 0.0], [0.5, 2.0**-40, 0.0, 0.0, -1.0], [0.0] * 5])
def test_a_duality_gap_is_exact_and_zero_at_the_optimum_alone(w: list[float]) -> None:
    loss, l1 = orthogonal([3, 2, 1, 1, 1]), 0.5
    optimum = [0.25, 0.0, 0.0, 0.0, 0.0]
    found = duality_gap(loss, l1, w, tuple(map(Fraction, optimum)))
    assert found == float(gap_in_rationals(loss.hessian, loss.linear, l1, w, optimum))
    assert (found == 0) == (w == optimum)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.9, 0.999, 1.1])
@pytest.mark.parametrize("seed", range(5))
def test_a_duality_gap_from_any_dual_point_is_a_bound(seed: int, part: float) -> None:
    X, y = random_data(seed)
    loss, l1 = problem(X, y).loss, 0.1

    def objective(w: Floats) -> float:
        return loss.loss(w) / loss.variance / 2 + l1 * float(np.abs(w).sum())

    optimum = minimum(loss, l1, 0.0, np.zeros(4))
    w = part * optimum
    gap = duality_gap(loss, l1, w.tolist(), tuple(map(Fraction, w.tolist())))
    assert gap >= objective(w) - objective(optimum) - 1e-14
    assert gap < 2
