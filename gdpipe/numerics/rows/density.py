"""Two-dimensional histograms of prediction and target, and of prediction and residual, on cells that are given."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DensityGrid:
    """The cells; rows beyond them are counted in the outermost.

    Attributes:
        centre: The middle of the cells of target and prediction, in target units: the target's mean.
        spread: The target's standard deviation, in target units.
        typical_residual: The RMSE, in target units.
        spreads: Half the range of the cells of target and prediction, in multiples of `spread`.
        residuals: Half the range of the cells of the residual, in multiples of `typical_residual`.
        cells: The number of cells in each direction.
    """

    centre: float
    spread: float
    typical_residual: float
    spreads: float = 4.0
    residuals: float = 5.0
    cells: int = 80

    @property
    def target_range(self) -> tuple[float, float]:
        """The range of the cells of target and prediction, in target units."""
        return self.centre - self.spreads * self.spread, self.centre + self.spreads * self.spread

    @property
    def residual_range(self) -> tuple[float, float]:
        """The range of the cells of the residual, in target units."""
        return -self.residuals * self.typical_residual, self.residuals * self.typical_residual


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """The number of rows in each cell; + joins the counts of parts of the input. Weights do not count.

    Attributes:
        grid: The cells.
        targets: Counts by prediction (first axis) and target, shape (cells, cells).
        residuals: Counts by prediction (first axis) and residual, shape (cells, cells).
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
    """Counts rows, in one thread."""

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
            # half the time of astype; a floor, as no number is negative
            np.copyto(cell, line + place, casting="unsafe")
            np.add(total, np.bincount(cell, minlength=len(total)), out=total)

    def _place(self, values: NDArray[np.float64], reach: tuple[float, float]) -> NDArray[np.float64]:
        """Each value's distance from the low end in cells, from 0 to the last cell; not rounded."""
        low, high = reach
        place = values - low
        place *= self._grid.cells / (high - low)
        clipped: NDArray[np.float64] = np.clip(place, 0, self._grid.cells - 1, out=place)
        return clipped

    def counts(self) -> Density:
        """The counts so far."""
        square = (self._grid.cells, self._grid.cells)
        return Density(self._grid, self._targets.reshape(square).copy(), self._residuals.reshape(square).copy())
