"""Exact covariances of terms of which one block shares no rows, without a matrix of them."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts, ExactProducts, square_root
from gdpipe.numerics.problem.rational import binary, over_one_denominator
from gdpipe.numerics.sums.block_moments import BlockMoments


@dataclass(frozen=True, eq=False)
class BlockProducts(CrossProducts):
    """Covariances of k columns, m of which are a block of which no row has two.

    Attributes:
        moments: The sums that they are made of.
    """

    noise = 0.0

    moments: BlockMoments

    @classmethod
    def from_moments(cls, moments: BlockMoments, centred: bool) -> "BlockProducts":
        """The covariances from exact sums."""
        total_weight = moments.weight * Fraction(2) ** moments.weight_exponent
        return cls(moments.n_samples, float(total_weight), centred, moments)

    def of_others(self) -> ExactProducts:
        """The covariances of the columns outside the block."""
        return ExactProducts.from_moments(self.moments.of_others(), self.centred)

    def means(self) -> tuple[Fraction, ...]:
        """The means, exact."""
        return self._means

    @functools.cached_property  # of thousands of terms they take as long as a product with all
    def _means(self) -> tuple[Fraction, ...]:
        moments = self.moments
        exponents = moments.exponents.tolist()
        return tuple(binary(int(total), e, moments.weight) for total, e in zip(moments.sums, exponents, strict=True))

    def variances(self) -> tuple[Fraction, ...]:
        """The variances, exact."""
        return self._variances

    @functools.cached_property
    def _variances(self) -> tuple[Fraction, ...]:
        moments = self.moments
        squares = np.empty(len(moments.sums), object)
        squares[moments.block], squares[moments.others] = moments.diagonal, moments.corner.diagonal()
        squares = moments.weight * squares - (moments.sums**2 if self.centred else 0)
        exponents, divisor = moments.exponents.tolist(), moments.weight**2
        return tuple(binary(int(square), 2 * e, divisor) for square, e in zip(squares, exponents, strict=True))

    def scales(self) -> NDArray[np.float64]:
        """The roots of the exact variances."""
        return np.array([square_root(variance) if variance else 1.0 for variance in self.variances()])

    def covariances_with(self, line: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """The covariances with the combination, exact."""
        moments, exponents = self.moments, self.moments.exponents.tolist()
        units = [binary(v.numerator, e, v.denominator) for v, e in zip(line, exponents, strict=True)]
        steps, below = over_one_denominator(units)
        of_line = np.array(steps, object)
        in_block, outside = of_line[moments.block], of_line[moments.others]
        products = np.empty(len(of_line), object)
        products[moments.block] = moments.border @ outside + moments.diagonal * in_block
        products[moments.others] = moments.corner @ outside + in_block @ moments.border
        products = moments.weight * products - (moments.sums * (moments.sums @ of_line) if self.centred else 0)
        divisor = below * moments.weight**2
        return tuple(binary(int(v), e, divisor) for v, e in zip(products, exponents, strict=True))

    def select(self, columns: list[int]) -> "BlockProducts":
        """The covariances of some of the columns, in the order given; those outside the block may be given twice."""
        return replace(self, moments=self.moments.select(columns))
