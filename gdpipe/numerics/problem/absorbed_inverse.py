"""The inverse of a correlation matrix of which a block is a diagonal but for rank one: never made as a matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class AbsorbedInverse:
    """A⁻¹ = diag(s) + f·fᵀ + V·Vᵀ, with p terms, m of them in the block, and q others; s and f are zero outside it.

    With A the block's part first, C = A_block⁻¹ = diag(s) + f·fᵀ, G = C·A_border and K·Kᵀ the inverse of what is left,
    A_others - A_borderᵀ·C·A_border, it is [C, 0; 0, 0] + V·Vᵀ with V = [-G·K; K] (Boyd & Vandenberghe 2004, *Convex
    Optimization*, appendix C.4).

    Attributes:
        block: Places of the block, shape (m,).
        others: Places of the others, shape (q,).
        spread: s, shape (m,).
        direction: f, shape (m,).
        slopes: G, shape (m, q).
        factor: K, shape (q, q).
    """

    block: NDArray[np.intp]
    others: NDArray[np.intp]
    spread: NDArray[np.float64]
    direction: NDArray[np.float64]
    slopes: NDArray[np.float64]
    factor: NDArray[np.float64]

    def low_rank(self) -> NDArray[np.float64]:
        """[V, f], shape (p, q + 1): A⁻¹ without diag(s) is this times its transpose."""
        low_rank = np.zeros((len(self.block) + len(self.others), self.factor.shape[1] + 1))
        low_rank[self.others, :-1] = self.factor
        low_rank[self.block, :-1], low_rank[self.block, -1] = -(self.slopes @ self.factor), self.direction
        return low_rank

    def diagonal(self) -> NDArray[np.float64]:
        """The diagonal of A⁻¹, shape (p,)."""
        diagonal: NDArray[np.float64] = np.sum(self.low_rank() ** 2, axis=1)
        diagonal[self.block] += self.spread
        return diagonal

    def times(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """A⁻¹·v, shape (p,)."""
        low_rank = self.low_rank()
        product: NDArray[np.float64] = low_rank @ (low_rank.T @ vector)
        product[self.block] += self.spread * vector[self.block]
        return product
