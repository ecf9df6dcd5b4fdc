"""Decimals as the nearest float64; Arrow's own cast is off by an ulp for many values with two decimals."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# the largest exponent of ten, and the largest whole number, up to which float64 holds all exactly
EXACT_POWER = 22
EXACT_WHOLE = 2**53
# bound on the rounding errors of a pair of float64, relative to the number
MARGIN = 2.0**-95


def nearest(column: pa.Array) -> Floats:
    """The values of a decimal column, each rounded once, shape (n,); undefined where the column is null.

    A decimal is a whole number over a power of ten. Where float64 holds both, their quotient is the nearest float64
    (Clinger, 1990, "How to read floating point numbers accurately"). Others are divided as pairs of float64 (Dekker,
    1971, Numer. Math. 18:224-242). Where pairs are not precise enough, they are divided as Python's integers, whose
    quotient is the nearest float64, too.
    """
    scale = column.type.scale
    words = _words(column)
    low = words[:, 0]
    short = (low >= -EXACT_WHOLE) & (low <= EXACT_WHOLE)
    for high in words.T[1:]:
        short &= high == low >> 63
    if abs(scale) > EXACT_POWER:
        short[:] = False
    power = float(10 ** abs(scale))
    values = low.astype(np.float64)
    values = values / power if scale >= 0 else values * power
    if not short.all():
        values[~short] = _long(words[~short], scale)
    return values


def _words(column: pa.Array) -> NDArray[np.signedinteger]:
    """The whole numbers, lowest word first, in two's complement: one word of 4 or 8 bytes, or two or four of 8."""
    size = column.type.bit_width // 8
    word = min(size, 8)
    stop = column.offset + len(column)
    words = np.frombuffer(column.buffers()[1], f"<i{word}", stop * size // word).reshape(-1, size // word)
    return words[column.offset :]


def _long(words: NDArray[np.signedinteger], scale: int) -> Floats:
    """The float64 nearest to each whole number over 10^scale, shape (n,)."""
    power = 10 ** abs(scale)
    head = float(power)
    high, low = (_divided if scale >= 0 else _multiplied)(*_pair(words), head, float(power - int(head)))
    margin = np.abs(high) * MARGIN
    values: Floats = high + (low - margin)
    unsure = values != high + (low + margin)
    if unsure.any():
        integers = words[unsure, -1].astype(object)
        for lower in words[unsure].astype(np.uint64).T[-2::-1]:
            integers = integers << 64 | lower.astype(object)
        values[unsure] = integers / power if scale >= 0 else integers * power
    return values


def _pair(words: NDArray[np.signedinteger]) -> tuple[Floats, Floats]:
    """Whole numbers as sums of two float64, right to 100 bits."""
    high = low = np.zeros(len(words))
    for number, word in enumerate(words.T[::-1]):
        for half in (word >> 32 if not number else word >> 32 & 0xFFFFFFFF, word & 0xFFFFFFFF):
            total, error = _sum(high * 2.0**32, half.astype(np.float64))
            high, low = _sum(total, error + low * 2.0**32)
    return high, low


def _divided(high: Floats, low: Floats, head: float, tail: float) -> tuple[Floats, Floats]:
    """(high + low) / (head + tail), right to 100 bits."""
    quotient = high / head
    product, error = _product(quotient, head)
    return _sum(quotient, (high - product - error + low - quotient * tail) / head)


def _multiplied(high: Floats, low: Floats, head: float, tail: float) -> tuple[Floats, Floats]:
    """(high + low) · (head + tail), right to 100 bits."""
    product, error = _product(high, head)
    return _sum(product, error + high * tail + low * head)


def _sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The rounded sum and its rounding error, which add up to the exact sum."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _product(a: Floats, b: float) -> tuple[Floats, Floats]:
    """The rounded product and its rounding error, which add up to the exact product."""
    splitter = 2.0**27 + 1
    a_high, b_high = splitter * a - (splitter * a - a), splitter * b - (splitter * b - b)
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
