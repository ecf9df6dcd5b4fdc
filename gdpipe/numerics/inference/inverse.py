"""The inverse of the terms' correlation matrix, of which all standard errors are made."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from gdpipe.numerics.inference.cholesky import inverse_factor
from gdpipe.numerics.problem.absorbed_inverse import AbsorbedInverse
from gdpipe.numerics.problem.dependencies import integer_matrix
from gdpipe.numerics.problem.fixed_cholesky import inverse_root
from gdpipe.numerics.problem.fixed_point import FIXED_POINT_BITS, GridMatrix
from gdpipe.numerics.problem.rational import RATIONAL_FEATURES
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.rows.meat import Meat

# working precisions of the inverse, tried in turn until its diagonal has so many right bits: its rounding to float64 is
# then that of the exact inverse, but for one number in 2^37
INVERSE_BITS = (128, 256, 1024, 4096)
RIGHT_BITS = 90
# FLINT keeps one precision for the whole process
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class WholeInverse:
    """A⁻¹ as a matrix.

    Attributes:
        values: Shape (rank, rank); NaN where there is none.
    """

    values: NDArray[np.float64]

    def diagonal(self) -> NDArray[np.float64]:
        """The diagonal, shape (rank,)."""
        return self.values.diagonal()

    def times(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """A⁻¹·v, shape (rank,)."""
        product: NDArray[np.float64] = self.values @ vector
        return product

    def sandwich(self, meat: Meat, places: Sequence[int]) -> NDArray[np.float64]:
        """The diagonal of A⁻¹·M·A⁻¹, where M's terms at these places are A's; of many terms without the rest of it."""
        left = self.values @ _among(meat, places)
        if len(left) > RATIONAL_FEATURES:
            diagonal: NDArray[np.float64] = np.einsum("ij,ij->i", left, self.values)
            return diagonal
        return (left @ self.values).diagonal()

    def spread(self, meat: Meat, places: Sequence[int], vector: NDArray[np.float64]) -> float:
        """vᵀ·M·v, where M's terms at these places are those of v, shape (rank,)."""
        return float(vector @ _among(meat, places) @ vector)


def _among(meat: Meat, places: Sequence[int]) -> NDArray[np.float64]:
    whole = meat.whole()
    return whole if len(places) == len(whole) else whole[np.ix_(places, places)]


@dataclass(frozen=True, slots=True, eq=False)
class BlockInverse:
    """A⁻¹ where a block of terms is absorbed.

    Attributes:
        inverse: A⁻¹, not made as a matrix.
    """

    inverse: AbsorbedInverse

    def diagonal(self) -> NDArray[np.float64]:
        """The diagonal, shape (rank,)."""
        return self.inverse.diagonal()

    def times(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """A⁻¹·v, shape (rank,)."""
        return self.inverse.times(vector)

    def sandwich(self, meat: Meat, places: Sequence[int]) -> NDArray[np.float64]:
        """The diagonal of A⁻¹·M·A⁻¹, where M's terms at these places are A's."""
        low_rank = self.inverse.low_rank()
        image = _times(meat, places, low_rank)
        spread = np.zeros(len(low_rank))
        spread[self.inverse.block] = self.inverse.spread
        # A⁻¹ = diag(s) + V·Vᵀ, on both sides
        within = np.sum((low_rank @ (low_rank.T @ image)) * low_rank, axis=1)
        diagonal: NDArray[np.float64] = spread**2 * meat.diagonal()[places]
        diagonal += 2 * spread * np.sum(image * low_rank, axis=1) + within
        return diagonal

    def spread(self, meat: Meat, places: Sequence[int], vector: NDArray[np.float64]) -> float:
        """vᵀ·M·v, where M's terms at these places are those of v, shape (rank,)."""
        return float(vector @ _times(meat, places, vector[:, None])[:, 0])


Inverse = WholeInverse | BlockInverse


def _times(meat: Meat, places: Sequence[int], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = np.zeros((len(meat.constants), vectors.shape[1]))
    whole[places] = vectors
    product: NDArray[np.float64] = meat.times(whole)[places]
    return product


def inverse_of(regression: Regression) -> Inverse:
    """A⁻¹ of the independent terms; NaN where no degree of freedom is left, or A is singular."""
    cross, independent, absorbed = regression.cross, regression.independent, regression.absorbed
    size = len(absorbed.others) if absorbed else len(independent)
    unknown = np.full((size, size), np.nan)
    known = cross.total_weight - len(independent) - cross.centred > 0
    if absorbed:
        within = absorbed.within.exact_hessian
        assert isinstance(within, np.ndarray)
        return BlockInverse(absorbed.inverse(inverse_root(within) if known else unknown))
    if not known:
        return WholeInverse(unknown)
    hessian = regression.problem.exact_hessian
    if isinstance(hessian, GridMatrix):
        factor = inverse_factor(hessian.values[np.ix_(independent, independent)])
        return WholeInverse(unknown if factor is None else factor.T @ factor)
    return WholeInverse(_ball_inverse(hessian[np.ix_(independent, independent)]))


def _ball_inverse(hessian: NDArray[np.object_]) -> NDArray[np.float64]:
    """A⁻¹ in ball arithmetic, with 90 right bits on the diagonal where the highest precision allows.

    Balls know their own error: Johansson (2017), IEEE Trans. Comput. 66:1281-1292.
    """
    size = len(hessian)
    if not size:
        return np.zeros((0, 0))
    inverse = None
    for bits in INVERSE_BITS:
        with _one_at_a_time, ctx.workprec(bits):
            try:
                inverse = (arb_mat(integer_matrix(hessian)) * arb(2) ** -FIXED_POINT_BITS).inv()
            except ZeroDivisionError:
                continue  # the balls are too wide to tell the matrix from a singular one
        if all(entry.rel_accuracy_bits() > RIGHT_BITS for entry in (inverse[i, i] for i in range(size))):
            break
    if inverse is None:
        return np.full((size, size), np.nan)
    return np.array([[float(inverse[i, j].mid()) for j in range(size)] for i in range(size)])
