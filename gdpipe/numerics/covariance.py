"""Centred sums of products, whoever gathered them: the one form the rest of the numerics works on."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.float_moments import Float64Moments
from gdpipe.numerics.moments import Moments

# a float64 sum carries 53 bits; columns are written down this many bits below their own standard deviation
FLOAT64_GRID_BITS = 96
# block sums and merges round a few dozen times
FLOAT64_NOISE = 64 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class CrossProducts:
    """Weighted covariances of z = [features..., target], as integers.

    cov(zᵢ, zⱼ) = products[i, j] · 2^(exponentᵢ + exponentⱼ) / weight²    (about zero instead of the mean
    where `centred` is false), and mean(zᵢ) = sums[i] · 2^exponentᵢ / weight.

    Attributes:
        n_samples: Rows counted.
        total_weight: Σw, rounded once; n_samples where rows are unweighted.
        weight: Σw in the units in which `sums` and `products` are written.
        sums: Shape (k,), Python integers.
        products: Shape (k, k), Python integers, symmetric.
        exponents: Shape (k,), int64.
        centred: Whether the means were taken out (a fit with an intercept).
        noise: Relative error of an entry, against the standard deviations of its columns; 0 for exact sums.
    """

    n_samples: int
    total_weight: float
    weight: int
    sums: NDArray[np.object_]
    products: NDArray[np.object_]
    exponents: NDArray[np.int64]
    centred: bool
    noise: float = 0.0

    @classmethod
    def of(cls, moments: Moments | Float64Moments, *, centred: bool) -> "CrossProducts":
        """From sums of either kind."""
        return _from_exact(moments, centred) if isinstance(moments, Moments) else _from_float64(moments, centred)

    def means(self) -> tuple[Fraction, ...]:
        """Each column's mean, exactly; shape (k,)."""
        return tuple(
            Fraction(int(total), self.weight) * power_of_two(e)
            for total, e in zip(self.sums, self.exponents.tolist(), strict=True)
        )

    def variances(self) -> tuple[Fraction, ...]:
        """Each column's variance (mean square where not centred), exactly; shape (k,)."""
        return tuple(
            Fraction(int(square), self.weight**2) * power_of_two(2 * e)
            for square, e in zip(self.products.diagonal(), self.exponents.tolist(), strict=True)
        )

    def select(self, columns: list[int]) -> "CrossProducts":
        """The same for some of the columns, in the order given."""
        return CrossProducts(
            self.n_samples,
            self.total_weight,
            self.weight,
            self.sums[columns],
            self.products[np.ix_(columns, columns)],
            self.exponents[columns],
            self.centred,
            self.noise,
        )


def _from_exact(moments: Moments, centred: bool) -> CrossProducts:
    products = moments.weight * moments.products
    if centred:
        products = products - np.outer(moments.sums, moments.sums)
    total_weight = Fraction(moments.weight) * power_of_two(moments.weight_exponent)
    return CrossProducts(
        moments.n_samples,
        float(total_weight),
        moments.weight,
        moments.sums,
        products,
        moments.exponents,
        centred,
    )


def _from_float64(moments: Float64Moments, centred: bool) -> CrossProducts:
    covariance = moments.comoments / moments.weight
    if not centred:
        covariance = covariance + np.outer(moments.means, moments.means)
    # a constant column leaves nothing but the rounding of its mean
    flat = np.abs(moments.means) * FLOAT64_NOISE >= np.sqrt(moments.comoments.diagonal() / moments.weight)
    if centred:
        covariance = np.where(flat[:, None] | flat[None, :], 0.0, covariance)
    spread = np.sqrt(covariance.diagonal())
    exponents = np.frexp(np.where(spread > 0, spread, 1.0))[1].astype(np.int64) - FLOAT64_GRID_BITS
    steps = exponents.tolist()
    return CrossProducts(
        moments.n_samples,
        moments.weight,
        1,
        np.array([_in_units(m, e) for m, e in zip(moments.means.tolist(), steps, strict=True)], object),
        np.array(
            [
                [_in_units(c, steps[i] + steps[j]) for j, c in enumerate(row)]
                for i, row in enumerate(covariance.tolist())
            ],
            object,
        ),
        exponents,
        centred,
        FLOAT64_NOISE,
    )


def power_of_two(exponent: int) -> Fraction:
    """2^exponent, exactly."""
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def square_root(value: Fraction) -> float:
    """√value, rounded once: an integer root with 64 bits to spare, then one division."""
    if value == 0:
        return 0.0
    # an even shift that leaves the quotient at least 2·(53 + 64) bits
    shift = 2 * max(0, 128 - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    root = math.isqrt((value.numerator << shift) // value.denominator)
    return float(Fraction(root) * power_of_two(-(shift // 2)))


def _in_units(value: float, exponent: int) -> int:
    numerator, denominator = value.as_integer_ratio()
    scaled = Fraction(numerator, denominator) * power_of_two(-exponent)
    return round(scaled)
