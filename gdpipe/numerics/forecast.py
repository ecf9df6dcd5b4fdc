"""How many steps a descent will take: on a quadratic that is known before the first."""

import math

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.objective import LeastSquares

FORECAST_LIMIT = 2**53


def forecast(problem: LeastSquares, rate: float, momentum: float, stop: float) -> int | None:
    """The steps until ||g|| <= stop, None if never: descent on a quadratic is known in advance.

    Along an eigenvector g(t+1) = (1 + momentum)(1 - rate·λ)·g(t) - momentum·(1 - rate·λ)·g(t-1): the powers of a
    2 x 2 matrix tell the gradient at any step.
    """

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
    """What the loss will still lie above its optimum: variance · Σ gᵢ(t)² / λᵢ over the eigenvectors.

    Args:
        problem: What to descend on, from zero.
        rate: The constant learning rate.
        momentum: Nesterov's; 0 for gd.
        iterations: Steps t, shape (n,).

    Returns:
        Shape (n,), in the target's unit squared.
    """
    gradients = np.array([_gradients_after(problem, rate, momentum, t) for t in iterations.tolist()])
    positive = problem.eigenvalues > 0  # what rounding has left of less than that says nothing
    with np.errstate(over="ignore", invalid="ignore"):
        excess: NDArray[np.float64] = gradients[:, positive] ** 2 @ (1.0 / problem.eigenvalues[positive])
    return excess * problem.variance


def _gradients_after(problem: LeastSquares, rate: float, momentum: float, steps: int) -> NDArray[np.float64]:
    """The gradient along each eigenvector after so many steps from zero, shape (rank,).

    It is taken where the descent takes it: beyond the iterate, by the momentum.
    """
    start = problem.modes.T @ problem.linear
    shrink = 1.0 - rate * problem.eigenvalues
    step = np.zeros((len(shrink), 2, 2))
    step[:, 0, 0], step[:, 0, 1], step[:, 1, 0] = (1 + momentum) * shrink, -momentum * shrink, 1.0
    # near a double root rounding can make powers of 10^9 and more overflow: that is as good as never
    with np.errstate(over="ignore", invalid="ignore"):
        state = np.linalg.matrix_power(step, steps) @ np.array([[1.0], [1.0]])
        gradients: NDArray[np.float64] = start * ((1 + momentum) * state[:, 0, 0] - momentum * state[:, 1, 0])
    return gradients
