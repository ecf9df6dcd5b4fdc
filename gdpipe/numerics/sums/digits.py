"""Values as integers on their grid, the integers as digits that BLAS multiplies without rounding, and their sums."""

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns

DIGIT_BITS = 21
DIGITS = 3
MAX_BITS = DIGIT_BITS * DIGITS - 1  # balanced digits reach 2^62
# rows a BLAS product: 2^20 · 2^20 · 2^12 = 2^52 is exact. The digits of 20 columns take 2 MB; blocks of 1,024 rows fit
# a smaller cache, but their calls cost more than the cache gains, and 8,192 rows are hardly faster. With 4,096 rows all
# lines would begin at one place of the cache, and the product take a tenth longer
BLOCK_ROWS = 4088
# rows an int64 may gather before it could overflow: three pairs of digits of one place make 3 · 2^40 · 2^21 < 2^63
ROWS_BEFORE_FOLD = 2**21
# x + 1.5 · 2^52 · 2^place - 1.5 · 2^52 · 2^place is x, |x| < 2^(51 + place), rounded to a multiple of 2^place, ties to
# even: at this size the step of a float64 is 2^place
_TO_MID, _TO_HIGH = 1.5 * 2.0 ** (52 + DIGIT_BITS), 1.5 * 2.0 ** (52 + 2 * DIGIT_BITS)
# what mid and high digits, shape (2, k, m), are multiplied by to be integers
_TO_DIGITS = np.array([2.0**-DIGIT_BITS, 2.0 ** (-2 * DIGIT_BITS)])[:, None, None]


class GridOverflow(ArithmeticError):
    """A value lies beyond the maximum its column was said to have.

    Attributes:
        column: Index of the column among z; their number where it is the weights.
    """

    def __init__(self, column: int) -> None:
        super().__init__(f"a value of column {column} lies beyond the announced maximum")
        self.column = column

    def __reduce__(self) -> tuple[type["GridOverflow"], tuple[int]]:
        """Rebuild the error from its column, as errors are sent between processes."""
        return type(self), (self.column,)


class Scratch:
    """Memory for the digits of a block of rows. It belongs to a thread, and serves all its accumulators in turn.

    It grows to the largest block so far: 2.1 MB for 21 columns; and 5.5 MB where batches of 32,768 rows are sorted.
    """

    def __init__(self) -> None:
        self._numbers = self._sorted = np.empty(0)

    def in_order(self, k: int, m: int) -> NDArray[np.float64]:
        """Memory for k columns of m sorted rows, shape (k, m), not yet written."""
        if self._sorted.size < k * m:
            self._sorted = np.empty(k * m)
        return self._sorted[: k * m].reshape(k, m)

    def room(self, n: int, m: int) -> NDArray[np.float64]:
        """Memory for n lines of a block of m rows, shape (n, m), not yet written; until the next block is split."""
        if self._numbers.size < n * m:
            self._numbers = np.empty(n * m)
        return self._numbers[: n * m].reshape(n, m)

    def split(self, columns: FloatColumns, exponents: NDArray[np.int64]) -> NDArray[np.float64]:
        """Round values to their grid and cut the integers into balanced digits.

        value = (low + mid·2^21 + high·2^42) · 2^exponent, |digit| <= 2^20.

        Args:
            columns: k of shape (m,), or one array of shape (k, m).
            exponents: Shape (k,).

        Returns:
            Shape (3·k + 1, m), until the next block is split: k lines of low digits, k of mid, k of high, and a line
            of ones, whose products with the others are their sums.

        Raises:
            GridOverflow: A value needs more than three digits.
        """
        k, m = len(columns), len(columns[0])
        lines = self.room(DIGITS * k + 1, m)
        lines[-1] = 1.0
        digits = lines[:-1].reshape(DIGITS, k, m)
        low, mid, high = digits
        if isinstance(columns, np.ndarray) and exponents.min() >= -1000:
            np.multiply(columns, np.ldexp(1.0, -exponents)[:, None], out=low)
        else:
            for column, exponent, scaled in zip(columns, exponents.tolist(), low, strict=True):
                if exponent < -1000:
                    np.ldexp(column, -exponent, out=scaled)  # the power itself would overflow a float64
                else:
                    np.multiply(column, 2.0**-exponent, out=scaled)
        np.add(low, _TO_HIGH, out=high)
        np.subtract(high, _TO_HIGH, out=high)
        limit = 2.0**MAX_BITS
        if not (high.max(initial=0.0) <= limit and high.min(initial=0.0) >= -limit):
            raise GridOverflow(int(np.argmax(np.abs(high).max(axis=1))))
        np.subtract(low, high, out=low)
        np.add(low, _TO_MID, out=mid)
        np.subtract(mid, _TO_MID, out=mid)
        np.subtract(low, mid, out=low)
        np.rint(low, out=low)
        np.multiply(digits[1:], _TO_DIGITS, out=digits[1:])
        return lines


