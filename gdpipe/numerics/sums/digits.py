"""Values as integers on their grid, and the integers as digits that BLAS multiplies without rounding."""

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns

DIGIT_BITS = 21
DIGITS = 3
MAX_BITS = DIGIT_BITS * DIGITS - 1  # balanced digits reach 2^62


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
