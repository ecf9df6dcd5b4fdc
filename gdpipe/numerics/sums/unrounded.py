"""Exact sums of float64 values as they are: no grid is announced beforehand, and nothing is rounded to one.

`MomentsAccumulator` wants to know the largest value of the whole source before the first row. Where rows arrive batch
by batch nobody knows it, and a grid guessed too coarse would have rounded rows that are gone. So each column is cut
into parts, one for each window of 60 bits that its values reach into. A part lies on its window's grid with nothing
left over, and the parts of a value add up to it without error:

    x = Σ xₛ,   hence   Σw·xᵢ·xⱼ = ΣΣ (Σw·xᵢₛ·xⱼₜ) over the parts s of i and t of j

Ordinary columns have two or three parts, of which most digits are empty and cost nothing.
"""

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator

# whole bits of a part: at most the 62 that a value on a grid may have
WINDOW_BITS = 60
# where the highest window of float64 begins: what has no digit at all gets the coarsest grid there is
HIGHEST = 1023 // WINDOW_BITS * WINDOW_BITS
# rows cut into parts at once: exact sums do not mind, and memory is kept
ROWS_AT_ONCE = 65_536


def unrounded_moments(rows: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> Moments:
    """The sums of these rows, exactly; equal rows give equal sums, and equal grids, however they are batched.

    Args:
        rows: Shape (k, m), one line a column; finite.
        weights: Shape (m,), finite and >= 0; rows of weight 0 are not counted.
    """
    if weights is not None:
        rows, weights = rows[:, weights > 0], weights[weights > 0]
    slices = [slice(start, start + ROWS_AT_ONCE) for start in range(0, max(rows.shape[1], 1), ROWS_AT_ONCE)]
    parts = (_moments(rows[:, s], None if weights is None else weights[s]) for s in slices)
    return functools.reduce(Moments.__add__, parts)


def _moments(rows: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Moments:
    parts = [_parts(column) for column in rows]
    exponents = np.array([exponent for column in parts for exponent, _ in column])
    values = np.array([part for column in parts for _, part in column])
    if weights is None:
        accumulator = MomentsAccumulator(exponents)
        accumulator.add(values)
        total = accumulator.moments()
    else:
        total = Moments.zero(exponents, HIGHEST)
        for exponent, part in _parts(weights):
            accumulator = MomentsAccumulator(exponents, exponent)
            accumulator.add(values[:, part > 0], part[part > 0])
            total += accumulator.moments()
        total = dataclasses.replace(total, n_samples=rows.shape[1])  # a row counts once, whatever its parts
    # the sums of columns from those of their parts, which stand side by side
    counts = [len(column) for column in parts]
    first = np.cumsum([0, *counts[:-1]])
    exponents = np.minimum.reduceat(total.exponents, first)
    fine = total.on_grid(np.repeat(exponents, counts), total.weight_exponent)
    sums = np.add.reduceat(fine.sums, first)
    products = np.add.reduceat(np.add.reduceat(fine.products, first, axis=0), first, axis=1)
    return Moments(total.n_samples, total.weight, sums, products, exponents, total.weight_exponent)


def _parts(column: NDArray[np.float64]) -> list[tuple[int, NDArray[np.float64]]]:
    """Cut values into (exponent, part), highest window first: part = integer · 2^exponent, |integer| < 2^60."""
    parts = []
    while column.any():
        highest_bit = int(np.frexp(np.abs(column).max())[1]) - 1
        exponent = highest_bit // WINDOW_BITS * WINDOW_BITS
        part = np.ldexp(np.trunc(np.ldexp(column, -exponent)), exponent)
        parts.append((exponent, part))
        column = column - part  # some of the value's own digits: exact
    return parts or [(HIGHEST, column)]
