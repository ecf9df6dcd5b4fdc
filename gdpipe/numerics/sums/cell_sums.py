"""Sums over some rows: of all of them, and by level of categories."""

from collections.abc import Mapping
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
