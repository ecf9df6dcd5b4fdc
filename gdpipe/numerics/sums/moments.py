"""Exact sums over rows: all that least squares needs to know of the data.

For columns z = [features..., target] and sample weights w (1 where there are none), one scan gathers

    Σw,   Σw·zᵢ,   Σw·zᵢ·zⱼ

as integers, so that adding two `Moments` is exact, removing one is exact, and the result is the same to
the last bit however the rows were cut, ordered or shared out.

How. Column i lies on a fixed-point grid of step 2^exponentᵢ (`grid_exponents`), fine enough that rounding a value
to it costs no more than the rounding a float64 near the column's maximum already carries. A value is then an
integer of at most 62 bits, cut into three balanced 21-bit digits (|digit| <= 2^20). A BLAS product of digits over
at most 8,192 rows stays within 2^53 and is therefore exact in float64, whatever order BLAS adds in.
This is the error-free splitting of Ozaki et al. (2012, Numer. Algorithms 59:95-118) on a grid fixed beforehand.

Where we differ from the textbook: nothing is shifted by a running mean. Centring needs no care when
n·Σxy - Σx·Σy is a difference of integers.
"""

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns
from gdpipe.numerics.sums.cells import Cells, Weights, blocks_by_cell
from gdpipe.numerics.sums.digits import BLOCK_ROWS, MAX_BITS, DigitSums, GridOverflow, Scratch, weighted_lines
from gdpipe.numerics.sums.level_accumulator import LevelRows


