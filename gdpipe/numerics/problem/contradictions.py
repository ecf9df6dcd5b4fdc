"""Conditions that the exact sums of any rows satisfy, to check sums that come from a file."""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.digits import MAX_BITS
from gdpipe.numerics.sums.levels import Key, LevelSums
from gdpipe.numerics.sums.moments import Moments


def contradictions(moments: Moments, largest: NDArray[np.float64], least_weight: float) -> Iterator[str]:
    """Reasons why no rows can have these sums; empty where some rows may. Later reasons may follow from the first.

    Every value is an integer in units of the grid, so the conditions are checked on integers, without rounding:
    ranges, and the Cauchy-Schwarz inequality cᵢⱼ² <= cᵢᵢ·cⱼⱼ of the centred sums cᵢⱼ = Σw·xᵢxⱼ·Σw - Σw·xᵢ·Σw·xⱼ.

    Args:
        moments: The sums of k columns.
        largest: The largest magnitude of each column, shape (k,); with weights theirs is the last, shape (k + 1,).
        least_weight: The smallest weight; infinite where there is no row.
    """
    n, weight, sums, products = moments.n_samples, moments.weight, moments.sums, moments.products
    k = len(sums)
    if not n:
        if weight or sums.any() or products.any() or largest.any() or math.isfinite(least_weight):
            yield "sums of no row"
        return
    exponents = moments.exponents.tolist()
    least, most = 1, 1
    if len(largest) > k:
        exponents.append(moments.weight_exponent)
        if not 0 < least_weight <= largest[k]:
            yield f"weights from {least_weight:g} to {largest[k]:g}"
        least = math.floor(Fraction(least_weight) / Fraction(2) ** moments.weight_exponent)
    for j, (size, exponent) in enumerate(zip(largest.tolist(), exponents, strict=True)):
        # the highest digit is rounded, so a grid takes values slightly above its 62 bits
        if not 0 <= size <= math.ldexp(1.0 + 2.0**-20, MAX_BITS + exponent):
            yield f"largest magnitude {size:g} of column {j + 1} is outside its grid"
    reach = [Fraction(size) / Fraction(2) ** e for size, e in zip(largest.tolist(), exponents, strict=True)]
    if len(largest) > k:
        most = math.ceil(reach[k])
    if not max(n, 0) * least <= weight <= n * most:
        yield f"weight {weight} of {n} rows"
    for j in range(k):
        low, high, square = math.floor(reach[j]), math.ceil(reach[j]), products[j, j]
        # the row with the largest value contributes that value squared
        if abs(sums[j]) > weight * high or not least * low * low <= square <= weight * high * high:
            yield f"sums of column {j + 1} are out of range"
    centred = weight * products - np.outer(sums, sums)
    variances = centred.diagonal()
    if (variances < 0).any():
        yield f"variance of column {int(np.argmax(variances < 0)) + 1} is negative"
    beyond = centred * centred > np.outer(variances, variances)
    if beyond.any():
        i, j = np.argwhere(beyond)[0].tolist()
        yield f"covariance of columns {i + 1} and {j + 1} is larger than their variances allow"


def level_contradictions(moments: Moments, levels: Mapping[Key, LevelSums]) -> Iterator[str]:
    """Reasons why no rows with these sums can have these by level; empty where some rows may.

    Args:
        moments: The sums of all rows.
        levels: Those by level; each category that is in a combination is there alone, too.
    """
    for key, sums in levels.items():
        found = (sums.n_samples.sum(), sums.weight.sum(), sums.sums.sum(axis=0), sums.products.sum(axis=0))
        expected = (moments.n_samples, moments.weight, moments.sums, moments.products)
        if any(np.size(a) and np.any(a != b) for a, b in zip(found, expected, strict=True)):
            yield f"sums by level of {key} do not add up to those of all rows"
        if (sums.n_samples < 1).any() or (sums.weight < 0).any():
            yield f"a level of {key} has no row, or a negative weight"
        if (
            not moments.weight_exponent
            and (sums.weight != sums.n_samples).any()
            and moments.weight == moments.n_samples
        ):
            yield f"rows without weights of a level of {key} have one"
        squares = sums.products.diagonal(axis1=1, axis2=2) * sums.weight[:, None]
        if squares.size and (squares < sums.sums * sums.sums).any():
            yield f"a variance in a level of {key} is negative"
        for place, category in enumerate(key) if len(key) > 1 else ():
            margin: dict[str, tuple[int, int]] = {}
            for labels, n, weight in zip(sums.labels, sums.n_samples.tolist(), sums.weight.tolist(), strict=True):
                rows, weights = margin.get(labels[place], (0, 0))
                margin[labels[place]] = rows + n, weights + weight
            alone = levels[(category,)]
            counts = zip(alone.n_samples.tolist(), alone.weight.tolist(), strict=True)
            if margin != dict(zip((label for (label,) in alone.labels), counts, strict=True)):
                yield f"levels of {key} do not add up to those of {(category,)}"
