"""The mean squared error as a function of standardized coefficients."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.covariance import CrossProducts, power_of_two
from gdpipe.numerics.scaling import Scaling

# The exact form is held in units of 2^-256: at a condition number of 1e32 that still leaves 45 digits.
FIXED_POINT_BITS = 256


@dataclass(frozen=True, slots=True, eq=False)
class LeastSquares:
    """loss(w) = variance · (1 - 2·bᵀw + wᵀAw), the mean over rows of (y - prediction)².

    A is the correlation matrix of the features, b their correlation with the target (second moments about zero
    where there is no intercept). In units of the target's variance, half the gradient is g(w) = A w - b. One gradient
    step on these p × p numbers is one full-batch gradient step on all the rows.

    A and b are kept twice: rounded to float64, to descend on, and as integers in units of 2^-256, to tell the
    exact gradient and the exact loss at any float64 point.

    Attributes:
        hessian: A, shape (p, p), with the `null_space` projected out.
        linear: b, shape (p,), likewise.
        exact_hessian: A, shape (p, p), Python integers.
        exact_linear: b, shape (p,), Python integers.
        exact_square: The standardized target's mean square (1 but for the scale's rounding), an integer.
        variance: The loss's unit in the target's unit squared: target_scale².
        null_space: Orthonormal directions in which the loss does not change, shape (p, p - rank).
        eigenvalues: Of A on the complement of the null space, ascending, shape (rank,).
        modes: The matching eigenvectors, shape (p, rank).
    """

    hessian: NDArray[np.float64]
    linear: NDArray[np.float64]
    exact_hessian: NDArray[np.object_]
    exact_linear: NDArray[np.object_]
    exact_square: int
    variance: float
    null_space: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    modes: NDArray[np.float64]

    @classmethod
    def of(cls, cross: CrossProducts, scaling: Scaling) -> "LeastSquares":
        """From covariances of [features..., target]; no feature may be constant."""
        scales = [*scaling.scales.tolist(), scaling.target_scale]
        exact = _correlations(cross, scales)
        hessian = _to_float(exact[:-1, :-1])
        eigenvalues, modes = np.linalg.eigh(hessian)
        return cls(
            hessian=hessian,
            linear=_to_float(exact[:-1, -1]),
            exact_hessian=exact[:-1, :-1],
            exact_linear=exact[:-1, -1],
            exact_square=int(exact[-1, -1]),
            variance=scaling.target_scale**2,
            null_space=np.zeros((len(hessian), 0)),
            eigenvalues=eigenvalues,
            modes=modes,
        )

    def without(self, directions: NDArray[np.float64], smallest: float | None = None) -> "LeastSquares":
        """The same with directions of no consequence projected out.

        Args:
            directions: Shape (p, k), linearly independent.
            smallest: The least eigenvalue that is left, where it is known better than float64 can find it.
        """
        p, k = directions.shape
        null_space = np.linalg.qr(directions)[0]
        keep = np.eye(p) - null_space @ null_space.T
        hessian = keep @ self.hessian @ keep
        hessian = (hessian + hessian.T) / 2
        eigenvalues, modes = np.linalg.eigh(hessian)
        left = np.sort(np.argsort(np.abs(eigenvalues), kind="stable")[k:])
        eigenvalues = eigenvalues[left]
        if smallest is not None:
            eigenvalues = np.maximum(eigenvalues, smallest)
            eigenvalues[:1] = smallest
        return LeastSquares(
            hessian if k else self.hessian,
            keep @ self.linear if k else self.linear,
            self.exact_hessian,
            self.exact_linear,
            self.exact_square,
            self.variance,
            null_space,
            eigenvalues,
            modes[:, left],
        )

    def select(self, features: list[int]) -> "LeastSquares":
        """The same for some of the features, in the order given; there may be no null space."""
        square = np.ix_(features, features)
        eigenvalues, modes = np.linalg.eigh(self.hessian[square])
        return LeastSquares(
            self.hessian[square],
            self.linear[features],
            self.exact_hessian[square],
            self.exact_linear[features],
            self.exact_square,
            self.variance,
            np.zeros((len(features), 0)),
            eigenvalues,
            modes,
        )

    @property
    def n_features(self) -> int:
        """P."""
        return len(self.linear)

    @property
    def lipschitz(self) -> float:
        """L, the largest eigenvalue: a constant learning rate of 2/L or more diverges."""
        return float(self.eigenvalues[-1]) if len(self.eigenvalues) else 1.0

    @property
    def strong_convexity(self) -> float:
        """mu, the least eigenvalue on the complement of the null space: ||w - w*|| <= ||g(w)|| / mu."""
        return float(self.eigenvalues[0]) if len(self.eigenvalues) else 1.0

    @property
    def condition_number(self) -> float:
        """κ = L / mu; infinite where float64 cannot tell mu from zero."""
        return self.lipschitz / self.strong_convexity if self.strong_convexity > 0 else float("inf")

    def projected(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Without its part along the null space, where descent from zero never goes but rounding would; shape (p,)."""
        if not self.null_space.size:
            return vector
        along: NDArray[np.float64] = self.null_space @ (self.null_space.T @ vector)
        return vector - along

    @property
    def projection_error(self) -> float:
        """What is left along the null space after `projected`, relative to the vector."""
        return 4 * self.n_features * float(np.finfo(np.float64).eps) if self.null_space.size else 0.0

    def gradient(self, coef_scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """g(w) = A w - b from the exact form, rounded once (then projected); shape (p,)."""
        return self.gradient_at(to_fixed(coef_scaled.tolist()))

    def gradient_at(self, point: NDArray[np.object_]) -> NDArray[np.float64]:
        """The same at a point in units of 2^-256."""
        exact = self.exact_hessian @ point - (self.exact_linear << FIXED_POINT_BITS)
        return self.projected(_to_float(exact, 2 * FIXED_POINT_BITS))

    def loss(self, coef_scaled: NDArray[np.float64]) -> float:
        """The loss at w from the exact form, rounded once; in the target's unit squared."""
        return self.loss_at(to_fixed(coef_scaled.tolist()))

    def loss_at(self, point: NDArray[np.object_]) -> float:
        """The same at a point in units of 2^-256."""
        curved = point @ (self.exact_hessian @ point) - 2 * (self.exact_linear @ point << FIXED_POINT_BITS)
        total = int(curved) + (self.exact_square << 2 * FIXED_POINT_BITS)
        # a loss of zero may come out as less by the rounding of A and b, some 2^-256
        return max(total, 0) / (1 << 3 * FIXED_POINT_BITS) * self.variance

    def excess_loss(self, difference: NDArray[np.object_]) -> float:
        """What a point loses to the optimum: dᵀAd·variance for d = w - w* in units of 2^-256, rounded once."""
        total = int(difference @ (self.exact_hessian @ difference))
        return max(total, 0) / (1 << 3 * FIXED_POINT_BITS) * self.variance

    def losses(self, path: NDArray[np.float64]) -> NDArray[np.float64]:
        """Loss at each of many points that lead to the last one.

        Expanded about the last point, so that near it, where losses hardly differ, the differences are still right:
        loss(w) = loss(v) + variance · (2·g(v)ᵀ(w - v) + (w - v)ᵀA(w - v)).

        Args:
            path: Shape (n, p).

        Returns:
            Shape (n,), in the target's unit squared.
        """
        end = path[-1]
        steps = path - end
        curvature = np.einsum("ij,ij->i", steps @ self.hessian, steps)
        slope = steps @ self.gradient(end)
        losses: NDArray[np.float64] = np.maximum(self.loss(end) + self.variance * (2 * slope + curvature), 0.0)
        return losses


def to_fixed(values: Iterable[float | Fraction]) -> NDArray[np.object_]:
    """Numbers in units of 2^-256, rounded down; shape (p,), Python integers."""
    ratios = (value.as_integer_ratio() for value in values)
    return np.array([(above << FIXED_POINT_BITS) // below for above, below in ratios], object)


def _to_float(values: NDArray[np.object_], bits: int = FIXED_POINT_BITS) -> NDArray[np.float64]:
    """Integers in units of 2^-bits as float64, each rounded once."""
    rounded: NDArray[np.float64] = (values / (1 << bits)).astype(np.float64)  # int / int rounds correctly in Python
    return rounded


def _correlations(cross: CrossProducts, scales: list[float]) -> NDArray[np.object_]:
    """products[i, j]·2^(eᵢ + eⱼ) / (weight²·scaleᵢ·scaleⱼ) in units of 2^-256."""
    # each row and column has one factor, 2^e / scale, written as a fraction of integers
    factors = [power_of_two(e) / Fraction(s) for e, s in zip(cross.exponents.tolist(), scales, strict=True)]
    above = np.array([f.numerator for f in factors], object)
    below = np.array([f.denominator for f in factors], object)
    numerators = (cross.products * np.multiply.outer(above, above)) << FIXED_POINT_BITS
    quotients: NDArray[np.object_] = numerators // (np.multiply.outer(below, below) * cross.weight**2)
    return quotients
