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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns
from gdpipe.numerics.sums.digits import DIGITS, MAX_BITS, GridOverflow, UsedLines, compose, digits_of_product, split

# rows a BLAS product: 2^20 · 2^20 · 2^12 = 2^52 is exact, and three digits of 20 columns stay in the cache
BLOCK_ROWS = 4096
# blocks an int64 may gather before it could overflow: three pairs of digits of one place make 3 · 2^52 · 2^9 < 2^63
BLOCKS_BEFORE_FOLD = 512


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

    def on_grid(self, exponents: NDArray[np.int64], weight_exponent: int) -> "Moments":
        """The same numbers in units of a finer (or the same) grid."""
        shift = (self.exponents - exponents).astype(object)
        by_weight = self.weight_exponent - weight_exponent
        return Moments(
            self.n_samples,
            self.weight << by_weight,
            self.sums << (shift + by_weight),
            self.products << (shift[:, None] + shift[None, :] + by_weight),
            exponents,
            weight_exponent,
        )


class MomentsAccumulator:
    """Gathers the `Moments` of rows that arrive block by block. One thread's; not to be shared.

    Args:
        exponents: The grid, shape (k,), as `grid_exponents` gives it.
        weight_exponent: The weights' grid, or None where rows are unweighted.
        lowest_digit: The lowest that takes part in products: 1 rounds their factors to 42 bits, and is twice as fast;
            sums keep all digits.
    """

    def __init__(self, exponents: NDArray[np.int64], weight_exponent: int | None = None, lowest_digit: int = 0) -> None:
        k = len(exponents)
        self._exponents = exponents
        self._weight_exponent = weight_exponent
        self._lowest_digit = lowest_digit
        self._rest = np.empty((k, BLOCK_ROWS))
        self._digits = np.empty((DIGITS, k, BLOCK_ROWS))
        self._ones = np.ones((1, 1, BLOCK_ROWS))
        places = DIGITS if weight_exponent is None else 2 * DIGITS - 1
        self._sums = np.zeros((places, k), np.int64)
        # products are gathered of the lines in use alone: unweighted, the same on both sides
        self._right = UsedLines((DIGITS - lowest_digit) * k)
        self._left = self._right if weight_exponent is None else UsedLines(2 * DIGITS * k)
        self._products = np.zeros((0, 0), np.int64)
        self._blocks = 0
        self._n_samples = 0
        self._weight = 0
        self._total = Moments.zero(exponents, weight_exponent or 0)

    def add(self, columns: FloatColumns, weights: NDArray[np.float64] | None = None) -> None:
        """Add rows.

        Args:
            columns: k of shape (m,), or one array of shape (k, m); finite.
            weights: Shape (m,), finite and > 0; given exactly when the accumulator was made for weights.

        Raises:
            GridOverflow: A value is larger than the grid was made for. The accumulator is then spoilt.
        """
        for start in range(0, len(columns[0]), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            self._add_block([column[block] for column in columns], None if weights is None else weights[block])
            self._blocks += 1
            if self._blocks == BLOCKS_BEFORE_FOLD:
                self._fold()

    def moments(self) -> Moments:
        """The sums so far."""
        self._fold()
        return self._total

    def _add_block(self, columns: list[NDArray[np.float64]], weights: NDArray[np.float64] | None) -> None:
        k, m = len(columns), len(columns[0])
        digits = self._digits[:, :, :m]
        split(columns, self._exponents, digits, self._rest[:, :m])
        if weights is None:
            weight_digits = self._ones[:, :, :m]
            self._weight += m
        else:
            assert self._weight_exponent is not None
            weight_digits = np.empty((DIGITS, 1, m))
            try:
                split([weights], np.array([self._weight_exponent]), weight_digits, np.empty((1, m)))
            except GridOverflow:
                raise GridOverflow(k) from None
            self._weight += int(compose(weight_digits.sum(axis=2).astype(np.int64))[0])
        sums = (weight_digits.reshape(-1, m) @ digits.reshape(-1, m).T).astype(np.int64).reshape(-1, DIGITS, k)
        for place, by_digit in enumerate(sums):
            self._sums[place : place + DIGITS] += by_digit
        left = right = digits[self._lowest_digit :].reshape(-1, m)
        if weights is not None:
            digits[: self._lowest_digit] = 0.0
            left = digits_of_product(weight_digits, digits).reshape(-1, m)
        before = self._left.places, self._right.places
        grown = self._right.grow(right)
        if left is not right:
            grown = self._left.grow(left) or grown
        if grown:
            self._make_room(*before)
        # the same array twice lets BLAS do half the work
        b = self._right.of(right)
        a = b if left is right else self._left.of(left)
        self._products += (a @ b.T).astype(np.int64)
        self._n_samples += m

    def _make_room(self, left: NDArray[np.intp], right: NDArray[np.intp]) -> None:
        """For products of the lines now in use, beside those of the lines that were."""
        gathered = self._products
        self._products = np.zeros((len(self._left.places), len(self._right.places)), np.int64)
        lines = np.ix_(np.searchsorted(self._left.places, left), np.searchsorted(self._right.places, right))
        self._products[lines] = gathered

    def _fold(self) -> None:
        """Move what the int64 buffers hold into the integers without bound."""
        k = len(self._exponents)
        first, places = (self._lowest_digit, DIGITS) if self._left is self._right else (0, 2 * DIGITS)
        products = np.zeros((places * k, DIGITS * k), np.int64)
        lines = np.ix_(self._left.places + first * k, self._right.places + self._lowest_digit * k)
        products[lines] = self._products
        pairs = products.reshape(places, k, DIGITS, k).transpose(0, 2, 1, 3)
        by_place = np.full((places + DIGITS - 1, k, k), 0, object)
        for a in range(places):
            for b in range(DIGITS):
                by_place[a + b] += pairs[a, b].astype(object)
        self._total = Moments(
            self._n_samples,
            self._weight,
            self._total.sums + compose(self._sums),
            self._total.products + compose(by_place),
            self._total.exponents,
            self._total.weight_exponent,
        )
        self._sums[:] = 0
        self._products[:] = 0
        self._blocks = 0
