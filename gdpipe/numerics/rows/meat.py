"""The middle of the robust covariance: means of squared residuals times products of terms, of which most are zero."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.float_moments import mirror


@dataclass(frozen=True, slots=True, eq=False)
class Meat:
    """mean(e²·z·zᵀ) of p standardized terms z = v + c, where v is zero but in the rows of the term's level.

    Levels share no rows, so most of mean(e²·v·vᵀ) is zero: what is not is kept by place.

    Attributes:
        numbers: Places of the terms that are numbers alone, shape (k,); their c is zero.
        of_numbers: mean(e²·v·vᵀ) of these, shape (k, k).
        rows: Places of the other entries that are not zero, on and above the diagonal, shape (n,).
        columns: Likewise.
        values: mean(e²·v·vᵀ) there; NaN where the levels of categories combine to too many.
        by_feature: h = mean(e²·z), shape (p,).
        constants: c, shape (p,).
        square: mean(e²).
    """

    numbers: NDArray[np.intp]
    of_numbers: NDArray[np.float64]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    values: NDArray[np.float64]
    by_feature: NDArray[np.float64]
    constants: NDArray[np.float64]
    square: float

    @classmethod
    def of_all(cls, whole: NDArray[np.float64], by_feature: NDArray[np.float64]) -> "Meat":
        """That of numbers alone, from all its entries, shape (p, p)."""
        none, p = np.empty(0, np.intp), len(whole)
        return cls(np.arange(p), whole, none, none, np.empty(0), by_feature, np.zeros(p), 0.0)

    @property
    def known(self) -> bool:
        """Whether every entry is known."""
        return not (np.isnan(self.values).any() or np.isnan(self.of_numbers).any())

    def whole(self) -> NDArray[np.float64]:
        """All entries, shape (p, p); NaN where not all are known."""
        p = len(self.constants)
        if len(self.numbers) == p:
            return self.of_numbers
        if not self.known:
            return np.full((p, p), np.nan)
        entries = np.zeros((p, p))
        entries[np.ix_(self.numbers, self.numbers)] = self.of_numbers
        entries[self.columns, self.rows] = self.values
        # (v + c)(v' + c'): mean(e²·v) is mean(e²·z) less its own constant
        entries += np.multiply.outer(self.constants, self.by_feature)
        entries += np.multiply.outer(self.by_feature - self.constants * self.square, self.constants)
        mirror(entries)
        return entries

    def diagonal(self) -> NDArray[np.float64]:
        """Shape (p,); NaN where not all entries are known."""
        diagonal = 2 * self.constants * self.by_feature - self.constants**2 * self.square
        if not self.known:
            return np.full_like(diagonal, np.nan)
        own = self.rows == self.columns
        diagonal[self.numbers] += self.of_numbers.diagonal()
        diagonal[self.rows[own]] += self.values[own]
        return diagonal

    def times(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """The product with vectors of shape (p, n)."""
        p, above = len(self.constants), self.rows != self.columns
        product = np.multiply.outer(self.by_feature, self.constants @ vectors)
        product += np.multiply.outer(self.constants, (self.by_feature - self.constants * self.square) @ vectors)
        product[self.numbers] += self.of_numbers @ vectors[self.numbers]
        for j, vector in enumerate(vectors.T):
            product[:, j] += np.bincount(self.rows, self.values * vector[self.columns], p)
            product[:, j] += np.bincount(self.columns[above], self.values[above] * vector[self.rows[above]], p)
        return product
