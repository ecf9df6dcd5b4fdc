"""Counts and sums of scoring: the rows with a prediction, and their errors where the target is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.rows.prediction_error import error_sums
from gdpipe.numerics.sums.moments import Moments
from gdpipe.source.columns import Numbers, is_numeric
from gdpipe.source.source import Source
from gdpipe.source.source_file import SourceFile


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSums:
    """Counts and sums over rows; + joins them in any order.

    Attributes:
        read: Rows that passed the filters.
        predicted: Rows with a prediction.
        missing: Rows in which each feature is null or NaN, shape (p,).
        errors: The sums of `error_sums` over rows with a target and a prediction.
        overflowed: Rows with a target and a prediction that are not in `errors`: their residual is too large for
            float64.
    """

    read: int
    predicted: int
    missing: NDArray[np.int64]
    errors: Moments
    overflowed: int

    @classmethod
    def zero(cls, n_features: int) -> "ScoreSums":
        """The sums of no rows."""
        none = np.empty(0)
        return cls(0, 0, np.zeros(n_features, np.int64), error_sums(none, none), 0)

    @classmethod
    def of(cls, block: Numbers, target: NDArray[np.float64] | None, residual: NDArray[np.float64]) -> "ScoreSums":
        """The counts and sums of some rows.

        Args:
            block: The features, and the target where there is one.
            target: The target, shape (m,); None where the rows have none.
            residual: The residuals, shape (m,).
        """
        m = len(residual)
        p = len(block.columns) - (target is not None)
        incomplete = block.missing_in(slice(p))
        missing = np.zeros(p, np.int64) if block.missing is None else block.missing[:p].sum(axis=1, dtype=np.int64)
        predicted = m if incomplete is None else m - int(incomplete.sum())
        if target is None:
            none = np.empty(0)
            return cls(m, predicted, missing, error_sums(none, none), 0)
        complete, finite = block.complete, np.isfinite(residual)
        both = finite if complete is None else finite & complete
        overflowed = int((~finite if complete is None else ~finite & complete).sum())
        return cls(m, predicted, missing, error_sums(target[both], residual[both]), overflowed)

    def __add__(self, other: "ScoreSums") -> "ScoreSums":
        return ScoreSums(
            self.read + other.read,
            self.predicted + other.predicted,
            self.missing + other.missing,
            self.errors + other.errors,
            self.overflowed + other.overflowed,
        )


def no_target(source: Source, file: SourceFile, name: str) -> str | None:
    """The reason why a file has no target to compare predictions with; None where it has one."""
    if name in file.partition:
        kind = source.schema.field(name).type
    elif name not in file.schema.names:
        return "is not there"
    elif file.schema.names.count(name) > 1:
        return "is there twice"
    else:
        kind = file.schema.field(name).type
    return None if is_numeric(kind) else f"is {kind}"
