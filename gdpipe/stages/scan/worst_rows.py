"""The rows with the largest residuals, with the key that finds them: exact, whatever the cut of the input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# rows that are kept
MOST_ROWS = 10


@dataclass(frozen=True, slots=True)
class WorstRow:
    """A row with a large residual.

    Attributes:
        key: The values of its key, or its file and its number there, by name, as text.
        target: In target units.
        prediction: In target units.
        residual: Target - prediction.
    """

    key: tuple[tuple[str, str], ...]
    target: float
    prediction: float
    residual: float

    def as_dict(self) -> dict[str, Any]:
        """The row of a table."""
        return {**dict(self.key), "target": self.target, "prediction": self.prediction, "residual": self.residual}


@dataclass(frozen=True, slots=True)
class WorstRows:
    """The rows with the largest |residual|, the largest first, ties in input order; + joins them in input order."""

    rows: tuple[WorstRow, ...] = ()

    def __add__(self, other: "WorstRows") -> "WorstRows":
        both = sorted((*self.rows, *other.rows), key=lambda row: -abs(row.residual))  # stable, so ties keep their order
        return WorstRows(tuple(both[:MOST_ROWS]))

    def joined_by(
        self,
        keys: Sequence[tuple[str, pa.Array]],
        target: NDArray[np.float64],
        prediction: NDArray[np.float64],
        residual: NDArray[np.float64],
        used: NDArray[np.bool_] | None,
    ) -> "WorstRows":
        """These rows and those that follow in the input.

        Args:
            keys: Of all rows, by name, of length m each.
            target: Of the rows used, in target units, shape (n,).
            prediction: Likewise.
            residual: Likewise.
            used: The rows used among all, shape (m,); None where all are.
        """
        size = np.abs(residual)
        least = abs(self.rows[-1].residual) if len(self.rows) == MOST_ROWS else -1.0
        if not len(size) or size.max() <= least:
            return self
        found = np.flatnonzero(size > least)
        if (beyond := len(found) - MOST_ROWS) > 0:  # a tenth of the time that sorting all of them takes
            found = found[size[found] >= np.partition(size[found], beyond)[beyond]]
        found = found[np.argsort(-size[found], kind="stable")][:MOST_ROWS]
        at = found if used is None else np.flatnonzero(used)[found]
        rows = [
            WorstRow(
                tuple((name, str(values[int(of_all)].as_py())) for name, values in keys),
                float(target[i]),
                float(prediction[i]),
                float(residual[i]),
            )
            for i, of_all in zip(found.tolist(), at.tolist(), strict=True)
        ]
        return self + WorstRows(tuple(rows))
