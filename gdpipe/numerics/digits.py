"""Values as integers on their grid, and the integers as digits that BLAS multiplies without rounding."""

import numpy as np
from numpy.typing import NDArray

DIGIT_BITS = 21
DIGITS = 3
MAX_BITS = DIGIT_BITS * DIGITS - 1  # balanced digits reach 2^62
# rows that nearly always tell whether a digit of a column is in use
GLANCE_ROWS = 64


class GridOverflow(ArithmeticError):
    """A value lies beyond the maximum its column was said to have.

    Attributes:
        column: Index of the column among z.
    """

    def __init__(self, column: int) -> None:
        super().__init__(f"a value of column {column} lies beyond the announced maximum")
        self.column = column

    def __reduce__(self) -> tuple[type["GridOverflow"], tuple[int]]:
        """Made again from the column, not from the message: errors cross processes."""
        return type(self), (self.column,)


def split(
    values: NDArray[np.float64],
    exponents: NDArray[np.int64],
    digits: NDArray[np.float64],
    rest: NDArray[np.float64],
) -> None:
    """Round values to their grid and cut the integers into balanced digits, lowest first.

    value = (digits[0] + digits[1]·2^21 + digits[2]·2^42) · 2^exponent, |digit| <= 2^20.

    Args:
        values: Shape (k, m).
        exponents: Shape (k, 1).
        digits: Shape (3, k, m), written.
        rest: Shape (k, m), scratch.

    Raises:
        GridOverflow: A value needs more than three digits.
    """
    low, mid, high = digits
    if exponents.min() < -1000:
        np.ldexp(values, -exponents, out=rest)  # the power itself would overflow a float64
    else:
        np.multiply(values, np.exp2(-exponents.astype(np.float64)), out=rest)
    for place, digit in ((42, high), (21, mid)):
        np.multiply(rest, 2.0**-place, out=digit)
        np.rint(digit, out=digit)
        np.multiply(digit, -(2.0**place), out=low)
        np.add(rest, low, out=rest)
    np.rint(rest, out=low)
    limit = 2.0 ** (DIGIT_BITS - 1)
    if not (high.max(initial=0.0) <= limit and high.min(initial=0.0) >= -limit):
        raise GridOverflow(int(np.argmax(np.abs(high).max(axis=1))))


def used_lines(digits: NDArray[np.float64]) -> NDArray[np.intp]:
    """The lines that are not all zero: integers and short decimals leave whole digits empty."""
    used: NDArray[np.bool_] = np.logical_or.reduce(digits[:, :GLANCE_ROWS], axis=1)
    perhaps = np.flatnonzero(~used)
    used[perhaps] = digits[perhaps].any(axis=1)
    return np.flatnonzero(used)


def chosen_lines(digits: NDArray[np.float64], chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    """These lines, without a copy where they are the last ones."""
    first = len(digits) - len(chosen)
    return digits[first:] if not len(chosen) or chosen[0] == first else digits[chosen]


def digits_of_product(weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The six balanced digits of weight · value, exactly: schoolbook multiplication with carries.

    Args:
        weights: Digits, shape (3, 1, m).
        values: Digits, shape (3, k, m).

    Returns:
        Shape (6, k, m).
    """
    out = np.zeros((2 * DIGITS, *values.shape[1:]))
    for a in range(DIGITS):
        for b in range(DIGITS):
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
