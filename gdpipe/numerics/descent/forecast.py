"""Forecast of a descent: on a quadratic its gradient after any number of steps is known in advance."""

import math

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.objective import LeastSquares

FORECAST_LIMIT = 2**53


def forecast(problem: LeastSquares, rate: float, momentum: float, stop: float) -> int | None:
    """The number of steps until ||g|| <= stop; None if that never happens."""

    def norm_after(steps: int) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            norm = float(np.linalg.norm(_gradients_after(problem, rate, momentum, steps)))
        return norm if math.isfinite(norm) else math.inf

    if norm_after(0) <= stop:
        return 0
    if stop <= 0:
        return None
    high = 1
    while norm_after(high) > stop:
        high *= 2
        if high > FORECAST_LIMIT:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if norm_after(middle) <= stop else (middle, high)
    return high


def expected_excess(
    problem: LeastSquares, rate: float, momentum: float, iterations: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The loss above its optimum after some steps from zero: variance · Σ gᵢ(t)² / λᵢ over the eigenvectors.

    Args:
        problem: The loss.
        rate: The constant learning rate.
        momentum: Nesterov's constant momentum; 0 for gd.
        iterations: Steps t, shape (n,).

    Returns:
        Shape (n,), in the target's unit squared.
    """
    gradients = np.array([_gradients_after(problem, rate, momentum, t) for t in iterations.tolist()])
    positive = problem.eigenvalues > 0  # others are nothing but rounding
    with np.errstate(over="ignore", invalid="ignore"):
        excess: NDArray[np.float64] = gradients[:, positive] ** 2 @ (1.0 / problem.eigenvalues[positive])
    return excess * problem.variance


def _gradients_after(problem: LeastSquares, rate: float, momentum: float, steps: int) -> NDArray[np.float64]:
    """The gradient along each eigenvector after some steps from zero, shape (rank,).

    It is the gradient that the descent computes: with momentum, at the point v ahead of the iterate.
    """
    start: NDArray[np.float64] = problem.modes.T @ problem.linear
    taken = rate * problem.eigenvalues
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        if not steps:
            return start
        if not momentum:
            size = np.exp(steps * np.log1p(-np.minimum(taken, 2 - taken)))  # of (1 - taken)^steps
            gradients: NDArray[np.float64] = start * np.where(taken > 1, -1.0, 1.0) ** (steps % 2) * size
            return gradients
        now, before = _remaining(taken, momentum, steps), _remaining(taken, momentum, steps - 1)
        return start * ((1 + momentum) * now - momentum * before)


def _remaining(taken: NDArray[np.float64], momentum: float, steps: int) -> NDArray[np.float64]:
    """The part e(t) of the distance that is left along each eigenvector, shape (rank,), where e(0) = e(-1) = 1.

    The roots of e(t+1) = (1 + m)·s·e(t) - m·s·e(t-1), with s = 1 - rate·λ, have modulus r = √(m·s) and angle a:
    e(t) = rᵗ·(cos ta + s·(1 - m)/(2r) · sin ta / sin a). Nesterov's momentum is made for the least λ: its root is a
    double one, and those of all others are complex. The closed form is right where rate·λ is near 1e-16, too; powers of
    the recurrence's matrix are not.
    """
    taken = np.minimum(taken, 1 - np.finfo(np.float64).eps)
    shrink = 1.0 - taken
    lag = 1.0 - momentum
    modulus = np.sqrt(momentum * shrink)
    sine = np.sqrt(np.maximum(shrink * ((1 + momentum) ** 2 * taken - lag**2), 0.0)) / (2 * modulus)
    angle = np.arctan2(sine, (1 + momentum) * shrink / (2 * modulus))
    turned = np.where(sine > 0, np.sin(steps * angle) / sine, float(steps))
    power = np.exp(steps * (np.log1p(-lag) + np.log1p(-taken)) / 2)
    remaining: NDArray[np.float64] = power * (np.cos(steps * angle) + shrink * lag / (2 * modulus) * turned)
    return remaining
