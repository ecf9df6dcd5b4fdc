"""Sums over the rows of a cell, such as a fold; as JSON for the cache, too."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.levels import Key, LevelSums
from gdpipe.numerics.sums.moments import Moments
from gdpipe.stages.scan.levels_json import integers, levels_from_json, levels_to_json


@dataclass(frozen=True, slots=True, eq=False)
class CellSums:
    """Sums over some of the rows used; + and - are exact for exact sums.

    Attributes:
        moments: Over the rows.
        levels: By the levels of each key of the design's `orders`.
    """

    moments: Moments | Float64Moments
    levels: Mapping[Key, LevelSums] = field(default_factory=dict)

    def __add__(self, other: "CellSums") -> "CellSums":
        return CellSums(
            self.moments + other.moments,  # type: ignore[operator]  # both are of one kind: that of the run
            {key: sums + other.levels[key] for key, sums in self.levels.items()},
        )

    def __sub__(self, part: "CellSums") -> "CellSums":
        assert isinstance(self.moments, Moments)  # rounded sums have no exact difference
        assert isinstance(part.moments, Moments)
        levels = {key: sums - part.levels[key] for key, sums in self.levels.items()}
        return CellSums(self.moments - part.moments, levels)

    def to_json(self) -> dict[str, Any]:
        """Exact sums as JSON holds them: integers, lists in the order of the columns, triangles row by row."""
        moments = self.moments
        assert isinstance(moments, Moments)
        return {
            "used": moments.n_samples,
            "weight": moments.weight,
            "sums": moments.sums.tolist(),
            "products": moments.products[np.triu_indices(len(moments.sums))].tolist(),
            "levels": levels_to_json(self.levels),
        }

    @classmethod
    def from_json(
        cls, entry: dict[str, Any], exponents: NDArray[np.int64], weight_exponent: int, orders: Mapping[Key, int]
    ) -> "CellSums":
        """The sums that `to_json` wrote.

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
        return cls(moments, levels_from_json(entry["levels"], orders, exponents, weight_exponent))

    def contradictions(self) -> Iterator[str]:
        """Reasons why no part of the rows can have these sums; empty where some may."""
        moments = self.moments
        assert isinstance(moments, Moments)
        n, weight, squares = moments.n_samples, moments.weight, moments.products.diagonal()
        # on a coarse grid weights may be rounded to nothing
        if n < 0 or weight < 0 or (not n and (weight or moments.sums.any() or moments.products.any())):
            yield f"{n:,} rows of a cell weigh {weight:,}"
        elif (squares * weight < moments.sums * moments.sums).any():
            yield "a variance in a cell is negative"
        for key, sums in self.levels.items():
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
