"""What a scan learns of some rows: their sums, and what became of each of them; and the same as a table, to be kept."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.errors import DataError
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.moments import Moments
from gdpipe.stages import moments_table

# of an entry's metadata; another meaning of a number there is another version
VERSION = 4
_ACCOUNT = b"gdpipe.rows"


@dataclass(frozen=True, slots=True)
class Position:
    """A value in the input; the least of several is the first in input order, for files are in order of path."""

    path: str
    row: int
    column: str


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What became of some rows; joined by +.

    Attributes:
        read: Rows that passed the filters.
        used: Complete rows of positive weight.
        zero_weight: Complete rows of weight 0.
        missing: By column, rows in which it is null or NaN, shape (k,).
    """

    read: int
    used: int
    zero_weight: int
    missing: NDArray[np.int64]

    @classmethod
    def zero(cls, n_columns: int) -> "Account":
        """That of no rows."""
        return cls(0, 0, 0, np.zeros(n_columns, np.int64))

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.read + other.read,
            self.used + other.used,
            self.zero_weight + other.zero_weight,
            self.missing + other.missing,
        )

    def gap(self, other: "Account") -> int:
        """The largest difference between two accounts of the same columns, in rows."""
        gaps = [self.read - other.read, self.used - other.used, self.zero_weight - other.zero_weight]
        return max(map(abs, [*gaps, *(int(gap) for gap in self.missing - other.missing)]))


@dataclass(frozen=True, slots=True, eq=False)
class RowSums:
    """Sums over rows, and their account; joined by +, in any order.

    Attributes:
        moments: Over the rows used.
        read: Rows that passed the filters.
        missing: By column, rows in which it is null or NaN, shape (k,).
        zero_weight: Complete rows of weight 0.
        least_weight: The smallest positive weight used; infinite where there is none.
        whole_weights: Whether every weight used is an integer.
        first_missing: Where a value is missing first.
        largest: Of each column, the largest magnitude in the rows used, shape (k,).
    """

    moments: Moments | Float64Moments
    read: int
    missing: NDArray[np.int64]
    zero_weight: int
    least_weight: float
    whole_weights: bool
    first_missing: Position | None
    largest: NDArray[np.float64]

    def __add__(self, other: "RowSums") -> "RowSums":
        places = [place for place in (self.first_missing, other.first_missing) if place is not None]
        return RowSums(
            self.moments + other.moments,  # type: ignore[operator]  # both are of one kind: that of the run
            self.read + other.read,
            self.missing + other.missing,
            self.zero_weight + other.zero_weight,
            min(self.least_weight, other.least_weight),
            self.whole_weights and other.whole_weights,
            min(places, key=lambda place: (place.path, place.row), default=None),
            np.maximum(self.largest, other.largest),
        )

    @property
    def account(self) -> Account:
        """What became of the rows."""
        return Account(self.read, self.moments.n_samples, self.zero_weight, self.missing)

    def to_table(self, columns: Sequence[str], fitted: Sequence[str]) -> pa.Table:
        """Exact sums as `moments_table` writes them, the account in the metadata.

        Args:
            columns: Names of the columns summed.
            fitted: The same and, where there is one, the weight: those that may be missing.
        """
        assert isinstance(self.moments, Moments)
        table = moments_table.to_table(self.moments, columns)
        account = {
            "read": self.read,
            "missing": dict(zip(fitted, self.missing.tolist(), strict=True)),
            "zero_weight": self.zero_weight,
            "least_weight": self.least_weight if math.isfinite(self.least_weight) else None,
            "whole_weights": self.whole_weights,
            "first_missing": asdict(self.first_missing) if self.first_missing else None,
            "largest": dict(zip(fitted, self.largest.tolist(), strict=True)),
        }
        return table.replace_schema_metadata({**table.schema.metadata, _ACCOUNT: json.dumps(account)})

    @classmethod
    def from_table(cls, table: pa.Table, columns: Sequence[str], fitted: Sequence[str]) -> "RowSums":
        """What `to_table` wrote.

        Raises:
            DataError: It is of other columns, or damaged.
        """
        moments = moments_table.from_table(table, columns)
        try:
            account = json.loads(table.schema.metadata[_ACCOUNT])
            first, least = account["first_missing"], account["least_weight"]
            return cls(
                moments,
                _count(account["read"]),
                np.array([_count(account["missing"][name]) for name in fitted], np.int64),
                _count(account["zero_weight"]),
                math.inf if least is None else float(least),
                bool(account["whole_weights"]),
                Position(str(first["path"]), _count(first["row"]), str(first["column"])) if first else None,
                np.array([float(account["largest"][name]) for name in fitted], np.float64),
            )
        except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise DataError(f"kept sums are damaged ({error}); remove them") from error


def _count(value: object) -> int:
    """A count of rows as JSON has it: 1.5 and true are none."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is no count of rows")
    return value
