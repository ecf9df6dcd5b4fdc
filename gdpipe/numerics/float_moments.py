"""The same sums in float64, for data too wide for integers of unlimited length.

Centred block by block and merged pairwise: Chan, Golub & LeVeque (1983), "Algorithms for computing the sample
variance", Am. Stat. 37:242-247. Stable, but rounded: the last digits depend on how the rows were cut.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Float64Moments:
    """Weighted means and centred sums of products of z = [features..., target].

    Attributes:
        n_samples: Rows counted (those of weight 0 are not).
        weight: Σw.
        means: Shape (k,).
        comoments: Σw·(zᵢ - meanᵢ)(zⱼ - meanⱼ), shape (k, k).
    """

    n_samples: int
    weight: float
    means: NDArray[np.float64]
    comoments: NDArray[np.float64]

    @classmethod
    def zero(cls, k: int) -> "Float64Moments":
        """The sums of no rows at all, for k columns."""
        return cls(0, 0.0, np.zeros(k), np.zeros((k, k)))

    def __add__(self, other: "Float64Moments") -> "Float64Moments":
        weight = self.weight + other.weight
        if not weight:
            return self
        step = other.means - self.means
        return Float64Moments(
            self.n_samples + other.n_samples,
            weight,
            self.means + step * (other.weight / weight),
            self.comoments + other.comoments + np.outer(step, step) * (self.weight * other.weight / weight),
        )


class Float64Accumulator:
    """Gathers the `Float64Moments` of rows that arrive block by block. One thread's; not to be shared.

    Args:
        k: How many columns a row has.
    """

    def __init__(self, k: int) -> None:
        self._total = Float64Moments.zero(k)

    def add(self, rows: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> None:
        """Add rows of shape (k, m), with weights of shape (m,), finite and > 0."""
        m = rows.shape[1]
        if not m:
            return
        weight = float(m) if weights is None else float(weights.sum())
        means = rows.mean(axis=1) if weights is None else (rows @ weights) / weight
        centred = rows - means[:, None]
        comoments = (centred if weights is None else centred * weights) @ centred.T
        self._total = self._total + Float64Moments(m, weight, means, comoments)

    def moments(self) -> Float64Moments:
        """The sums so far."""
        return self._total
