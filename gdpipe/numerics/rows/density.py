"""Two-dimensional histograms of prediction, target, residual and features, on cells that are given."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns

# rows that are counted at once: few enough to stay in a core's own cache
BLOCK_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class FeatureGrid:
    """The cells of a feature that is a number.

    Attributes:
        number: Its place among the numbers of the rows.
        term: Its place among the terms that take part in the fit.
        centre: The middle of the cells, in its own units: its mean.
        spread: Its standard deviation, in its own units.
    """

    number: int
    term: int
    centre: float
    spread: float

    def reach(self, spreads: float) -> tuple[float, float]:
        """The range of the cells, in the feature's units, of so many `spread` to either side."""
        return self.centre - spreads * self.spread, self.centre + spreads * self.spread

    @property
    def has_cells(self) -> bool:
        """Whether float64 has numbers between the ends, or none as the spread is nothing beside the centre."""
        low, high = self.reach(1.0)
        return bool(high - low > 2**10 * np.spacing(abs(self.centre)))


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
        features: The features whose residuals are counted; of a single one, which is all the fit has, also the target.
        feature_cells: The number of cells of a feature; for the target as many as the target has.
        alone: Whether the fit has one term, the one of `features`.
    """

    centre: float
    spread: float
    typical_residual: float
    spreads: float = 4.0
    residuals: float = 5.0
    cells: int = 80
    features: tuple[FeatureGrid, ...] = ()
    feature_cells: int = 24
    alone: bool = False

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
        by_feature: Counts by feature (first axis), its value and residual, shape (k, feature_cells, cells).
        line: Counts by the value of the only feature (first axis) and target, shape (cells, cells), or (0, 0) where
            there are more.
    """

    grid: DensityGrid
    targets: NDArray[np.int64]
    residuals: NDArray[np.int64]
    by_feature: NDArray[np.int64]
    line: NDArray[np.int64]

    def __add__(self, other: "Density") -> "Density":
        return Density(
            self.grid,
            self.targets + other.targets,
            self.residuals + other.residuals,
            self.by_feature + other.by_feature,
            self.line + other.line,
        )

    @property
    def rows(self) -> int:
        """Rows counted."""
        return int(self.residuals.sum())


class DensityAccumulator:
    """Counts rows, in one thread."""

    def __init__(self, grid: DensityGrid) -> None:
        self._grid = grid
        self._targets, self._residuals = np.zeros((2, grid.cells * grid.cells), np.int64)
        self._by_feature = np.zeros((len(grid.features), grid.cells * grid.feature_cells), np.int64)
        self._line = np.zeros(grid.cells * grid.cells if grid.alone else 0, np.int64)
        # four lines of a block, and its cells: new arrays for each would take as long as the counting
        self._scratch, self._cell = np.empty((4, BLOCK_ROWS)), np.empty(BLOCK_ROWS, np.intp)

    def add(
        self,
        prediction: NDArray[np.float64],
        target: NDArray[np.float64],
        residual: NDArray[np.float64],
        numbers: FloatColumns = (),
    ) -> None:
        """Add rows: three arrays of shape (m,), in target units, and the rows' numbers, of shape (m,) each."""
        features = [numbers[feature.number] for feature in self._grid.features]
        for start in range(0, len(prediction), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            self._add(prediction[block], target[block], residual[block], [x[block] for x in features])

    def _add(
        self,
        prediction: NDArray[np.float64],
        target: NDArray[np.float64],
        residual: NDArray[np.float64],
        features: list[NDArray[np.float64]],
    ) -> None:
        grid = self._grid
        across, up, beside, place = self._scratch[:, : len(prediction)]
        _place(prediction, grid.target_range, grid.cells, across)
        _first_of_line(across, grid.cells)
        _place(target, grid.target_range, grid.cells, up)
        _place(residual, grid.residual_range, grid.cells, beside)
        self._count(self._targets, np.add(across, up, out=place))
        self._count(self._residuals, np.add(across, beside, out=place))
        if features:
            # only now, as the cell of a sum is not that of its parts
            _first_of_line(beside, grid.feature_cells)
        for of, values, total in zip(grid.features, features, self._by_feature, strict=True):
            _place(values, of.reach(grid.spreads), grid.feature_cells, place)
            self._count(total, np.add(place, beside, out=place))
        if grid.alone:
            _place(features[0], grid.features[0].reach(grid.spreads), grid.cells, across)
            _first_of_line(across, grid.cells)
            self._count(self._line, np.add(across, up, out=across))

    def _count(self, total: NDArray[np.int64], place: NDArray[np.float64]) -> None:
        """Add a row to the cell at each place."""
        cell = self._cell[: len(place)]
        # half the time of astype; a floor, as no number is negative
        np.copyto(cell, place, casting="unsafe")
        np.add(total, np.bincount(cell, minlength=len(total)), out=total)

    def counts(self) -> Density:
        """The counts so far."""
        grid = self._grid
        square = (grid.cells, grid.cells)
        by_feature = self._by_feature.reshape(-1, grid.cells, grid.feature_cells).swapaxes(1, 2)
        line = self._line.reshape(square if grid.alone else (0, 0)).copy()
        return Density(
            grid, self._targets.reshape(square).copy(), self._residuals.reshape(square).copy(), by_feature.copy(), line
        )


def _place(values: NDArray[np.float64], reach: tuple[float, float], cells: int, place: NDArray[np.float64]) -> None:
    """Write each value's distance from the low end in cells, from 0 to the last cell, not rounded, into `place`."""
    low, high = reach
    np.subtract(values, low, out=place)
    np.multiply(place, cells / (high - low), out=place)
    # faster than np.clip
    np.maximum(place, 0, out=place)
    np.minimum(place, cells - 1, out=place)


def _first_of_line(place: NDArray[np.float64], cells: int) -> None:
    """Make the number of the first cell of its line out of each place, where a line has so many cells."""
    np.floor(place, out=place)
    np.multiply(place, cells, out=place)
