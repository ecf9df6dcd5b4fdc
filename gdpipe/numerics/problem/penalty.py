"""Ridge, lasso and elastic net: what is added to the loss, and the conditions of its optimum."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.fixed_point import FIXED_POINT_BITS, to_fixed
from gdpipe.numerics.problem.objective import LeastSquares

# the l1_ratio that alpha_max is computed with where the true one is smaller: no alpha makes all of ridge's terms zero
LEAST_L1_RATIO = 1e-3


@dataclass(frozen=True, slots=True)
class Penalty:
    """alpha·(l1_ratio·|w|₁ + ½·(1 - l1_ratio)·|w|²), which is added to ½·loss/variance.

    w are standardized coefficients, in target SDs per term SD. On standardized columns of n rows this is
    scikit-learn's ElasticNet(alpha, l1_ratio), Lasso(alpha) with l1_ratio = 1, and Ridge(n·alpha) with l1_ratio = 0.

    Attributes:
        alpha: The strength, >= 0.
        l1_ratio: The lasso's part, from 0 (ridge) to 1 (lasso).
    """

    alpha: float
    l1_ratio: float

    @property
    def l1(self) -> float:
        """The weight of |w|₁, rounded once; all later steps take it as exact."""
        return self.alpha * self.l1_ratio

    @property
    def l2(self) -> float:
        """The weight of ½·|w|², rounded once; all later steps take it as exact."""
        return self.alpha * (1.0 - self.l1_ratio)

    def value(self, coef_scaled: NDArray[np.float64]) -> float:
        """The penalty of w, shape (p,), in units of the target's variance."""
        return self.l1 * float(np.abs(coef_scaled).sum()) + self.l2 / 2 * float(coef_scaled @ coef_scaled)


def least_subgradient(
    coef_scaled: NDArray[np.float64], gradient: NDArray[np.float64], l1: float, signs: NDArray[np.float64] | float = 0.0
) -> NDArray[np.float64]:
    """The shortest subgradient of a quadratic plus l1·|w|₁, which is zero at the optimum alone (KKT conditions).

    gⱼ + l1·sign(wⱼ) where wⱼ is not zero; otherwise the part of gⱼ that exceeds ±l1.

    Args:
        coef_scaled: w, shape (p,); or n of them, shape (n, p), with their gradients and l1, shape (n, 1).
        gradient: g + l1·signs, where g is the quadratic's gradient at w, shape (p,).
        l1: The weight of |w|₁.
        signs: Signs that the gradient has already, so that no digit cancels where they are those of w; shape (p,).
    """
    now = np.sign(coef_scaled)
    inside = gradient - l1 * signs
    shortest: NDArray[np.float64] = np.where(now != 0, gradient + l1 * (now - signs), inside - np.clip(inside, -l1, l1))
    return shortest


def soft_threshold(
    step: NDArray[np.float64], centre: NDArray[np.float64], threshold: float, signs: NDArray[np.float64]
) -> None:
    """Replace v = centre + step + threshold·signs by v - clip(v, ±threshold), in place, as centre + step.

    This is the proximal operator of threshold·|w|₁ (Parikh & Boyd 2014, "Proximal Algorithms", 6.5.2). What is
    shrunk to zero is zero exactly, and steps much shorter than their centre lose no digit.
    """
    shift = threshold * signs
    point = centre + step + shift
    cut = np.clip(point, -threshold, threshold)
    step -= cut - shift
    np.copyto(step, -centre, where=cut == point)


def alpha_max(problem: LeastSquares, l1_ratio: float) -> float:
    """The least alpha for which all coefficients are zero: max|b| / l1_ratio, with an l1_ratio of at least 0.001."""
    largest = float(np.abs(problem.linear).max(initial=0.0))
    return max(largest, float(np.finfo(np.float64).eps)) / max(l1_ratio, LEAST_L1_RATIO)


def alpha_grid(problem: LeastSquares, l1_ratio: float, n_alphas: int = 100, least: float = 1e-4) -> NDArray[np.float64]:
    """Alphas in descending order, even in the logarithm, from `alpha_max` to `least`·max|b|; shape (n_alphas,).

    For the lasso this is glmnet's grid where rows outnumber terms (scikit-learn ends at 1e-3). The end is the same for
    all l1_ratio, so that ridge, which starts at a thousand times max|b|, gets to weak penalties, too.
    """
    largest = alpha_max(problem, 1.0)
    return np.geomspace(alpha_max(problem, l1_ratio), least * largest, n_alphas)


def duality_gap(
    quadratic: LeastSquares, l1: float, coef_scaled: list[float] | tuple[Fraction, ...], dual: tuple[Fraction, ...]
) -> float:
    """A bound of the objective at w above its least value, in units of the target's variance; evaluated exactly.

    With Q = A + l2·I, F(w) = ½ - bᵀw + ½·wᵀQw + l1·|w|₁, and r = y - Xv the residual of another point v (ridge as rows
    that are added), c·r is a point of the dual problem where c·|Qv - b| <= l1. Its value is
    D = ½ - ½·|(1 - c)·y + c·Xv|², and F(w) - D is returned. F(w) - F(w*) is at least half the mean square of the
    difference of the two points' predictions.

    Args:
        quadratic: The loss with its ridge.
        l1: The weight of |w|₁; where it is 0, v is taken for the optimum.
        coef_scaled: w, shape (p,).
        dual: v, shape (p,); the nearer to the optimum, the tighter the bound.
    """
    one = 1 << FIXED_POINT_BITS
    w, v, [bound] = to_fixed(coef_scaled), to_fixed(dual), to_fixed([l1])
    matrix, b = quadratic.exact_hessian, quadratic.exact_linear
    if not l1:
        d = w - v
        return int(d @ (matrix @ d)) / (2 * one**3)
    image = matrix @ v
    largest = max((abs(int(g)) for g in image - b * one), default=0)
    c = min(Fraction(1), Fraction(bound * one, largest) if largest else Fraction(1))
    primal = int(w @ (matrix @ w)) + 2 * one * (bound * sum(abs(int(x)) for x in w) - int(b @ w))
    y_y, y_v, v_v = quadratic.exact_square * one**2, int(b @ v) * one, int(v @ image)
    mixed = (1 - c) ** 2 * y_y + 2 * c * (1 - c) * y_v + c**2 * v_v
    return float(max(primal + mixed, Fraction(0)) / (2 * one**3))
