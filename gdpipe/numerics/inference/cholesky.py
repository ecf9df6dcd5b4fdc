"""Cholesky factors and inverses by NumPy alone: SciPy's take longer to load than the rest of a small run."""

import numpy as np
from numpy.typing import NDArray

# of a triangle that is inverted as any matrix; larger ones are cut in two, as most of the work is then a product
SMALL = 64


def inverse_factor(matrix: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """L⁻¹ of a symmetric matrix A = L·Lᵀ, with L a lower triangle; None where float64 finds A not positive definite.

    Then A⁻¹ = L⁻ᵀ·L⁻¹ and bᵀ·A⁻¹·b = |L⁻¹·b|², to about size·eps·condition number (Higham 2002, section 10.1).
    """
    try:
        factor = np.linalg.cholesky(matrix).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        return None
    _invert(factor)
    return factor if np.isfinite(factor).all() else None


def _invert(triangle: NDArray[np.float64]) -> None:
    """Invert a lower triangle in place: [A, 0; B, C]⁻¹ = [A⁻¹, 0; -C⁻¹·B·A⁻¹, C⁻¹]."""
    if len(triangle) <= SMALL:
        triangle[:] = np.tril(np.linalg.inv(triangle))
        return
    middle = len(triangle) // 2
    first, corner, last = triangle[:middle, :middle], triangle[middle:, :middle], triangle[middle:, middle:]
    _invert(first)
    _invert(last)
    corner[:] = -(last @ corner) @ first
