"""Numbers in units of 2^-256, as Python integers, and the float64 matrix that multiplies them without rounding."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

# at a condition number of 1e32 that still leaves 45 digits
FIXED_POINT_BITS = 256
# a correlation matrix's entries are multiples of 2^-60, cut into three digits of 20 bits
DIGIT_BITS = 20
GRID_BITS = 3 * DIGIT_BITS
# numbers of a matrix that are cut at once: they stay in cache
BLOCK_NUMBERS = 2**17


@dataclass(frozen=True, slots=True, eq=False)
class GridMatrix:
    """A float64 matrix of multiples of 2^-60: it has an exact product with integers of any length.

    Attributes:
        values: Shape (n, p), no entry above 1 by more than rounding.
        diagonal: A number that stands on the diagonal besides, in units of 2^-256: a ridge, which may be large.
    """

    values: NDArray[np.float64]
    diagonal: int = 0

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "GridMatrix":
        """Round to the grid, in place: entries above 2^-7 are on it already."""
        values *= 2.0**GRID_BITS
        np.rint(values, out=values)
        values *= 2.0**-GRID_BITS
        return cls(values)

    def __matmul__(self, point: NDArray[np.object_]) -> NDArray[np.object_]:
        """The matrix in units of 2^-256 times integers, exactly: shape (p,) to shape (n,).

        Digits of either side are so short that BLAS rounds nothing: Ozaki et al. (2012), Numer. Algorithms 59:95-118.
        """
        n, p = self.values.shape
        bits = 53 - DIGIT_BITS - p.bit_length()
        shifts, digits = _digits(point, bits)
        by_place = [np.full(n, 0, object) for _ in shifts]
        rows = max(BLOCK_NUMBERS // max(p, 1), 1)
        rest, digit = np.empty((2, rows, p))
        for start in range(0, n, rows):
            block = self.values[start : start + rows]
            left, cut = rest[: len(block)], digit[: len(block)]
            np.multiply(block, 2.0**DIGIT_BITS, out=left)
            for place in range(3):
                np.rint(left, out=cut)
                products = (cut @ digits).astype(np.int64).astype(object)
                for d, total in enumerate(by_place):
                    total[start : start + rows] += products[:, d] << (GRID_BITS - DIGIT_BITS * (place + 1))
                left -= cut
                left *= 2.0**DIGIT_BITS
        product = self.diagonal * point if self.diagonal else np.full(n, 0, object)
        for shift, total in zip(shifts, by_place, strict=True):
            product += total << (shift + FIXED_POINT_BITS - GRID_BITS)
        return product


def to_fixed(values: Iterable[float | Fraction]) -> NDArray[np.object_]:
    """Numbers in units of 2^-256, rounded down; shape (p,), Python integers."""
    ratios = (value.as_integer_ratio() for value in values)
    return np.array([(above << FIXED_POINT_BITS) // below for above, below in ratios], object)


def to_float(values: NDArray[np.object_], bits: int = FIXED_POINT_BITS) -> NDArray[np.float64]:
    """Integers in units of 2^-bits as float64, each rounded once."""
    rounded: NDArray[np.float64] = (values / (1 << bits)).astype(np.float64)  # int / int rounds correctly in Python
    return rounded


def _digits(point: NDArray[np.object_], bits: int) -> tuple[list[int], NDArray[np.float64]]:
    """Digits with point = Σ digits[:, d]·2^shifts[d]: 0 <= digit < 2^bits, but the highest one has the sign."""
    length = max((int(value).bit_length() for value in point), default=0)
    top = length // bits * bits
    places = [
        (shift, point >> shift if shift == top else (point >> shift) & ((1 << bits) - 1))
        for shift in range(0, top + 1, bits)
    ]
    places = [(shift, digit) for shift, digit in places if digit.any()]
    digits = np.array([digit for _, digit in places], np.float64).reshape(len(places), len(point))
    return [shift for shift, _ in places], np.ascontiguousarray(digits.T)