def grid_exponents(largest: NDArray[np.float64], every: int = 10) -> NDArray[np.int64]:
    """The exponent of each column's grid step, from the largest magnitude in the whole source.

    10·ceil(e/10) - 62, where e is the least integer with |value| <= 2^e. The tens keep the grid where it is until a
    maximum crosses a power of 1024, so that sums kept from an earlier night can be added to.

    Args:
        largest: Shape (k,), each >= 0 and finite.
        every: In place of the ten; 1 wastes no bit on sums that are not kept.

    Returns:
        Shape (k,). A column of zeros gets a grid as if its maximum were 1.
    """
    mantissa, exponent = np.frexp(np.where(largest > 0, largest, 1.0))
    exponent = exponent - (mantissa == 0.5)  # frexp gives 2^e as 0.5 · 2^(e+1)
    exponents: NDArray[np.int64] = (-every * (-exponent // every) - MAX_BITS).astype(np.int64)
    return exponents


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Exact sums; a group under + and -.

    Attributes:
        n_samples: Rows counted (those of weight 0 are not).
        weight: Σw in units of 2^weight_exponent.
        sums: Σw·zᵢ, shape (k,), Python integers, in units of 2^(weight_exponent + exponentᵢ).
        products: Σw·zᵢ·zⱼ, shape (k, k), Python integers, in units of 2^(weight_exponent + exponentᵢ + exponentⱼ).
        exponents: Shape (k,), int64; the step of column i's grid is 2^exponentᵢ.
        weight_exponent: The step of the weights' grid; 0 where rows are unweighted.
    """

    n_samples: int
    weight: int
    sums: NDArray[np.object_]
    products: NDArray[np.object_]
    exponents: NDArray[np.int64]
    weight_exponent: int = 0

    @classmethod
    def zero(cls, exponents: NDArray[np.int64], weight_exponent: int = 0) -> "Moments":
        """The sums of no rows at all."""
        k = len(exponents)
        return cls(0, 0, np.full(k, 0, object), np.full((k, k), 0, object), exponents, weight_exponent)

    def __add__(self, other: "Moments") -> "Moments":
        exponents = np.minimum(self.exponents, other.exponents)
        weight_exponent = min(self.weight_exponent, other.weight_exponent)
        a, b = self.on_grid(exponents, weight_exponent), other.on_grid(exponents, weight_exponent)
        return Moments(
            a.n_samples + b.n_samples,
            a.weight + b.weight,
            a.sums + b.sums,
            a.products + b.products,
            exponents,
            weight_exponent,
        )

    def __neg__(self) -> "Moments":
        return Moments(-self.n_samples, -self.weight, -self.sums, -self.products, self.exponents, self.weight_exponent)

    def __sub__(self, other: "Moments") -> "Moments":
        return self + -other

    def __eq__(self, other: object) -> bool:
        """Whether both are the same numbers, on whatever grids they are written."""
        if not isinstance(other, Moments) or len(self.exponents) != len(other.exponents):
            return NotImplemented
        gap = self - other
        return not (gap.n_samples or gap.weight or gap.sums.any() or gap.products.any())

    __hash__ = None  # type: ignore[assignment]  # equal numbers may stand on different grids

    def select(self, columns: Sequence[int]) -> "Moments":
        """The sums over some of the columns, in this order."""
        products, places = self.products[np.ix_(columns, columns)], list(columns)
        return replace(self, sums=self.sums[places], products=products, exponents=self.exponents[places])

    def on_grid(self, exponents: NDArray[np.int64], weight_exponent: int) -> "Moments":
        """The same numbers in units of a finer (or the same) grid."""
        by_weight = self.weight_exponent - weight_exponent
        if not by_weight and (exponents == self.exponents).all():
            return self  # as for all files of a run
        shift = (self.exponents - exponents).astype(object)
        return Moments(
            self.n_samples,
            self.weight << by_weight,
            self.sums << (shift + by_weight),
            self.products << (shift[:, None] + shift[None, :] + by_weight),
            exponents,
            weight_exponent,
        )


class MomentsAccumulator:
    """Gathers the `Moments` of rows that arrive block by block, by cell. One thread's; not to be shared.

    Args:
        exponents: The grid, shape (k,), as `grid_exponents` gives it.
        weight_exponent: The weights' grid, or None where rows are unweighted.
        lowest_digit: The lowest that takes part in products: 1 rounds their factors to 42 bits, and is twice as fast;
            sums keep all digits.
        scratch: That of the thread, where it has several accumulators.
    """

    def __init__(
        self,
        exponents: NDArray[np.int64],
        weight_exponent: int | None = None,
        lowest_digit: int = 0,
        scratch: Scratch | None = None,
    ) -> None:
        self._exponents = exponents
        self._weight_exponent = weight_exponent
        self._lowest_digit = lowest_digit
        self._scratch = scratch or Scratch()
        new = functools.partial(
            DigitSums, len(exponents), weighted=weight_exponent is not None, lowest_digit=lowest_digit
        )
        self._totals: defaultdict[int, DigitSums] = defaultdict(new)

    def add(
        self, columns: FloatColumns, weights: Weights = None, cells: Cells = 0, levels: LevelRows | None = None
    ) -> None:
        """Add rows.

        Args:
            columns: k of shape (m,), or one array of shape (k, m); finite.
            weights: Shape (m,), finite and > 0; given exactly when the accumulator was made for weights.
            cells: The cell of all rows, or of each, shape (m,).
            levels: The levels of the rows, whose sums are gathered as well.

        Raises:
            GridOverflow: A value is larger than the grid was made for. The accumulator is then spoilt.
        """
        assert levels is None or not self._lowest_digit  # sums by level keep all digits
        for block, of_block, stretches, of_rows in blocks_by_cell(
            columns, weights, cells, BLOCK_ROWS, self._scratch.in_order
        ):
            lines = self._scratch.split(block, self._exponents)
            weighted = None
            if of_block is not None:
                weighted = weighted_lines(self._weight_digits(of_block), lines, self._lowest_digit)
            for cell, rows in stretches:
                self._totals[cell].add(lines[:, rows], None if weighted is None else weighted[:, rows])
            if levels is not None:  # last, as it uses up the digits
                levels.add(of_rows, stretches, lines, weighted)

    @property
    def cells(self) -> tuple[int, ...]:
        """The cells so far."""
        return tuple(self._totals)

    def moments(self, cell: int = 0) -> Moments:
        """The sums of a cell so far."""
        total = self._totals[cell]
        return Moments(total.n_samples, total.weight, *total.totals(), self._exponents, self._weight_exponent or 0)

    def _weight_digits(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        try:
            return Scratch().split([weights], np.array([self._weight_exponent]))[:-1]
        except GridOverflow:
            raise GridOverflow(len(self._exponents)) from None
