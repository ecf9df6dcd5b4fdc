"""Decimals as the nearest float64: Arrow's own cast is an ulp off for many a value with two decimals."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# powers of ten up to this one, and whole numbers up to 2^53, are float64s as they are
EXACT_POWER = 22
EXACT_WHOLE = 2**53


def nearest(column: pa.Array) -> NDArray[np.float64]:
    """Each value of a decimal column, rounded once; what stands in a null's place is undefined. Shape (n,).

    A decimal is a whole number over a power of ten. Where float64 holds both, their quotient is the nearest float64
    (Clinger, 1990, "How to read floating point numbers accurately"). The others are divided as Python's integers,
    whose quotient is the nearest too.
    """
    power = 10 ** abs(column.type.scale)
    words = _words(column)
    low = words[:, 0]
    whole = (low >= -EXACT_WHOLE) & (low <= EXACT_WHOLE)
    for high in words.T[1:]:
        whole &= high == low >> 63
    if power > 10**EXACT_POWER:
        whole[:] = False
    values = low.astype(np.float64)
    if column.type.scale >= 0:
        values /= float(power)
    else:
        values *= float(power)
    if not whole.all():
        wide = words[~whole]
        integers = wide[:, -1].astype(object)
        for lower in wide.astype(np.uint64).T[-2::-1]:
            integers = integers << 64 | lower.astype(object)
        values[~whole] = integers / power if column.type.scale >= 0 else integers * power
    return values


def _words(column: pa.Array) -> NDArray[np.signedinteger]:
    """The whole numbers, lowest word first, in two's complement: one word of 4 or 8 bytes, or two or four of 8."""
    size = column.type.bit_width // 8
    word = min(size, 8)
    stop = column.offset + len(column)
    words = np.frombuffer(column.buffers()[1], f"<i{word}", stop * size // word).reshape(-1, size // word)
    return words[column.offset :]
