"""Comparison of the rows, read a second time, with the sums: the gaps, and what rounding allows of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts, nearest_float, square_root
from gdpipe.numerics.rows.linear import LineSize, count_numbers, mean_error, mean_squared_error, number_blocks
from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.levels import TermBlock
from gdpipe.numerics.sums.moments import Moments

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class RowCheck:
    """One number on which rows and sums must agree.

    Attributes:
        name: The number's name in the catalog of artifacts.
        value: The gap between rows and sums.
        limit: The largest gap that rounding allows.
    """

    name: str
    value: float
    limit: float

    @property
    def failed(self) -> bool:
        """Whether rounding cannot explain the value."""
        return not self.value <= self.limit


@dataclass(frozen=True, slots=True)
class LineGaps:
    """Gaps between rows and sums in the errors e = y - intercept - Σ coefⱼ·xⱼ of one line over the same rows.

    Attributes:
        mean: |mean(e) of the rows - mean(e) by the sums|, in the target's unit.
        mean_limit: The largest `mean` that rounding allows.
        square: |mean(e²) of the rows - mean(e²) by the sums|, in the target's unit squared.
        square_limit: The largest `square` that rounding allows.
    """

    mean: float
    mean_limit: float
    square: float
    square_limit: float

    @classmethod
    def of(
        cls,
        errors: Moments,
        unit: float,
        moments: Moments | BlockMoments | Float64Moments,
        coef: NDArray[np.float64],
        intercept: float,
        largest: NDArray[np.float64],
        blocks: Sequence[TermBlock] | None = None,
    ) -> "LineGaps":
        """The gaps; both sides are fractions, so that only the gaps themselves are rounded.

        With d a bound on |e of a row - e of that row as it was summed|, the means lie within d of each other, and by
        Minkowski's inequality so do the roots of the mean squares: |a² - b²| <= d·(2·b + d). d is the sum of

        - the rounding of a row's e: (f + 4)·ε/2·(|intercept| + Σ|coefⱼ|·max|xⱼ| + max|y|), Higham (2002), *Accuracy and
          Stability of Numerical Algorithms*, section 3.1; the sum is over f features, and a category has its largest
          coefficient there, as a row has one level;
        - half a step of the grid to which each column's values were rounded in the sums.

        Float64 sums are rounded in addition: Higham's section 4.2 bounds a sum of n terms, added in any order, by
        n·ε/2 of the sum of their magnitudes; a merge of two blocks rounds a few times.

        Args:
            errors: The sums of the rows' errors; the first column is e / unit. The weight is not zero.
            unit: The unit in which e was summed, in target units.
            moments: Sums of [terms..., target] over the same rows.
            coef: The coefficients of the line, shape (p,), in target units per unit of the term.
            intercept: In target units.
            largest: Largest magnitude of each number of the design and of the target in the rows, shape (k + 1,) at
                least.
            blocks: The terms of each feature; None where each term is a number.
        """
        cross = CrossProducts.of(moments, centred=True)
        by_sums = mean_error(cross, coef.tolist(), intercept), mean_squared_error(cross, coef.tolist(), intercept)
        of_error = Fraction(2) ** int(errors.exponents[0]) * Fraction(unit)
        by_rows = (
            Fraction(int(errors.sums[0]), errors.weight) * of_error,
            Fraction(int(errors.products[0, 0]), errors.weight) * of_error**2,
        )
        blocks = number_blocks(len(coef)) if blocks is None else blocks
        exponents = moments.exponents if isinstance(moments, Moments | BlockMoments) else None
        step = 0.0 if exponents is None else float(np.ldexp(1.0, exponents[-1]))
        line = LineSize.of(coef, intercept, blocks, largest, exponents).with_target(
            float(largest[count_numbers(blocks)]), step
        )
        size = line.reach
        d = (len(blocks) + 4) * EPSILON / 2 * size + float(line.slopes @ line.steps) / 2
        of_sums = rounding_of_sums(moments, errors)
        return cls(
            nearest_float(abs(by_rows[0] - by_sums[0])),
            d + of_sums * size,
            nearest_float(abs(by_rows[1] - by_sums[1])),
            d * (2 * square_root(by_sums[1]) + d) + 2 * of_sums * size * size,
        )


def rounding_of_sums(moments: Moments | BlockMoments | Float64Moments, rows: Moments) -> float:
    """The largest relative gap between float64 sums and sums of the same rows on a grid; 0 for exact sums."""
    if isinstance(moments, Moments | BlockMoments):
        return 0.0
    # half a step of the weights' grid, twice: in the sum of weights, and in the weighted sums
    of_grid = moments.n_samples / rows.weight if rows.weight_exponent and rows.weight else 0.0
    return 4 * moments.n_samples * EPSILON + of_grid


def weight_check(rows: Moments, moments: Moments | BlockMoments | Float64Moments) -> RowCheck:
    """The relative gap between the sums of weights; exact sums share one grid, and must be equal."""
    of_sums = Fraction(moments.weight)
    if isinstance(moments, Moments | BlockMoments):
        of_sums *= Fraction(2) ** moments.weight_exponent
    of_rows = rows.weight * Fraction(2) ** rows.weight_exponent
    gap = nearest_float(abs(of_rows - of_sums) / (of_sums or 1))
    return RowCheck("row_weight_gap", gap, rounding_of_sums(moments, rows))
