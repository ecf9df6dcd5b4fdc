"""Values as integers on their grid, the integers as digits that BLAS multiplies without rounding, and their sums."""

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns

DIGIT_BITS = 21
DIGITS = 3
MAX_BITS = DIGIT_BITS * DIGITS - 1  # balanced digits reach 2^62
# rows a BLAS product: 2^20 · 2^20 · 2^12 = 2^52 is exact, and three digits of 20 columns stay in the cache
BLOCK_ROWS = 4096
# rows an int64 may gather before it could overflow: three pairs of digits of one place make 3 · 2^40 · 2^21 < 2^63
ROWS_BEFORE_FOLD = 2**21
_ONES = np.ones((1, 1, BLOCK_ROWS))


class GridOverflow(ArithmeticError):
    """A value lies beyond the maximum its column was said to have.

    Attributes:
        column: Index of the column among z; their number where it is the weights.
    """

    def __init__(self, column: int) -> None:
        super().__init__(f"a value of column {column} lies beyond the announced maximum")
        self.column = column

    def __reduce__(self) -> tuple[type["GridOverflow"], tuple[int]]:
        """Made again from the column, not from the message: errors cross processes."""
        return type(self), (self.column,)


class Scratch:
    """Memory for the digits of a block of rows. It belongs to a thread, and serves all its accumulators in turn.

    It grows to the largest block so far: 2.75 MB for 21 columns.
    """

    def __init__(self) -> None:
        self._numbers = np.empty(0)

    def split(self, columns: FloatColumns, exponents: NDArray[np.int64]) -> NDArray[np.float64]:
        """Round values to their grid and cut the integers into balanced digits, lowest first.

        value = (digits[0] + digits[1]·2^21 + digits[2]·2^42) · 2^exponent, |digit| <= 2^20.

        Args:
            columns: k of shape (m,), or one array of shape (k, m).
            exponents: Shape (k,).

        Returns:
            Shape (3, k, m), until the next block is split.

        Raises:
            GridOverflow: A value needs more than three digits.
        """
        shape = (DIGITS + 1, len(columns), len(columns[0]))
        size = int(np.prod(shape))
        if self._numbers.size < size:
            self._numbers = np.empty(size)
        numbers = self._numbers[:size].reshape(shape)
        low, mid, high, rest = numbers
        for column, exponent, scaled in zip(columns, exponents.tolist(), rest, strict=True):
            if exponent < -1000:
                np.ldexp(column, -exponent, out=scaled)  # the power itself would overflow a float64
            else:
                np.multiply(column, 2.0**-exponent, out=scaled)
        for place, digit in ((42, high), (21, mid)):
            np.multiply(rest, 2.0**-place, out=digit)
            np.rint(digit, out=digit)
            np.multiply(digit, -(2.0**place), out=low)
            np.add(rest, low, out=rest)
        np.rint(rest, out=low)
        limit = 2.0 ** (DIGIT_BITS - 1)
        if not (high.max(initial=0.0) <= limit and high.min(initial=0.0) >= -limit):
            raise GridOverflow(int(np.argmax(np.abs(high).max(axis=1))))
        return numbers[:DIGITS]


def digits_of_product(
    weights: NDArray[np.float64], values: NDArray[np.float64], lowest_digit: int = 0
) -> NDArray[np.float64]:
    """The six balanced digits of weight · value, exactly: schoolbook multiplication with carries.

    Args:
        weights: Digits, shape (3, 1, m).
        values: Digits, shape (3, k, m).
        lowest_digit: The lowest of the values' that counts; those below are taken for zero.

    Returns:
        Shape (6, k, m).
    """
    out = np.zeros((2 * DIGITS, *values.shape[1:]))
    for a in range(DIGITS):
        for b in range(lowest_digit, DIGITS):
            out[a + b] += weights[a] * values[b]  # at most three terms of 2^40: exact
    for place in range(2 * DIGITS - 1):
        carry = np.rint(out[place] * 2.0**-DIGIT_BITS)
        out[place] -= carry * 2.0**DIGIT_BITS
        out[place + 1] += carry
    return out


def compose(digits: NDArray[np.generic]) -> NDArray[np.object_]:
    """Σ digits[d]·2^(21·d) over the first axis, in Python integers."""
    total: NDArray[np.object_] = digits[-1].astype(object)
    for digit in digits[-2::-1]:
        total = total * 2**DIGIT_BITS + digit.astype(object)
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

    def add(
        self, digits: NDArray[np.float64], weights: NDArray[np.float64] | None, weighted: NDArray[np.float64] | None
    ) -> None:
        """Add rows.

        Args:
            digits: Of the values, shape (3, k, m), m <= `BLOCK_ROWS`.
            weights: Digits of the weights, shape (3, 1, m); None where rows are unweighted.
            weighted: Digits of weight · value, shape (6, k, m); None likewise.
        """
        k, m = digits.shape[1:]
        if self._gathered + m > ROWS_BEFORE_FOLD:
            self.totals()
        self._gathered += m
        self.n_samples += m
        self.weight += m if weights is None else int(compose(weights.sum(axis=2).astype(np.int64))[0])
        factors = _ONES[:, :, :m] if weights is None else weights
        sums = (factors.reshape(-1, m) @ digits.reshape(-1, m).T).astype(np.int64).reshape(-1, DIGITS, k)
        for place, by_digit in enumerate(sums):
            self._sums[place : place + DIGITS] += by_digit
        right = digits[self._lowest_digit :]
        left, first = (right, 2 * self._lowest_digit) if weighted is None else (weighted, self._lowest_digit)
        products = _products(left, right).reshape(len(left), k, len(right), k)
        for place, by_digit in enumerate(products.transpose(0, 2, 1, 3), first):
            self._products[place : place + len(right)] += by_digit

    def totals(self) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """The sums, shape (k,), and the sums of products, shape (k, k), in Python integers, which the int64 move to."""
        sums, products = compose(self._sums), compose(self._products)
        self._folded = (
            (sums, products) if self._folded is None else (self._folded[0] + sums, self._folded[1] + products)
        )
        self._sums[:] = self._products[:] = self._gathered = 0
        return self._folded


def _products(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.int64]:
    """Σ over rows of each line of digits times each; those of lines of zeros are not multiplied, but known."""
    m = left.shape[2]
    a, b = left.reshape(-1, m), right.reshape(-1, m)
    rows, columns = _used(a), _used(b)
    if len(rows) == len(a) and len(columns) == len(b):
        return (a @ b.T).astype(np.int64)  # the same array twice lets BLAS do half the work
    products = np.zeros((len(a), len(b)), np.int64)
    used = b[columns]
    products[np.ix_(rows, columns)] = (used if left is right else a[rows]) @ used.T
    return products


def _used(lines: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which lines hold anything but zeros: integers and short decimals leave whole digits empty."""
    used: NDArray[np.bool_] = lines[:, 0] != 0  # of most lines in use that is enough to know
    others = np.flatnonzero(~used)
    used[others] = lines[others].any(axis=1)
    return np.flatnonzero(used)
