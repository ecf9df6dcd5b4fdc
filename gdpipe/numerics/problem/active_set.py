"""Lasso and elastic net in float64 by the active set, for whole paths of alphas: cross-validation and forecasts.

What is published comes from the descent, and its proof from rational arithmetic; this is the fast way to many optima.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.penalty import Penalty, least_subgradient

# rounding of a gradient relative to the numbers that it is the sum of
ROUNDING = 1e-14
# changes of the active set beyond which a point is left as it is, per term: a degenerate set could go in a circle
CHANGES_PER_TERM = 10


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The optima for a row of alphas, in float64.

    Attributes:
        alphas: As given, shape (n,).
        coef_scaled: The coefficients, target SDs per term SD, shape (n, p).
        violation: The largest violation of the optimality (KKT) conditions, shape (n,): rounding, where the optimum
            was found.
    """

    alphas: NDArray[np.float64]
    coef_scaled: NDArray[np.float64]
    violation: NDArray[np.float64]

    @property
    def n_active(self) -> NDArray[np.int64]:
        """The number of coefficients that are not zero, shape (n,)."""
        counts: NDArray[np.int64] = np.count_nonzero(self.coef_scaled, axis=1)
        return counts


def path(problem: LeastSquares, alphas: NDArray[np.float64], l1_ratio: float) -> Path:
    """The optimum for each alpha; each starts from the one before, so they are fastest in descending order.

    Args:
        problem: The loss.
        alphas: Shape (n,), > 0.
        l1_ratio: As in `Penalty`.
    """
    problem = problem.ridge(0.0)
    penalties = [Penalty(alpha, l1_ratio) for alpha in alphas.tolist()]
    if not l1_ratio:
        along = problem.modes.T @ problem.linear
        shrunk = along / (np.maximum(problem.eigenvalues, 0.0) + alphas[:, None])
        coef = shrunk @ problem.modes.T
    else:
        coef, start = np.empty((len(alphas), problem.n_features)), np.zeros(problem.n_features)
        for row, penalty in zip(coef, penalties, strict=True):
            row[:] = start = minimum(problem, penalty.l1, penalty.l2, start)
    l1, l2 = np.array([[p.l1, p.l2] for p in penalties]).T[:, :, None]
    slopes = least_subgradient(coef, coef @ problem.hessian + l2 * coef - problem.linear, l1)
    return Path(alphas, coef, np.abs(slopes).max(axis=1, initial=0.0))


def minimum(problem: LeastSquares, l1: float, l2: float, start: NDArray[np.float64]) -> NDArray[np.float64]:
    """The w that minimizes ½·wᵀ(A + l2·I)w - bᵀw + l1·|w|₁, shape (p,).

    With its signs fixed the objective is quadratic, and one solve leads to its minimum. On the way there the first
    coefficient to reach zero leaves the active set; at the minimum those that violate their condition enter with the
    sign in which the objective falls. It falls with every move, so no set comes twice (Lee, Battle, Raina & Ng 2007,
    "Efficient sparse coding algorithms", feature-sign search). Of several that enter, those whose coefficient would
    take the other sign leave at once; at least one stays, as the objective falls along the whole move.

    Args:
        problem: The loss, nothing projected out.
        l1: The weight of |w|₁, > 0.
        l2: The weight of ½·|w|².
        start: Where to start, shape (p,): the optimum of a similar problem, or zeros.
    """
    w, hessian, linear = start.copy(), problem.hessian, problem.linear
    signs = np.sign(w)
    # dependent terms leave a direction without curvature; with this it is a long move, which ends where a term is zero
    curvature = l2 + 4 * len(w) * float(np.finfo(np.float64).eps)
    settled = not signs.any()
    for _ in range(CHANGES_PER_TERM * (len(w) + 1)):
        if settled:
            gradient = hessian @ w + l2 * w - linear
            slack = ROUNDING * (np.abs(linear).max(initial=0.0) + np.abs(w).sum())
            entering = (signs == 0) & (np.abs(gradient) > l1 + slack)
            if not entering.any():
                break
            signs[entering] = -np.sign(gradient[entering])
        active = np.flatnonzero(signs)
        matrix = hessian[np.ix_(active, active)]
        matrix.flat[:: len(active) + 1] += curvature
        goal = np.linalg.solve(matrix, linear[active] - l1 * signs[active])
        now, wrong = w[active], goal * signs[active] <= 0
        settled = not wrong.any()
        if settled:
            w[active] = goal
            continue
        # the part of the way to the goal on which each coefficient keeps its sign
        reach = np.where(wrong, 0.0, 1.0)
        np.divide(now, now - goal, out=reach, where=wrong & (now != 0))
        part = reach.min()
        w[active] = now + part * (goal - now)
        leaving = active[reach <= part]
        w[leaving] = signs[leaving] = 0.0
    return w
