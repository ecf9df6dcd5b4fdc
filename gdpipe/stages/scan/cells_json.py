"""Sums over the rows of a cell as JSON for the cache, and whether rows can have them."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.cell_sums import CellSums
from gdpipe.numerics.sums.levels import Key
from gdpipe.numerics.sums.moments import Moments
from gdpipe.stages.scan.levels_json import integers, levels_from_json, levels_to_json


def cell_to_json(cell: CellSums) -> dict[str, Any]:
    """Exact sums as JSON holds them: integers, lists in the order of the columns, triangles row by row."""
    moments = cell.moments
    assert isinstance(moments, Moments)
    return {
        "used": moments.n_samples,
        "weight": moments.weight,
        "sums": moments.sums.tolist(),
        "products": moments.products[np.triu_indices(len(moments.sums))].tolist(),
        "levels": levels_to_json(cell.levels),
    }


def cell_from_json(
    entry: dict[str, Any], exponents: NDArray[np.int64], weight_exponent: int, orders: Mapping[Key, int]
) -> CellSums:
    """The sums that `cell_to_json` wrote.

    Args:
        entry: What it wrote.
        exponents: The grid, shape (k,).
        weight_exponent: That of the weights.
        orders: The keys of the sums by level, and the order of each.

    Raises:
        ArithmeticError, LookupError, TypeError, ValueError: It is of other columns, or damaged.
    """
    k = len(exponents)
    products, upper = np.full((k, k), 0, object), np.triu_indices(k)
    products[upper] = products.T[upper] = integers(entry["products"], len(upper[0]))
    [weight] = integers([entry["weight"]], 1)
    sums = np.array(integers(entry["sums"], k), object)
    moments = Moments(count(entry["used"]), weight, sums, products, exponents, weight_exponent)
    return CellSums(moments, levels_from_json(entry["levels"], orders, exponents, weight_exponent))


def cell_contradictions(cell: CellSums) -> Iterator[str]:
    """Reasons why no part of the rows can have these sums; empty where some may."""
    moments = cell.moments
    assert isinstance(moments, Moments)
    n, weight, squares = moments.n_samples, moments.weight, moments.products.diagonal()
    # on a coarse grid weights may be rounded to nothing
    if n < 0 or weight < 0 or (not n and (weight or moments.sums.any() or moments.products.any())):
        yield f"{n:,} rows of a cell weigh {weight:,}"
    elif (squares * weight < moments.sums * moments.sums).any():
        yield "a variance in a cell is negative"
    for key, sums in cell.levels.items():
        if (sums.n_samples < 1).any() or sums.n_samples.sum() != n or sums.weight.sum() != weight:
            yield f"sums by level of {key} do not add up to those of their cell"


def count(value: object) -> int:
    """A count of rows.

    Raises:
        ValueError: It is none.
    """
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is no count of rows")
    return value