def weighted_lines(
    weights: NDArray[np.float64], lines: NDArray[np.float64], lowest_digit: int = 0
) -> NDArray[np.float64]:
    """The six balanced digits of weight · value, exactly, and the weights': schoolbook multiplication with carries.

    Args:
        weights: Digits, shape (3, m).
        lines: Of the values, as `Scratch.split` makes them, shape (3·k + 1, m).
        lowest_digit: The lowest of the values' that counts; those below are taken for zero.

    Returns:
        Shape (6·k + 3, m): k lines for each digit of the products, lowest first, then the weights.
    """
    values = lines[:-1].reshape(DIGITS, -1, lines.shape[1])
    weighted = np.zeros((2 * DIGITS * values.shape[1] + DIGITS, lines.shape[1]))
    weighted[-DIGITS:] = weights
    out = weighted[:-DIGITS].reshape(2 * DIGITS, *values.shape[1:])
    for a in range(DIGITS):
        for b in range(lowest_digit, DIGITS):
            out[a + b] += weights[a] * values[b]  # at most three terms of 2^40: exact
    for place in range(2 * DIGITS - 1):
        carry = np.rint(out[place] * 2.0**-DIGIT_BITS)
        out[place] -= carry * 2.0**DIGIT_BITS
        out[place + 1] += carry
    return weighted


def compose(digits: NDArray[np.generic], bits: int = DIGIT_BITS) -> NDArray[np.object_]:
    """Σ digits[d]·2^(bits·d) over the first axis, in Python integers."""
    total: NDArray[np.object_] = digits[-1].astype(object)
    for digit in digits[-2::-1]:
        total *= 2**bits
        total += digit.astype(object)
    return total


class DigitSums:
    """Gathers sums in units of the grid, by place of the digits: in int64, and in time in integers without bound.

    18 KB for 21 columns, 28 KB with weights.

    Args:
        k: Number of columns.
        weighted: Whether rows have weights.
        lowest_digit: The lowest that takes part in products.

    Attributes:
        n_samples: Rows added.
        weight: Sum of the weights.
    """

    def __init__(self, k: int, *, weighted: bool, lowest_digit: int) -> None:
        self.n_samples = self.weight = 0
        self._lowest_digit = lowest_digit
        self._sums = np.zeros((2 * DIGITS - 1, k), np.int64)
        self._products = np.zeros((3 * DIGITS - 1 if weighted else 2 * DIGITS - 1, k, k), np.int64)
        self._gathered = 0
        self._folded: tuple[NDArray[np.object_], NDArray[np.object_]] | None = None

    def add(self, lines: NDArray[np.float64], weighted: NDArray[np.float64] | None) -> None:
        """Add rows.

        Args:
            lines: Of the values, as `Scratch.split` makes them, shape (3·k + 1, m), m <= `BLOCK_ROWS`.
            weighted: As `weighted_lines` makes them; None where rows are unweighted.
        """
        k, m = self._sums.shape[1], lines.shape[1]
        if self._gathered + m > ROWS_BEFORE_FOLD:
            self.totals()
        self._gathered += m
        self.n_samples += m
        # the lines that hold the factor of each row: ones, or the digits of the weights
        factors = 1 if weighted is None else DIGITS
        below = self._lowest_digit * k
        right = lines[below:]
        left, first = (right, 2 * self._lowest_digit) if weighted is None else (weighted, self._lowest_digit)
        products = _products(left, right)
        self.weight += int(compose(products[-factors:, -1]))
        sums = products[-factors:, :-1]
        if below:
            sums = np.hstack([(left[-factors:] @ lines[:below].T).astype(np.int64), sums])
        for place, by_digit in enumerate(sums.reshape(factors, DIGITS, k)):
            self._sums[place : place + DIGITS] += by_digit
        used = DIGITS - self._lowest_digit
        by_place = products[:-factors, :-1].reshape(-1, k, used, k).transpose(0, 2, 1, 3)
        for place, by_digit in enumerate(by_place, first):
            self._products[place : place + used] += by_digit

    def totals(self) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """The sums, shape (k,), and the sums of products, shape (k, k), in Python integers, which the int64 move to."""
        sums, products = compose(self._sums), compose(self._products)
        self._folded = (
            (sums, products) if self._folded is None else (self._folded[0] + sums, self._folded[1] + products)
        )
        self._sums[:] = self._products[:] = self._gathered = 0
        return self._folded


def _products(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.int64]:
    """Sums over rows of the products of each two lines of digits; lines of zeros are left out."""
    columns = used_lines(right)
    rows = columns if left is right else used_lines(left)
    if len(rows) == len(left) and len(columns) == len(right):
        return (left @ right.T).astype(np.int64)  # the same array twice lets BLAS do half the work
    products = np.zeros((len(left), len(right)), np.int64)
    used = right[columns]
    products[np.ix_(rows, columns)] = (used if left is right else left[rows]) @ used.T
    return products


def used_lines(lines: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the lines that are not all zero: integers and short decimals leave whole digits empty."""
    used: NDArray[np.bool_] = lines[:, 0] != 0  # for most lines the first value tells
    if not used.all():
        others = np.flatnonzero(~used)
        used[others] = lines[others].any(axis=1)
    return np.flatnonzero(used)
