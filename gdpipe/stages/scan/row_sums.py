"""Sums of some rows, and an account of them; both as JSON for the cache, too."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.moments import Moments
from gdpipe.source.columns import Block

# the version of a cache entry: it changes when a number in the entry means something else
VERSION = 5


@dataclass(frozen=True, slots=True)
class Position:
    """The place of a value in the input; input order is that of paths, then of rows."""

    path: str
    row: int
    column: str


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Counts of rows that were read, used and left out; + and - are exact.

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
        """The account of no rows."""
        return cls(0, 0, 0, np.zeros(n_columns, np.int64))

    @classmethod
    def of(cls, block: Block, used: NDArray[np.bool_] | None) -> "Account":
        """The account of a block's rows; `used` is the result of `used_rows`."""
        n = len(block.numbers[0])
        n_complete, n_used = (n if rows is None else int(rows.sum()) for rows in (block.complete, used))
        missing = np.zeros(len(block.columns), np.int64) if block.missing is None else block.missing.sum(axis=1)
        return cls(n, n_used, n_complete - n_used, missing)

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.read + other.read,
            self.used + other.used,
            self.zero_weight + other.zero_weight,
            self.missing + other.missing,
        )

    def __sub__(self, other: "Account") -> "Account":
        return self + Account(-other.read, -other.used, -other.zero_weight, -other.missing)

    def gap(self, other: "Account") -> int:
        """The largest difference between two accounts of the same columns, in rows."""
        gap = self - other
        gaps: list[int] = [gap.read, gap.used, gap.zero_weight, *gap.missing.tolist()]
        return max(map(abs, gaps))


def by_column(names: Sequence[str], missing: NDArray[np.int64]) -> dict[str, int]:
    """The number of rows in which a column is missing, by name, where there are any."""
    return {name: count for name, count in zip(names, missing.tolist(), strict=True) if count}


def used_rows(block: Block, *, weighted: bool) -> NDArray[np.bool_] | None:
    """The complete rows of positive weight (the last column, if there is one), shape (m,); None where all rows are."""
    used = block.complete
    if weighted:
        positive: NDArray[np.bool_] = block.numbers[-1] > 0
        used = positive if used is None else used & positive
    return None if used is None or used.all() else used


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums and account of some rows, as a scan finds them; + joins them in any order.

    Attributes:
        moments: Over the rows used.
        account: What became of the rows.
        least_weight: The smallest positive weight used; infinite where there is none.
        whole_weights: Whether every weight used is an integer.
        first_missing: Where a value is missing first.
        largest: Of each column, the largest magnitude in the rows used, shape (k,).
    """

    moments: Moments | Float64Moments
    account: Account
    least_weight: float
    whole_weights: bool
    first_missing: Position | None
    largest: NDArray[np.float64]

    def __add__(self, other: "Sums") -> "Sums":
        places = [place for place in (self.first_missing, other.first_missing) if place is not None]
        return Sums(
            self.moments + other.moments,  # type: ignore[operator]  # both are of one kind: that of the run
            self.account + other.account,
            min(self.least_weight, other.least_weight),
            self.whole_weights and other.whole_weights,
            min(places, key=lambda place: (place.path, place.row), default=None),
            np.maximum(self.largest, other.largest),
        )

    def __sub__(self, part: "Sums") -> "Sums":
        """The rows without a part of them: sums and counts are exact, the other attributes stay as bounds."""
        assert isinstance(self.moments, Moments)  # rounded sums have no exact difference
        assert isinstance(part.moments, Moments)
        return replace(self, moments=self.moments - part.moments, account=self.account - part.account)

    def to_json(self) -> dict[str, Any]:
        """Exact sums as JSON holds them: integers, lists in the order of the columns, triangles row by row."""
        moments, account = self.moments, self.account
        assert isinstance(moments, Moments)
        return {
            "read": account.read,
            "used": account.used,
            "zero_weight": account.zero_weight,
            "missing": account.missing.tolist(),
            "first_missing": asdict(self.first_missing) if self.first_missing else None,
            "largest": self.largest.tolist(),
            "least_weight": self.least_weight if math.isfinite(self.least_weight) else None,
            "whole_weights": self.whole_weights,
            "exponents": moments.exponents.tolist(),
            "weight_exponent": moments.weight_exponent,
            "weight": moments.weight,
            "sums": moments.sums.tolist(),
            "products": moments.products[np.triu_indices(len(moments.sums))].tolist(),
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any], n_columns: int, *, weighted: bool) -> "Sums":
        """The sums that `to_json` wrote, of `n_columns` columns besides the weight.

        Raises:
            ArithmeticError, LookupError, TypeError, ValueError: It is of other columns, or damaged.
        """
        k, n_counted = n_columns, n_columns + weighted
        products, upper = np.full((k, k), 0, object), np.triu_indices(k)
        products[upper] = products.T[upper] = _integers(entry["products"], len(upper[0]))
        weight, weight_exponent = _integers([entry["weight"], entry["weight_exponent"]], 2)
        used, first, least = _count(entry["used"]), entry["first_missing"], entry["least_weight"]
        largest = np.array([float(size) for size in entry["largest"]])
        if len(largest) != n_counted:
            raise ValueError(f"{len(largest)} largest magnitudes of {n_counted} columns")
        missing = np.array([_count(rows) for rows in _integers(entry["missing"], n_counted)], np.int64)
        sums, exponents = np.array(_integers(entry["sums"], k), object), _integers(entry["exponents"], k)
        return cls(
            Moments(used, weight, sums, products, np.array(exponents, np.int64), weight_exponent),
            Account(_count(entry["read"]), used, _count(entry["zero_weight"]), missing),
            math.inf if least is None else float(least),
            bool(entry["whole_weights"]),
            Position(str(first["path"]), _count(first["row"]), str(first["column"])) if first else None,
            largest,
        )


def _integers(values: Any, count: int) -> list[int]:
    """A list of so many integers as JSON has them: 1.5, 1.0 and true are none."""
    if not isinstance(values, list) or len(values) != count or any(type(value) is not int for value in values):
        raise ValueError(f"no list of {count} integers where one must be")
    return values


def _count(value: object) -> int:
    """A count of rows."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is no count of rows")
    return value
