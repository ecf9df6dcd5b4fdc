"""Sums over some rows: of all of them, and by level of categories."""

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.levels import Key, LevelSums
from gdpipe.numerics.sums.moments import Moments


@dataclass(frozen=True, slots=True, eq=False)
class CellSums:
    """Sums over the rows of a cell, such as a fold, or over all rows; + and - are exact for exact sums.

    Attributes:
        moments: Over the rows.
        levels: By the levels of each key of the design's `orders`.
    """

    moments: Moments | BlockMoments | Float64Moments
    levels: Mapping[Key, LevelSums] = field(default_factory=dict)

    @classmethod
    def total(cls, parts: Sequence["CellSums"]) -> "CellSums":
        """The sums of the rows of one or more parts."""
        levels = {key: LevelSums.total([part.levels[key] for part in parts]) for key in parts[0].levels}
        # all are of one kind: that of the run
        return cls(functools.reduce(operator.add, (part.moments for part in parts)), levels)

    def __add__(self, other: "CellSums") -> "CellSums":
        return CellSums.total([self, other])

    def __sub__(self, part: "CellSums") -> "CellSums":
        assert isinstance(self.moments, Moments)  # rounded sums have no exact difference
        assert isinstance(part.moments, Moments)
        levels = {key: sums - part.levels[key] for key, sums in self.levels.items()}
        return CellSums(self.moments - part.moments, levels)
