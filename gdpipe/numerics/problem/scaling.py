"""Standardization: from original units to standard deviations, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts, square_root

# standard deviations above this, or below its inverse, are refused: squares are float64 numbers from 1e-162 to 1e154,
# but sums of them over 10^8 rows, or a loss a million times smaller, must be float64 numbers as well
LARGEST_SCALE = 1e150
# the square of a larger value overflows float64
LARGEST_VALUE = float(np.sqrt(np.finfo(np.float64).max))


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """x_scaled = (x - mean) / scale for each feature and the target.

    Scales are float64, the numbers that are published. They are rounded once, and all later steps take them as exact.
    Means are fractions, so that the intercept is exact.

    Attributes:
        means: Shape (p,), in each feature's unit; zero where the fit has no intercept.
        scales: Shape (p,), in each feature's unit: the population standard deviation (root mean square where the
            fit has no intercept); 1 for a constant feature.
        target_mean: The target's mean, in its unit; zero where the fit has no intercept.
        target_scale: The target's scale, in its unit.
    """

    means: tuple[Fraction, ...]
    scales: NDArray[np.float64]
    target_mean: Fraction
    target_scale: float

    @classmethod
    def of(cls, cross: CrossProducts) -> "Scaling":
        """The scaling of [features..., target]."""
        means = cross.means()
        if not cross.centred:
            means = (Fraction(0),) * len(means)
        scales = np.array([square_root(variance) if variance else 1.0 for variance in cross.variances()])
        return cls(means[:-1], scales[:-1], means[-1], float(scales[-1]))

    def to_original(self, coef_scaled: Sequence[float | Fraction]) -> tuple[list[Fraction], Fraction]:
        """The coefficients (target unit per feature unit) and the intercept (target unit), exact.

        coefᵢ = coef_scaledᵢ · target_scale / scaleᵢ,   intercept = target_mean - Σ coefᵢ·meanᵢ
        """
        ratio = Fraction(self.target_scale)
        coef = [Fraction(w) * ratio / Fraction(s) for w, s in zip(coef_scaled, self.scales.tolist(), strict=True)]
        return coef, self.target_mean - _sum([c * m for c, m in zip(coef, self.means, strict=True)])


def _sum(terms: list[Fraction]) -> Fraction:
    """The exact sum, by halves: it adds long fractions, which is slow, only a few times."""
    if len(terms) <= 1:
        return sum(terms, Fraction(0))
    half = len(terms) // 2
    return _sum(terms[:half]) + _sum(terms[half:])
