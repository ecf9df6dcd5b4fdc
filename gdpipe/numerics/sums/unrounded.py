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
import operator
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.cell_sums import CellSums
from gdpipe.numerics.sums.level_accumulator import LevelAccumulators
from gdpipe.numerics.sums.level_index import LevelCodes
from gdpipe.numerics.sums.levels import Key, LevelSums
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
    moments = unrounded_sums(rows, weights).moments
    assert isinstance(moments, Moments)
    return moments


def unrounded_sums(
    rows: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
    categories: Sequence[LevelCodes] = (),
    orders: Mapping[Key, int] | None = None,
) -> CellSums:
    """As `unrounded_moments`, with sums by level.

    Args:
        rows: As there.
        weights: As there.
        categories: Of the rows, each with codes of shape (m,).
        orders: The keys whose levels rows are summed by, and the order of each.

    Raises:
        TooManyLevels: There are too many.
    """
    if weights is not None:
        used = weights > 0
        rows, weights = rows[:, used], weights[used]
        categories = [(labels, codes[used]) for labels, codes in categories]
    slices = [slice(start, start + ROWS_AT_ONCE) for start in range(0, max(rows.shape[1], 1), ROWS_AT_ONCE)]
    parts = (
        _sums(rows[:, s], None if weights is None else weights[s], [(of, at[s]) for of, at in categories], orders or {})
        for s in slices
    )
    return functools.reduce(operator.add, parts)


def _sums(
    rows: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    categories: Sequence[LevelCodes],
    orders: Mapping[Key, int],
) -> CellSums:
    parts = [_parts(column) for column in rows]
    exponents = np.array([exponent for column in parts for exponent, _ in column])
    values = np.array([part for column in parts for _, part in column])
    if weights is None:
        total = _on_grids(values, None, exponents, None, categories, orders)
    else:
        none = {key: LevelSums.zero(order, exponents, HIGHEST) for key, order in orders.items()}
        total = CellSums(Moments.zero(exponents, HIGHEST), none)
        for exponent, part in _parts(weights):
            there = part > 0
            of_part = [(labels, codes[there]) for labels, codes in categories]
            total += _on_grids(values[:, there], part[there], exponents, exponent, of_part, orders)
        # a row counts once, whatever its parts
        one = np.zeros((1, rows.shape[1]))
        once = _on_grids(one, None, np.array([0]), None, categories, dict.fromkeys(orders, 0))
        levels = {k: dataclasses.replace(sums, n_samples=once.levels[k].n_samples) for k, sums in total.levels.items()}
        total = CellSums(dataclasses.replace(total.moments, n_samples=rows.shape[1]), levels)
    counts = [len(column) for column in parts]
    assert isinstance(total.moments, Moments)
    levels = {key: _levels_of_columns(sums, counts) for key, sums in total.levels.items()}
    return CellSums(_of_columns(total.moments, counts), levels)


def _on_grids(
    values: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    exponents: NDArray[np.int64],
    weight_exponent: int | None,
    categories: Sequence[LevelCodes],
    orders: Mapping[Key, int],
) -> CellSums:
    """The sums of values that lie on their grids."""
    accumulator = MomentsAccumulator(exponents, weight_exponent)
    levels = LevelAccumulators(orders, exponents, weight_exponent)
    accumulator.add(values, weights, levels=levels.rows(categories) if orders else None)
    return CellSums(accumulator.moments(), levels.sums())


def _of_columns(parts: Moments, counts: list[int]) -> Moments:
    """The sums of columns from those of their parts, which stand side by side: so many of each."""
    first = np.cumsum([0, *counts[:-1]])
    exponents = np.minimum.reduceat(parts.exponents, first)
    fine = parts.on_grid(np.repeat(exponents, counts), parts.weight_exponent)
    sums = np.add.reduceat(fine.sums, first)
    products = np.add.reduceat(np.add.reduceat(fine.products, first, axis=0), first, axis=1)
    return dataclasses.replace(fine, sums=sums, products=products, exponents=exponents)


def _levels_of_columns(parts: LevelSums, counts: list[int]) -> LevelSums:
    """As `_of_columns`, by level."""
    first = np.cumsum([0, *counts[:-1]])
    exponents = np.minimum.reduceat(parts.exponents, first)
    fine = parts.on_grid(np.repeat(exponents, counts), parts.weight_exponent)
    sums, products = fine.sums, fine.products
    if parts.order > 0:
        sums = np.add.reduceat(sums, first, axis=1)
    if parts.order > 1:
        products = np.add.reduceat(np.add.reduceat(products, first, axis=1), first, axis=2)
    return dataclasses.replace(fine, sums=sums, products=products, exponents=exponents)


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
