"""What the second scan learns of the rows, to be held against the sums of the first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.design import Design
from gdpipe.numerics.rows.density import Density, DensityAccumulator, DensityGrid
from gdpipe.numerics.rows.probe import Probe
from gdpipe.numerics.rows.residuals import ResidualAccumulator, ResidualGrids, ResidualSums
from gdpipe.numerics.sums.moments import Moments
from gdpipe.source.columns import Numbers
from gdpipe.stages.scan.row_sums import Account, used_rows


@dataclass(frozen=True, slots=True, eq=False)
class RowsSpec:
    """How `RowsAgain` is gathered.

    Attributes:
        design: The terms.
        included: Indices of those whose scores are summed.
        means: Of these, shape (p,).
        per_scale: The inverse of their scales, shape (p,).
        grids: Of the residuals' sums.
        probe: The line beside the model.
        weighted: Whether the last column is the weight.
        density: The grid of the report's pictures; None without them.
    """

    design: Design
    included: tuple[int, ...]
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
    def zero(cls, spec: RowsSpec) -> "RowsAgain":
        """What no rows say."""
        return RowsAgainAccumulator(spec).rows()

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
        spec: How.
    """

    def __init__(self, spec: RowsSpec) -> None:
        self._spec = spec
        self._residuals = ResidualAccumulator(spec.grids, spec.means, spec.per_scale)
        self._probe = spec.probe.accumulator()
        self._density = DensityAccumulator(spec.density) if spec.density else None
        self._account = Account.zero(len(spec.design.columns) + 1 + spec.weighted)

    def add(self, block: Numbers, prediction: NDArray[np.float64], residual: NDArray[np.float64]) -> None:
        """Add rows.

        Args:
            block: Features, target and, where there is one, the weight.
            prediction: Shape (m,), in target units.
            residual: Shape (m,), likewise.
        """
        spec, columns = self._spec, block.columns
        p = len(spec.design.columns)
        used = used_rows(block, weighted=spec.weighted)
        self._account += Account.of(block, used)
        weights = _rows(columns[-1], used) if spec.weighted else None
        terms = spec.design.values([_rows(column, used) for column in columns[:p]])
        self._residuals.add([terms[j] for j in spec.included], _rows(residual, used), weights)
        self._probe.add([spec.probe.values(terms, _rows(columns[p], used))], weights)
        if self._density is not None:
            self._density.add(*(_rows(line, used) for line in (prediction, columns[p], residual)))

    def rows(self) -> RowsAgain:
        """What the rows so far say."""
        density = self._density.counts() if self._density else None
        return RowsAgain(self._residuals.sums(), self._probe.moments(), self._account, density)


def _rows(column: NDArray[np.float64], used: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    return column if used is None else column[used]
