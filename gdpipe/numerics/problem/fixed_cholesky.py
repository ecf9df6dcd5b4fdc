"""The factors L·D·Lᵀ of positive definite matrices in units of 2^-256: an exact solution has thousands of digits."""

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.dependencies import integer_matrix
from gdpipe.numerics.problem.fixed_point import FIXED_POINT_BITS, to_float


def inverse_root(matrix: NDArray[np.object_]) -> NDArray[np.float64]:
    """K with A⁻¹ = K·Kᵀ, each number rounded once; NaN where A is not positive definite. Shapes (n, n).

    Products with K lose half the digits that those with A⁻¹ do. It is L⁻ᵀ·D^(-1/2).
    """
    inverse, pivots = _unit_triangle(matrix)
    if (pivots <= 0).any():
        return np.full(matrix.shape, np.nan)
    root: NDArray[np.float64] = (to_float(inverse) / np.sqrt(to_float(pivots))[:, None]).T
    return root


def solve_fixed(matrix: NDArray[np.object_], right: NDArray[np.object_]) -> NDArray[np.object_]:
    """The solution of A·x = b, with as many digits as units of 2^-256 hold; shapes (n, n), (n,) and (n,)."""
    inverse, pivots = _unit_triangle(matrix)
    scaled = fixed_product(inverse, right[:, None])[:, 0]
    return fixed_product(inverse.T, ((scaled << FIXED_POINT_BITS) // pivots)[:, None])[:, 0]


def fixed_product(left: NDArray[np.object_], right: NDArray[np.object_]) -> NDArray[np.object_]:
    """The product of two matrices in units of 2^-256, in the same units, rounded down."""
    entries = (integer_matrix(left) * integer_matrix(right)).entries()
    return np.array([int(v) >> FIXED_POINT_BITS for v in entries], object).reshape(len(left), right.shape[1])


def _unit_triangle(matrix: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """L⁻¹, shape (n, n), and the diagonal of D, shape (n,); the matrix is cut in two, as most of the work is products.

    [A, Bᵀ; B, C] = [L, 0; M, N]·[D, 0; 0, E]·[L, 0; M, N]ᵀ with M = B·L⁻ᵀ·D⁻¹ and N·E·Nᵀ = C - M·D·Mᵀ. A pivot that is
    not positive ends it, with zeros.
    """
    size = len(matrix)
    if size <= 1:
        return np.full((size, size), 1 << FIXED_POINT_BITS, object), matrix.diagonal()
    middle = size // 2
    first, pivots = _unit_triangle(matrix[:middle, :middle])
    if (pivots <= 0).any():
        return np.full((size, size), 0, object), np.full(size, 0, object)
    scaled = fixed_product(first, matrix[:middle, middle:])
    beside = ((scaled << FIXED_POINT_BITS) // pivots[:, None]).T
    last, more = _unit_triangle(matrix[middle:, middle:] - fixed_product(beside, scaled))
    inverse = np.full((size, size), 0, object)
    inverse[:middle, :middle], inverse[middle:, middle:] = first, last
    inverse[middle:, :middle] = -fixed_product(last, fixed_product(beside, first))
    return inverse, np.concatenate([pivots, more])
