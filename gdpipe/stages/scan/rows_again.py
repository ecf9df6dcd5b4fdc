"""What the second scan learns of the rows, to be held against the sums of the first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.rows.density import Density, DensityAccumulator, DensityGrid
from gdpipe.numerics.rows.probe import Probe
from gdpipe.numerics.rows.residuals import ResidualAccumulator, ResidualGrids, ResidualSums
from gdpipe.numerics.sums.moments import Moments
from gdpipe.source.columns import Numbers
from gdpipe.stages.scan.row_sums import Account, used_rows


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """How it is gathered: which features count, standardized how, on which grids; the probe; the pictures' grid.

    Attributes:
        weighted: Whether the last column is the weight.
    """

    kept: tuple[int, ...]
    means: NDArray[np.float64]
    per_scale: NDArray[np.float64]
    grids: ResidualGrids
    probe: Probe
    weighted: bool
    density: DensityGrid | None


@dataclass(frozen=True, slots=True, eq=False)
class RowsAgain:
    """What some rows say; joined in input order by +.

    Attributes:
        residuals: Sums over the rows used.
        probe: Sums of the probe's values over the same rows.
        account: What became of all rows.
        density: Where the rows used lie; None where nobody asked.
    """

    residuals: ResidualSums
    probe: Moments
    account: Account
    density: Density | None

    @classmethod
    def zero(cls, check: Check, n_columns: int) -> "RowsAgain":
        """What no rows say."""
        return RowsAgainAccumulator(check, n_columns).rows()

    def __add__(self, other: "RowsAgain") -> "RowsAgain":
        return RowsAgain(
            self.residuals + other.residuals,
            self.probe + other.probe,
            self.account + other.account,
            self.density + other.density if self.density and other.density else None,
        )


class RowsAgainAccumulator:
    """Gathers `RowsAgain` of consecutive rows. One thread's; not to be shared.

    Args:
        check: How.
        n_columns: Features, target and, where there is one, the weight.
    """

    def __init__(self, check: Check, n_columns: int) -> None:
        self._check = check
        self._residuals = ResidualAccumulator(check.grids, check.means, check.per_scale)
        self._probe = check.probe.accumulator()
        self._density = DensityAccumulator(check.density) if check.density else None
        self._account = Account.zero(n_columns)

    def add(self, block: Numbers, prediction: NDArray[np.float64], residual: NDArray[np.float64]) -> None:
        """Add rows.

        Args:
            block: Features, target and, where there is one, the weight.
            prediction: Shape (m,), in target units.
            residual: Shape (m,), likewise.
        """
        check, columns = self._check, block.columns
        p = len(columns) - 1 - check.weighted
        used = used_rows(block, weighted=check.weighted)
        self._account += Account.of(block, used)
        weights = _rows(columns[-1], used) if check.weighted else None
        features = [_rows(column, used) for column in columns[:p]]
        self._residuals.add([features[j] for j in check.kept], _rows(residual, used), weights)
        self._probe.add([check.probe.values(features, _rows(columns[p], used))], weights)
        if self._density is not None:
            self._density.add(*(_rows(line, used) for line in (prediction, columns[p], residual)))

    def rows(self) -> RowsAgain:
        """What the rows so far say."""
        density = self._density.counts() if self._density else None
        return RowsAgain(self._residuals.sums(), self._probe.moments(), self._account, density)


def _rows(column: NDArray[np.float64], used: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    return column if used is None else column[used]
