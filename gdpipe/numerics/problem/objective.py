"""The mean squared error as a function of standardized coefficients."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts, ExactProducts, Float64Products, Scaling
from gdpipe.numerics.problem.fixed_point import FIXED_POINT_BITS, GridMatrix, to_fixed, to_float

# numbers (points of a path times features) whose losses are evaluated at once
PATH_NUMBERS = 2**22


@dataclass(frozen=True, slots=True, eq=False)
class LeastSquares:
    """loss(w) = variance · (1 - 2·bᵀw + wᵀAw), the mean over rows of (y - prediction)².

    A is the correlation matrix of the features, b their correlation with the target (second moments about zero
    where there is no intercept). In units of the target's variance, half the gradient is g(w) = A w - b. One gradient
    step on these p × p numbers is one full-batch gradient step on all the rows.

    A and b are stored twice: rounded to float64 for the descent, and as integers in units of 2^-256 for the exact
    gradient and the exact loss at any float64 point. With float64 sums A is rounded already, to multiples of 2^-60: it
    is stored once, and its products with integers are exact.

    Attributes:
        cross: The covariances of [features..., target]; no feature is constant.
        scaling: The scaling of the same columns.
        hessian: A, shape (p, p), with the `null_space` projected out.
        linear: b, shape (p,), with the `null_space` projected out.
        exact_hessian: A, shape (p, p): Python integers, or a float64 matrix whose products with integers are exact.
        exact_linear: b, shape (p,), Python integers.
        exact_square: The standardized target's mean square (1 but for the scale's rounding), an integer.
        null_space: Orthonormal directions in which the loss does not change, shape (p, p - rank).
        eigenvalues: The eigenvalues of A on the complement of the null space, ascending, shape (rank,).
        modes: The matching eigenvectors, shape (p, rank).
    """

    cross: CrossProducts
    scaling: Scaling
    hessian: NDArray[np.float64]
    linear: NDArray[np.float64]
    exact_hessian: NDArray[np.object_] | GridMatrix
    exact_linear: NDArray[np.object_]
    exact_square: int
    null_space: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    modes: NDArray[np.float64]

    @classmethod
    def of(cls, cross: CrossProducts, scaling: Scaling | None = None) -> "LeastSquares":
        """The loss from covariances of [features..., target], and their scaling if known; none may be constant."""
        scaling = scaling or Scaling.of(cross)
        scales = [*scaling.scales.tolist(), scaling.target_scale]
        exact_hessian: NDArray[np.object_] | GridMatrix
        if isinstance(cross, ExactProducts):
            exact = correlations(cross, scales)
            exact_hessian, exact_linear, exact_square = exact[:-1, :-1], exact[:-1, -1], int(exact[-1, -1])
            hessian = to_float(exact_hessian)
        else:
            assert isinstance(cross, Float64Products)
            exact_hessian, exact_linear, exact_square = _float64_correlations(cross, scales)
            hessian = exact_hessian.values
        eigenvalues, modes = np.linalg.eigh(hessian)
        return cls(
            cross=cross,
            scaling=scaling,
            hessian=hessian,
            linear=to_float(exact_linear),
            exact_hessian=exact_hessian,
            exact_linear=exact_linear,
            exact_square=exact_square,
            null_space=np.zeros((len(hessian), 0)),
            eigenvalues=eigenvalues,
            modes=modes,
        )

    def without(self, directions: NDArray[np.float64]) -> "LeastSquares":
        """The loss with independent `directions` projected out, shape (p, k), along which it does not change."""
        k = directions.shape[1]
        if not k:
            return self
        basis = np.linalg.qr(directions, mode="complete")[0]
        null_space, rest = basis[:, :k], basis[:, k:]
        hessian = rest.T @ self.hessian @ rest
        eigenvalues, modes = np.linalg.eigh(hessian)
        hessian = rest @ hessian @ rest.T
        return replace(
            self,
            hessian=(hessian + hessian.T) / 2,
            linear=rest @ (rest.T @ self.linear),
            null_space=null_space,
            eigenvalues=eigenvalues,
            modes=rest @ modes,
        )

    def correlations(self, places: Sequence[int]) -> NDArray[np.float64]:
        """A among some of the features, before any direction was projected out."""
        chosen = np.ix_(places, places)
        if isinstance(self.exact_hessian, GridMatrix):
            return self.exact_hessian.values[chosen]
        return to_float(self.exact_hessian[chosen])

    def ridge(self, l2: float) -> "LeastSquares":
        """The loss plus variance·l2·|w|²: A + l2·I in place of A.

        Nothing is projected out: a penalty itself chooses between the optima of dependent terms.
        """
        whole = LeastSquares.of(self.cross, self.scaling) if self.null_space.size else self
        if not l2:
            return whole
        [diagonal], identity = to_fixed([l2]), np.eye(self.n_features)
        exact = whole.exact_hessian
        return replace(
            whole,
            hessian=whole.hessian + l2 * identity,
            exact_hessian=replace(exact, diagonal=exact.diagonal + diagonal)
            if isinstance(exact, GridMatrix)
            else exact + identity.astype(int).astype(object) * diagonal,
            eigenvalues=np.maximum(whole.eigenvalues, 0.0) + l2,
        )

    def at_least(self, smallest: float) -> "LeastSquares":
        """The same with its least eigenvalue, which is known better than float64 has computed it."""
        eigenvalues = np.maximum(self.eigenvalues, smallest)
        eigenvalues[:1] = smallest
        return replace(self, eigenvalues=eigenvalues)

    def tilted(self, slope: NDArray[np.float64]) -> "LeastSquares":
        """The loss plus 2·variance·slopeᵀw: b - slope in place of b; shape (p,)."""
        exact_linear = self.exact_linear - to_fixed(slope.tolist())
        return replace(self, linear=to_float(exact_linear), exact_linear=exact_linear)

    def restricted(self, terms: NDArray[np.intp]) -> "LeastSquares":
        """The loss with all other coefficients held at zero: its eigenvectors have zeros there.

        Directions in which it does not change but for rounding are no eigenvectors.
        """
        eigenvalues, modes = np.linalg.eigh(self.hessian[np.ix_(terms, terms)])
        real = eigenvalues > 4 * len(terms) * np.finfo(np.float64).eps * eigenvalues[-1:]
        embedded = np.zeros((self.n_features, int(real.sum())))
        embedded[terms] = modes[:, real]
        return replace(self, eigenvalues=eigenvalues[real], modes=embedded)

    @property
    def variance(self) -> float:
        """The loss's unit in the target's unit squared: target_scale²."""
        return self.scaling.target_scale**2

    @property
    def n_features(self) -> int:
        """The number of features, p."""
        return len(self.linear)

    @property
    def lipschitz(self) -> float:
        """L, the largest eigenvalue: a constant learning rate of 2/L or more diverges."""
        return float(self.eigenvalues[-1]) if len(self.eigenvalues) else 1.0

    @property
    def strong_convexity(self) -> float:
        """mu, the least eigenvalue on the complement of the null space: ||w - w*|| <= ||g(w)|| / mu.

        With float64 sums it is lowered by the possible rounding, p·eps·L (LAPACK Users' Guide, 4.7).
        """
        if not len(self.eigenvalues):
            return 1.0
        least = float(self.eigenvalues[0])
        if isinstance(self.exact_hessian, GridMatrix):
            least -= self.n_features * float(np.finfo(np.float64).eps) * self.lipschitz
        return least

    @property
    def condition_number(self) -> float:
        """κ = L / mu; infinite where float64 cannot tell mu from zero."""
        return self.lipschitz / self.strong_convexity if self.strong_convexity > 0 else math.inf

    def projected(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """The vector without its part along the null space, into which only rounding leads; shape (p,)."""
        if not self.null_space.size:
            return vector
        along: NDArray[np.float64] = self.null_space @ (self.null_space.T @ vector)
        return vector - along

    @property
    def projection_error(self) -> float:
        """The length left along the null space after `projected`, relative to the vector."""
        return 4 * self.n_features * float(np.finfo(np.float64).eps) if self.null_space.size else 0.0

    def gradient(self, coef_scaled: Iterable[float | Fraction]) -> NDArray[np.float64]:
        """g(w) = A w - b from the exact form, rounded once (then projected); shape (p,)."""
        point = to_fixed(coef_scaled)
        exact = self.exact_hessian @ point - (self.exact_linear << FIXED_POINT_BITS)
        return self.projected(to_float(exact, 2 * FIXED_POINT_BITS))

    def loss(self, coef_scaled: Iterable[float | Fraction]) -> float:
        """The loss at w from the exact form, rounded once; in the target's unit squared."""
        point = to_fixed(coef_scaled)
        curved = point @ (self.exact_hessian @ point) - 2 * (self.exact_linear @ point << FIXED_POINT_BITS)
        total = int(curved) + (self.exact_square << 2 * FIXED_POINT_BITS)
        # the rounding of A and b, about 2^-256, may make a loss of zero negative
        return max(total, 0) / (1 << 3 * FIXED_POINT_BITS) * self.variance

    def excess_loss(self, difference: NDArray[np.object_]) -> float:
        """The loss above the optimum's: dᵀAd·variance for d = w - w* in units of 2^-256, rounded once."""
        total = int(difference @ (self.exact_hessian @ difference))
        return max(total, 0) / (1 << 3 * FIXED_POINT_BITS) * self.variance

    def losses(self, path: NDArray[np.float64]) -> NDArray[np.float64]:
        """The loss at each point of a path.

        The loss is expanded about the last point v, so that differences are right near it, where losses hardly differ:
        loss(w) = loss(v) + variance · (2·g(v)ᵀ(w - v) + (w - v)ᵀA(w - v)).

        Args:
            path: The points w, shape (n, p).

        Returns:
            Shape (n,), in the target's unit squared.
        """
        end = path[-1]
        gradient, loss = self.gradient(end.tolist()), self.loss(end.tolist())
        losses = np.empty(len(path))
        points = PATH_NUMBERS // max(self.n_features, 1)
        for start in range(0, len(path), points):
            steps = path[start : start + points] - end
            curvature = np.einsum("ij,ij->i", steps @ self.hessian, steps)
            slope = steps @ gradient
            losses[start : start + points] = np.maximum(loss + self.variance * (2 * slope + curvature), 0.0)
        return losses


def _float64_correlations(cross: Float64Products, scales: list[float]) -> tuple[GridMatrix, NDArray[np.object_], int]:
    """A, then b and the standardized target's mean square in units of 2^-256."""
    per_scale = 1.0 / np.array(scales)
    # symmetric to the last bit, and so are the products below
    hessian = np.multiply.outer(per_scale[:-1], per_scale[:-1])
    hessian *= cross.comoments[:-1, :-1]
    hessian /= cross.total_weight
    *linear, square = to_fixed((cross.comoments[-1] * (per_scale * per_scale[-1]) / cross.total_weight).tolist())
    return GridMatrix.of(hessian), np.array(linear, object), square


def correlations(cross: ExactProducts, scales: list[float]) -> NDArray[np.object_]:
    """products[i, j]·2^(eᵢ + eⱼ) / (weight²·scaleᵢ·scaleⱼ) in units of 2^-256, with any scales, shape (k,)."""
    # each row and column has one factor, 2^e / scale, a fraction of integers
    factors = [Fraction(2) ** e / Fraction(s) for e, s in zip(cross.exponents.tolist(), scales, strict=True)]
    above = np.array([f.numerator for f in factors], object)
    below = np.array([f.denominator for f in factors], object)
    numerators = (cross.products * np.multiply.outer(above, above)) << FIXED_POINT_BITS
    quotients: NDArray[np.object_] = numerators // (np.multiply.outer(below, below) * cross.weight**2)
    return quotients
