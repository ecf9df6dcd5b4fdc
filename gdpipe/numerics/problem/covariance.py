"""Covariances, exact or float64, and the standardization that they give: on these the rest of the numerics works."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.rational import RATIONAL_FEATURES, dot, over_one_denominator, shortened
from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.moments import Moments

# standard deviations above this, or below its inverse, are refused: squares are float64 numbers from 1e-162 to 1e154,
# but sums of them over 10^8 rows, or a loss a million times smaller, must be float64 numbers as well
LARGEST_SCALE = 1e150
# of the target: a smaller intercept is what is left of coefficients that were cut to 256 bits
LEAST_INTERCEPT = Fraction(1, 2**200)
# the square of a larger value overflows float64
LARGEST_VALUE = float(np.sqrt(np.finfo(np.float64).max))


@dataclass(frozen=True, slots=True, eq=False)
class CrossProducts(ABC):
    """Weighted covariances of z = [features..., target]; second moments about zero where not centred.

    Attributes:
        n_samples: Rows counted.
        total_weight: Σw, rounded once; n_samples where rows are unweighted.
        centred: Whether the means were subtracted (a fit with an intercept).
        noise: The error of an entry, relative to the standard deviations of its two columns; 0 for exact sums.
    """

    noise: ClassVar[float]

    n_samples: int
    total_weight: float
    centred: bool

    @classmethod
    def of(cls, moments: Moments | BlockMoments | Float64Moments, *, centred: bool) -> "CrossProducts":
        """The covariances from sums of any kind."""
        if isinstance(moments, Moments):
            return ExactProducts.from_moments(moments, centred)
        if isinstance(moments, BlockMoments):
            from gdpipe.numerics.problem.block_products import BlockProducts  # noqa: PLC0415  # a kind of this class

            return BlockProducts.from_moments(moments, centred)
        return Float64Products.from_moments(moments, centred)

    @abstractmethod
    def means(self) -> tuple[Fraction, ...]:
        """Each column's mean; shape (k,)."""

    @abstractmethod
    def variances(self) -> tuple[Fraction, ...]:
        """Each column's variance (mean square where not centred); shape (k,)."""

    @abstractmethod
    def scales(self) -> NDArray[np.float64]:
        """The root of each column's variance, rounded once; 1 where it is 0; shape (k,)."""

    @abstractmethod
    def covariances_with(self, line: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """Each column's covariance with a linear combination: cov(z)·line, shape (k,); `line` has binary fractions."""

    @abstractmethod
    def select(self, columns: list[int]) -> "CrossProducts":
        """The covariances of some of the columns, in the order given."""


@dataclass(frozen=True, slots=True, eq=False)
class ExactProducts(CrossProducts):
    """Covariances as integers.

    cov(zᵢ, zⱼ) = products[i, j] · 2^(exponentᵢ + exponentⱼ) / weight², and mean(zᵢ) = sums[i] · 2^exponentᵢ / weight.

    Attributes:
        weight: Σw in the units in which `sums` and `products` are written.
        sums: Shape (k,), Python integers.
        products: Shape (k, k), Python integers, symmetric.
        exponents: Shape (k,), int64.
    """

    noise = 0.0

    weight: int
    sums: NDArray[np.object_]
    products: NDArray[np.object_]
    exponents: NDArray[np.int64]

    @classmethod
    def from_moments(cls, moments: Moments, centred: bool) -> "ExactProducts":
        """The covariances from exact sums."""
        products = moments.weight * moments.products
        if centred:
            products = products - np.outer(moments.sums, moments.sums)
        total_weight = moments.weight * Fraction(2) ** moments.weight_exponent
        return cls(
            moments.n_samples, float(total_weight), centred, moments.weight, moments.sums, products, moments.exponents
        )

    def means(self) -> tuple[Fraction, ...]:
        """The means, exact."""
        return tuple(
            Fraction(int(total), self.weight) * Fraction(2) ** e
            for total, e in zip(self.sums, self.exponents.tolist(), strict=True)
        )

    def variances(self) -> tuple[Fraction, ...]:
        """The variances, exact."""
        return tuple(
            Fraction(int(square), self.weight**2) * Fraction(2) ** (2 * e)
            for square, e in zip(self.products.diagonal(), self.exponents.tolist(), strict=True)
        )

    def scales(self) -> NDArray[np.float64]:
        """The roots of the exact variances."""
        return np.array([square_root(variance) if variance else 1.0 for variance in self.variances()])

    def covariances_with(self, line: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """The covariances with the combination, exact."""
        units = [Fraction(2) ** e for e in self.exponents.tolist()]
        # over one denominator the k² products are products of integers
        steps, below = over_one_denominator([v * unit for v, unit in zip(line, units, strict=True)])
        products = self.products @ np.array(steps, object)
        return tuple(Fraction(int(v), below * self.weight**2) * unit for v, unit in zip(products, units, strict=True))

    def select(self, columns: list[int]) -> "ExactProducts":
        """The covariances of some of the columns, in the order given."""
        return replace(
            self,
            sums=self.sums[columns],
            products=self.products[np.ix_(columns, columns)],
            exponents=self.exponents[columns],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Float64Products(CrossProducts):
    """Covariances as float64, for wide data: p × p integers of unlimited length would not fit in memory.

    Attributes:
        average: Each column's mean, shape (k,).
        comoments: total_weight · cov, shape (k, k); where centred, the array of the sums itself and not a copy.
    """

    # block sums and merges round a few dozen times
    noise = 64 * float(np.finfo(np.float64).eps)

    average: NDArray[np.float64]
    comoments: NDArray[np.float64]

    @classmethod
    def from_moments(cls, moments: Float64Moments, centred: bool) -> "Float64Products":
        """The covariances from rounded sums."""
        comoments = moments.comoments
        if not centred:
            comoments = np.multiply.outer(moments.means * moments.weight, moments.means)
            comoments += moments.comoments
        return cls(moments.n_samples, moments.weight, centred, moments.means, comoments)

    def means(self) -> tuple[Fraction, ...]:
        """The means, rounded."""
        return tuple(map(Fraction, self.average.tolist()))

    def variances(self) -> tuple[Fraction, ...]:
        """The variances, rounded; 0 where they are no more than the rounding of the mean (a constant column)."""
        return tuple(map(Fraction, self._variances().tolist()))

    def scales(self) -> NDArray[np.float64]:
        """The roots of the rounded variances."""
        variances = self._variances()
        return np.where(variances == 0, 1.0, np.sqrt(variances))

    def _variances(self) -> NDArray[np.float64]:
        variances: NDArray[np.float64] = self.comoments.diagonal() / self.total_weight
        if self.centred:
            variances = np.where(np.abs(self.average) * self.noise >= np.sqrt(variances), 0.0, variances)
        return variances

    def covariances_with(self, line: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """The covariances with the combination, rounded."""
        covariances = self.comoments @ np.array([float(v) for v in line]) / self.total_weight
        return tuple(map(Fraction, covariances.tolist()))

    def select(self, columns: list[int]) -> "Float64Products":
        """The covariances of some of the columns, in the order given."""
        if columns == list(range(len(self.average))):
            return self
        return replace(self, average=self.average[columns], comoments=self.comoments[np.ix_(columns, columns)])


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
        scales = cross.scales()
        return cls(means[:-1], scales[:-1], means[-1], float(scales[-1]))

    def select(self, features: Sequence[int]) -> "Scaling":
        """The scaling of some of the features, and of the target."""
        return replace(self, means=tuple(self.means[j] for j in features), scales=self.scales[list(features)])

    def to_original(self, coef_scaled: Sequence[float | Fraction]) -> tuple[list[Fraction], Fraction]:
        """The coefficients (target unit per feature unit) and the intercept (target unit), exact.

        coefᵢ = coef_scaledᵢ · target_scale / scaleᵢ,   intercept = target_mean - Σ coefᵢ·meanᵢ

        The coefficients of many features keep 256 significant bits: no two scales divide each other, and the exact
        intercept would be a fraction of tens of thousands of bits.
        """
        ratio, scales = Fraction(self.target_scale), self.scales.tolist()
        if len(scales) > RATIONAL_FEATURES:
            pairs = [(w.as_integer_ratio(), s.as_integer_ratio()) for w, s in zip(coef_scaled, scales, strict=True)]
            coef = [
                shortened(above * ratio.numerator * of_scale, below * ratio.denominator * scale)
                for (above, below), (scale, of_scale) in pairs
            ]
        else:
            coef = [Fraction(w) * ratio / Fraction(s) for w, s in zip(coef_scaled, scales, strict=True)]
        intercept = self.target_mean - dot(coef, self.means)
        least = max(abs(self.target_mean), ratio) * LEAST_INTERCEPT
        return coef, intercept if abs(intercept) > least else Fraction(0)


def nearest_float(value: Fraction) -> float:
    """The nearest float64; infinite, with the value's sign, where the value is beyond the largest."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def square_root(value: Fraction) -> float:
    """√value, rounded once: an integer root with 64 bits to spare, then one division; infinite beyond float64."""
    if value == 0:
        return 0.0
    # an even shift after which the quotient has at least 2·(53 + 64) bits
    shift = 2 * max(0, 128 - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    root = math.isqrt((value.numerator << shift) // value.denominator)
    return nearest_float(root / Fraction(2) ** (shift // 2))
