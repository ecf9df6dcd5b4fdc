"""Results of the second scan: of fitted rows, to compare with their sums; or of new rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.design import Design, in_rows
from gdpipe.model import Model, Unseen
from gdpipe.numerics import FloatColumns
from gdpipe.numerics.rows.density import Density, DensityAccumulator, DensityGrid
from gdpipe.numerics.rows.level_cells import Codes
from gdpipe.numerics.rows.prediction_error import error_sums
from gdpipe.numerics.rows.probe import Probe
from gdpipe.numerics.rows.residuals import ResidualAccumulator, ResidualGrids, ResidualSums
from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator
from gdpipe.source.columns import Block
from gdpipe.stages.scan.row_sums import Account, used_rows
from gdpipe.stages.scan.unseen import UnseenCounts
from gdpipe.stages.scan.worst_rows import WorstRows


@dataclass(frozen=True, slots=True, eq=False)
class RowsSpec:
    """The settings by which `RowsAgain` is gathered.

    Attributes:
        design: The features and their terms.
        included: Indices of the numbers that are terms by themselves and take part in the fit.
        means: Of these, shape (p,).
        per_scale: The inverse of their scales, shape (p,).
        grids: Of the residuals' sums.
        probe: The line beside the model.
        weighted: Whether the last column is the weight.
        density: The grid of the report's pictures; None without them.
        held_out: The grid of the residuals of rows that are held out, shape (1,).
    """

    design: Design
    included: tuple[int, ...]
    means: NDArray[np.float64]
    per_scale: NDArray[np.float64]
    grids: ResidualGrids
    probe: Probe
    weighted: bool
    density: DensityGrid | None
    held_out: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RowsAgain:
    """Sums of rows that were read again; + joins them in input order.

    Attributes:
        residuals: Sums over the rows used, without those that are held out.
        probe: Sums of the probe's values over the same rows.
        account: What became of all rows.
        density: Where the rows used lie; None where no pictures are made.
        held_out: Sums of the residuals of the rows that are held out, in the unit of the others. A level that the fit
            has not seen counts as the reference there.
        worst: The rows with the largest residuals; empty where no pictures are made.
    """

    residuals: ResidualSums
    probe: Moments
    account: Account
    density: Density | None
    held_out: Moments
    worst: WorstRows

    def __add__(self, other: "RowsAgain") -> "RowsAgain":
        return RowsAgain(
            self.residuals + other.residuals,
            self.probe + other.probe,
            self.account + other.account,
            self.density + other.density if self.density and other.density else None,
            self.held_out + other.held_out,
            self.worst + other.worst,
        )


class RowsAgainAccumulator:
    """Gathers `RowsAgain` of consecutive rows. One thread's; not to be shared."""

    def __init__(self, spec: RowsSpec) -> None:
        self._spec = spec
        self._residuals = ResidualAccumulator(spec.grids, spec.means, spec.per_scale, spec.included)
        self._probe = MomentsAccumulator(spec.probe.exponents, spec.grids.weight_exponent)
        self._density = DensityAccumulator(spec.density) if spec.density else None
        self._worst = WorstRows()
        self._account = Account.zero(len(spec.design.inputs) + 1 + spec.weighted)
        self._held_out = MomentsAccumulator(spec.held_out, spec.grids.weight_exponent)
        self._line = Model(spec.design, spec.probe.coef, spec.probe.intercept)

    def add(
        self,
        block: Block,
        numbers: FloatColumns,
        codes: Sequence[Codes],
        prediction: NDArray[np.float64],
        residual: NDArray[np.float64],
        model: Model,
        held_out: NDArray[np.bool_] | None = None,
        keys: Sequence[tuple[str, pa.Array]] = (),
    ) -> None:
        """Add rows.

        Args:
            block: The design's inputs, the target, and perhaps the weight.
            numbers: The design's numbers, shape (m,) each.
            codes: The level of each of the design's categories, shape (m,) each; -1 where it is unknown.
            prediction: Shape (m,), in target units.
            residual: Shape (m,), in target units.
            model: That of the predictions.
            held_out: Rows that are held out of the fit, shape (m,); None where none is.
            keys: What finds each row, by name, of length m.
        """
        spec, (target, *weight) = self._spec, block.columns[len(self._spec.design.inputs) :]
        assert isinstance(target, np.ndarray)
        used = used_rows(block, weighted=spec.weighted)
        if codes and (unknown := np.isnan(prediction)).any():
            # a level that no row of the first scan had: such a row is left out, so the counts differ if it was complete
            if held_out is not None:
                unknown &= ~held_out
            used = ~unknown if used is None else used & ~unknown
        n_held_out = 0
        if held_out is not None:
            held_out = held_out if used is None else held_out & used
            n_held_out = int(held_out.sum())
        self._account += Account.of(block, used, n_held_out)
        weights = weight[0] if spec.weighted else None
        assert weights is None or isinstance(weights, np.ndarray)
        if held_out is not None and n_held_out:
            self._add_held_out(held_out, numbers, codes, target, weights, model)
            used = ~held_out if used is None else used & ~held_out
        weights = None if weights is None else in_rows(weights, used)
        numbers = [in_rows(number, used) for number in numbers]
        codes = codes if used is None else [of_category[used] for of_category in codes]
        self._residuals.add(numbers, in_rows(residual, used), weights, codes)
        line = self._line.of_values(numbers, codes)
        self._probe.add([spec.probe.values(line, in_rows(target, used))], weights)
        if self._density is not None:
            lines = [in_rows(each, used) for each in (prediction, target, residual)]
            self._density.add(lines[0], lines[1], lines[2], numbers)
            self._worst = self._worst.joined_by(keys, lines[1], lines[0], lines[2], used)

    def _add_held_out(
        self,
        rows: NDArray[np.bool_],
        numbers: FloatColumns,
        codes: Sequence[Codes],
        target: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        model: Model,
    ) -> None:
        of_rows = [of_category[rows] for of_category in codes]
        prediction = model.with_reference.of_values([x[rows] for x in numbers], of_rows)
        residual = (target[rows] - prediction) / self._spec.grids.unit
        self._held_out.add([residual], None if weights is None else weights[rows])

    def rows(self) -> RowsAgain:
        """The results of the rows so far."""
        density = self._density.counts() if self._density else None
        held_out = self._held_out.moments()
        return RowsAgain(self._residuals.sums(), self._probe.moments(), self._account, density, held_out, self._worst)


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
