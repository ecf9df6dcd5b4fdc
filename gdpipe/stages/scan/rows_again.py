"""Results of the second scan: of fitted rows, to compare with their sums; or of new rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.design import Design
from gdpipe.model import Unseen
from gdpipe.numerics.rows.density import Density, DensityAccumulator, DensityGrid
from gdpipe.numerics.rows.prediction_error import error_sums
from gdpipe.numerics.rows.probe import Probe
from gdpipe.numerics.rows.residuals import ResidualAccumulator, ResidualGrids, ResidualSums
from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator
from gdpipe.source.columns import Block
from gdpipe.stages.scan.row_sums import Account, used_rows
from gdpipe.stages.scan.unseen import UnseenCounts


@dataclass(frozen=True, slots=True, eq=False)
class RowsSpec:
    """The settings by which `RowsAgain` is gathered.

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
    """Sums of rows that were read again; + joins them in input order.

    Attributes:
        residuals: Sums over the rows used.
        probe: Sums of the probe's values over the same rows.
        account: What became of all rows.
        density: Where the rows used lie; None where no pictures are made.
    """

    residuals: ResidualSums
    probe: Moments
    account: Account
    density: Density | None

    def __add__(self, other: "RowsAgain") -> "RowsAgain":
        return RowsAgain(
            self.residuals + other.residuals,
            self.probe + other.probe,
            self.account + other.account,
            self.density + other.density if self.density and other.density else None,
        )


class RowsAgainAccumulator:
    """Gathers `RowsAgain` of consecutive rows. One thread's; not to be shared."""

    def __init__(self, spec: RowsSpec) -> None:
        self._spec = spec
        self._residuals = ResidualAccumulator(spec.grids, spec.means, spec.per_scale)
        self._probe = MomentsAccumulator(spec.probe.exponents, spec.grids.weight_exponent)
        self._density = DensityAccumulator(spec.density) if spec.density else None
        self._account = Account.zero(len(spec.design.columns) + 1 + spec.weighted)

    def add(self, block: Block, prediction: NDArray[np.float64], residual: NDArray[np.float64]) -> None:
        """Add rows: features, target and perhaps weight; predictions and residuals, shape (m,), in target units."""
        spec, columns = self._spec, block.numbers
        p = len(spec.design.columns)
        used = used_rows(block, weighted=spec.weighted)
        self._account += Account.of(block, used)
        weights = _rows(columns[-1], used) if spec.weighted else None
        terms = spec.design.number_values([_rows(column, used) for column in columns[:p]])
        self._residuals.add([terms[j] for j in spec.included], _rows(residual, used), weights)
        self._probe.add([spec.probe.values(terms, _rows(columns[p], used))], weights)
        if self._density is not None:
            self._density.add(*(_rows(line, used) for line in (prediction, columns[p], residual)))

    def rows(self) -> RowsAgain:
        """The results of the rows so far."""
        density = self._density.counts() if self._density else None
        return RowsAgain(self._residuals.sums(), self._probe.moments(), self._account, density)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSums:
    """Counts and sums over rows; + joins them in any order.

    Attributes:
        read: Rows that passed the filters.
        predicted: Rows with a prediction.
        missing: Rows in which each input of the design is null or NaN, shape (k,).
        unseen: Rows with a level that the fit has not seen.
        errors: The sums of `error_sums` over rows with a target and a prediction.
        overflowed: Rows with a target and a prediction that are not in `errors`: their residual is too large for
            float64.
    """

    read: int
    predicted: int
    missing: NDArray[np.int64]
    unseen: UnseenCounts
    errors: Moments
    overflowed: int

    @classmethod
    def zero(cls, n_inputs: int) -> "ScoreSums":
        """The sums of no rows."""
        none = np.empty(0)
        return cls(0, 0, np.zeros(n_inputs, np.int64), UnseenCounts({}, {}), error_sums(none, none), 0)

    @classmethod
    def of(
        cls,
        block: Block,
        unpredicted: NDArray[np.bool_] | None,
        unseen: list[Unseen],
        target: NDArray[np.float64] | None,
        residual: NDArray[np.float64],
    ) -> "ScoreSums":
        """The counts and sums of some rows.

        Args:
            block: The inputs, and the target if there is one.
            unpredicted: Rows without a prediction, shape (m,); None where all have one.
            unseen: The levels in them that the fit has not seen.
            target: Shape (m,); None where there is none.
            residual: Target - prediction, shape (m,).
        """
        m = len(residual)
        k = len(block.columns) - (target is not None)
        missing = np.zeros(k, np.int64) if block.missing is None else block.missing[:k].sum(axis=1, dtype=np.int64)
        predicted = m if unpredicted is None else m - int(unpredicted.sum())
        counts = UnseenCounts.of(unseen)
        if target is None:
            none = np.empty(0)
            return cls(m, predicted, missing, counts, error_sums(none, none), 0)
        left_out = either(unpredicted, block.missing_in(slice(k, k + 1)))
        finite = np.isfinite(residual)
        both = finite if left_out is None else finite & ~left_out
        overflowed = int((~finite if left_out is None else ~finite & ~left_out).sum())
        return cls(m, predicted, missing, counts, error_sums(target[both], residual[both]), overflowed)

    def __add__(self, other: "ScoreSums") -> "ScoreSums":
        return ScoreSums(
            self.read + other.read,
            self.predicted + other.predicted,
            self.missing + other.missing,
            self.unseen + other.unseen,
            self.errors + other.errors,
            self.overflowed + other.overflowed,
        )


def either(left: NDArray[np.bool_] | None, right: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """The rows of one or the other; None where neither has any."""
    return right if left is None else left if right is None else left | right


def _rows(column: NDArray[np.float64], used: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    return column if used is None else column[used]
