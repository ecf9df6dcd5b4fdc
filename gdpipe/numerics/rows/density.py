"""How many rows lie where: predictions against truth and against residuals, counted on cells known beforehand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DensityGrid:
    """The cells; what lies beyond them is counted in the outermost.

    Attributes:
        centre: The middle of the cells of target and prediction, in target units: the target's mean.
        spread: The target's standard deviation, in target units.
        typical_residual: The RMSE, in target units.
        spreads: How many `spread` the cells of target and prediction reach to either side of `centre`.
        residuals: How many `typical_residual` the cells of the residual reach to either side of 0.
        cells: In each direction.
    """

    centre: float
    spread: float
    typical_residual: float
    spreads: float = 4.0
    residuals: float = 5.0
    cells: int = 80

    @property
    def target_range(self) -> tuple[float, float]:
        """Where the cells of target and prediction begin and end, in target units."""
        return self.centre - self.spreads * self.spread, self.centre + self.spreads * self.spread

    @property
    def residual_range(self) -> tuple[float, float]:
        """Where the cells of the residual begin and end, in target units."""
        return -self.residuals * self.typical_residual, self.residuals * self.typical_residual

    def zero(self) -> "Density":
        """The counts of no rows."""
        none = np.zeros((self.cells, self.cells), np.int64)
        return Density(self, none, none)


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """Rows a cell; counts of stretches of the input are joined by +. A row counts once, whatever its weight.

    Attributes:
        grid: The cells.
        targets: Shape (cells, cells): a line for each cell of the prediction, a column for each of the target.
        residuals: Shape (cells, cells): a line for each cell of the prediction, a column for each of the residual.
    """

    grid: DensityGrid
    targets: NDArray[np.int64]
    residuals: NDArray[np.int64]

    def __add__(self, other: "Density") -> "Density":
        return Density(self.grid, self.targets + other.targets, self.residuals + other.residuals)

    @property
    def rows(self) -> int:
        """Rows counted."""
        return int(self.residuals.sum())


class DensityAccumulator:
    """Counts rows. One thread's; not to be shared."""

    def __init__(self, grid: DensityGrid) -> None:
        self._grid = grid
        self._targets, self._residuals = np.zeros((2, grid.cells * grid.cells), np.int64)

    def add(self, prediction: NDArray[np.float64], target: NDArray[np.float64], residual: NDArray[np.float64]) -> None:
        """Add rows: three arrays of shape (m,), in target units."""
        line = self._place(prediction, self._grid.target_range)
        np.floor(line, out=line)
        line *= self._grid.cells
        cell = np.empty(len(line), np.intp)
        for total, place in (
            (self._targets, self._place(target, self._grid.target_range)),
            (self._residuals, self._place(residual, self._grid.residual_range)),
        ):
            np.copyto(cell, line + place, casting="unsafe")  # half the time of astype, and all are positive: a floor
            np.add(total, np.bincount(cell, minlength=len(total)), out=total)

    def _place(self, values: NDArray[np.float64], reach: tuple[float, float]) -> NDArray[np.float64]:
        """How many cells from the first, before rounding down; from 0 to the last."""
        low, high = reach
        place = values - low
        place *= self._grid.cells / (high - low)
        clipped: NDArray[np.float64] = np.clip(place, 0, self._grid.cells - 1, out=place)
        return clipped

    def counts(self) -> Density:
        """The counts so far."""
        square = (self._grid.cells, self._grid.cells)
        return Density(self._grid, self._targets.reshape(square).copy(), self._residuals.reshape(square).copy())
