"""Standardization: the two ways between the user's units and standard deviations."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts, square_root

# standard deviations beyond this, or below its inverse, are refused: their squares are still float64 down to 1e-162 and
# up to 1e154, but not what is made of them, such as sums over 10^8 rows or a loss a million times smaller
LARGEST_SCALE = 1e150
# a value above this has a square that is no float64
LARGEST_VALUE = float(np.sqrt(np.finfo(np.float64).max))


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """x_scaled = (x - mean) / scale, feature by feature, and the same for the target.

    Scales are float64, the numbers that are published, and everything downstream takes them as given: what is
    rounded here is rounded once and then exact by definition. Means stay fractions, so that an intercept is exact.

    Attributes:
        means: Shape (p,), in each feature's unit; zero where the fit has no intercept.
        scales: Shape (p,), in each feature's unit: the population standard deviation (root mean square where the
            fit has no intercept); 1 for a constant feature.
        target_mean: In the target's unit.
        target_scale: In the target's unit.
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

    def select(self, features: list[int]) -> "Scaling":
        """The same for some of the features, in the order given."""
        means = tuple(self.means[j] for j in features)
        return Scaling(means, self.scales[features], self.target_mean, self.target_scale)

    def to_original(self, coef_scaled: Sequence[float | Fraction]) -> tuple[list[Fraction], Fraction]:
        """Coefficients (target unit per feature unit) and intercept (target unit), exactly.

        coefᵢ = coef_scaledᵢ · target_scale / scaleᵢ,   intercept = target_mean - Σ coefᵢ·meanᵢ
        """
        ratio = Fraction(self.target_scale)
        coef = [Fraction(w) * ratio / Fraction(s) for w, s in zip(coef_scaled, self.scales.tolist(), strict=True)]
        return coef, self.target_mean - _sum([c * m for c, m in zip(coef, self.means, strict=True)])


def _sum(terms: list[Fraction]) -> Fraction:
    """Exactly, by halves: long fractions are then added to long ones only, and few times."""
    if len(terms) <= 1:
        return sum(terms, Fraction(0))
    half = len(terms) // 2
    return _sum(terms[:half]) + _sum(terms[half:])
