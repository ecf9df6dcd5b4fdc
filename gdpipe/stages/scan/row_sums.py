"""Sums of some rows, and an account of them; both as JSON for the cache, too."""

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.cell_sums import CellSums
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.levels import Key, LevelSums
from gdpipe.numerics.sums.moments import Moments
from gdpipe.source.columns import Block
from gdpipe.stages.scan.cells_json import cell_from_json, cell_to_json, count
from gdpipe.stages.scan.levels_json import integers
from gdpipe.terms import Terms

# the version of a cache entry: it changes when a number in the entry means something else
VERSION = 7


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
        used: Complete rows of positive weight that are fitted.
        zero_weight: Complete rows of weight 0.
        missing: By what is read (`Columns.asked`), rows in which it is null or NaN, shape (k,).
        held_out: Complete rows of positive weight that are held out of the fit.
    """

    read: int
    used: int
    zero_weight: int
    missing: NDArray[np.int64]
    held_out: int = 0

    @classmethod
    def zero(cls, n_columns: int) -> "Account":
        """The account of no rows."""
        return cls(0, 0, 0, np.zeros(n_columns, np.int64))

    @classmethod
    def of(cls, block: Block, used: NDArray[np.bool_] | None, held_out: int = 0) -> "Account":
        """The account of a block's rows; `used` is the result of `used_rows`, and so many of these are held out."""
        n = len(block.numbers[0])
        n_complete, n_used = (n if rows is None else int(rows.sum()) for rows in (block.complete, used))
        missing = np.zeros(len(block.columns), np.int64) if block.missing is None else block.missing.sum(axis=1)
        return cls(n, n_used - held_out, n_complete - n_used, missing, held_out)

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.read + other.read,
            self.used + other.used,
            self.zero_weight + other.zero_weight,
            self.missing + other.missing,
            self.held_out + other.held_out,
        )

    def __sub__(self, other: "Account") -> "Account":
        return self + Account(-other.read, -other.used, -other.zero_weight, -other.missing, -other.held_out)

    def gap(self, other: "Account") -> int:
        """The largest difference between two accounts of the same columns, in rows."""
        gap = self - other
        gaps: list[int] = [gap.read, gap.used, gap.zero_weight, gap.held_out, *gap.missing.tolist()]
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
        total: Over the rows used.
        account: What became of the rows.
        least_weight: The smallest positive weight used or held out; infinite where there is none.
        whole_weights: Whether every weight used or held out is an integer.
        first_missing: Where a value is missing first.
        largest: Of each column of `moments` and of the weights, the largest magnitude in the rows used or held out,
            shape (k,).
        folds: Of the rows used, those over each fold; empty where there are none.
        held_out: Over the rows that are held out; None where no rows can be.
    """

    total: CellSums
    account: Account
    least_weight: float
    whole_weights: bool
    first_missing: Position | None
    largest: NDArray[np.float64]
    folds: tuple[CellSums, ...] = ()
    held_out: CellSums | None = None

    @classmethod
    def of(cls, fitted: Sequence[CellSums], held_out: CellSums | None, **others: Any) -> "Sums":
        """The sums of cells: those that are fitted, which are folds if they are several."""
        return cls(
            total=CellSums.total(fitted), folds=tuple(fitted) if len(fitted) > 1 else (), held_out=held_out, **others
        )

    @property
    def moments(self) -> Moments | BlockMoments | Float64Moments:
        """Over the rows used."""
        return self.total.moments

    @property
    def levels(self) -> Mapping[Key, LevelSums]:
        """Over the rows used, by the levels of each key of the design's `orders`."""
        return self.total.levels

    def as_held_out(self, nothing: CellSums) -> "Sums":
        """The sums of the same rows if all of them are held out; `nothing` are those of no rows."""
        account = replace(self.account, used=0, held_out=self.account.used)
        folds = (nothing,) * len(self.folds)
        return replace(self, total=nothing, account=account, folds=folds, held_out=self.total)

    def over_terms(self, terms: Terms) -> "Sums":
        """The sums over terms and the target, in place of those over numbers; folds stay as they are."""
        held_out = self.held_out
        if held_out:
            held_out = terms.over_terms(replace(held_out, levels=terms.as_known(held_out.levels)))
        return replace(self, total=terms.over_terms(self.total), held_out=held_out)

    @classmethod
    def joined(cls, parts: Sequence["Sums"]) -> "Sums":
        """The sums of the rows of one or more parts."""
        held_out = [part.held_out for part in parts if part.held_out]
        return cls(
            CellSums.total([part.total for part in parts]),
            functools.reduce(operator.add, (part.account for part in parts)),
            min(part.least_weight for part in parts),
            all(part.whole_weights for part in parts),
            min(
                (part.first_missing for part in parts if part.first_missing is not None),
                key=lambda place: (place.path, place.row),
                default=None,
            ),
            np.maximum.reduce([part.largest for part in parts]),
            tuple(map(CellSums.total, zip(*(part.folds for part in parts), strict=True))),
            CellSums.total(held_out) if len(held_out) == len(parts) else None,
        )

    def __add__(self, other: "Sums") -> "Sums":
        return Sums.joined([self, other])

    def __sub__(self, part: "Sums") -> "Sums":
        """The rows without a part of them: sums and counts are exact, the other attributes stay as bounds."""
        return replace(
            self,
            total=self.total - part.total,
            account=self.account - part.account,
            folds=tuple(a - b for a, b in zip(self.folds, part.folds, strict=True)),
            held_out=self.held_out - part.held_out if self.held_out and part.held_out else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Exact sums as JSON holds them, of all rows used and of each cell but the first, which is what is left."""
        moments, account = self.moments, self.account
        assert isinstance(moments, Moments)
        return {
            "read": account.read,
            "zero_weight": account.zero_weight,
            "missing": account.missing.tolist(),
            "first_missing": asdict(self.first_missing) if self.first_missing else None,
            "largest": self.largest.tolist(),
            "least_weight": self.least_weight if math.isfinite(self.least_weight) else None,
            "whole_weights": self.whole_weights,
            "exponents": moments.exponents.tolist(),
            "weight_exponent": moments.weight_exponent,
            **cell_to_json(self.total),
            "folds": [cell_to_json(fold) for fold in self.folds[1:]],
            "held_out": None if self.held_out is None else cell_to_json(self.held_out),
        }

    @classmethod
    def from_json(
        cls,
        entry: dict[str, Any],
        n_columns: int,
        *,
        weighted: bool,
        n_read: int | None = None,
        orders: Mapping[Key, int] | None = None,
        folds: int = 0,
    ) -> "Sums":
        """The sums that `to_json` wrote.

        Args:
            entry: What it wrote.
            n_columns: The number of columns of `moments`.
            weighted: Whether there is a weight.
            n_read: The number of columns that are read; as many as there are numbers to count if not given.
            orders: The keys of the sums by level, and the order of each.
            folds: The number of folds.

        Raises:
            ArithmeticError, LookupError, TypeError, ValueError: It is of other columns, or damaged.
        """
        k, n_counted = n_columns, n_columns + weighted
        exponents = np.array(integers(entry["exponents"], k), np.int64)
        [weight_exponent] = integers([entry["weight_exponent"]], 1)

        def cell(entry: dict[str, Any]) -> CellSums:
            return cell_from_json(entry, exponents, weight_exponent, orders or {})

        total, others = cell(entry), [cell(fold) for fold in entry["folds"]]
        if len(others) != max(folds - 1, 0):
            raise ValueError(f"sums of {len(others)} folds beside the first of {folds}")
        first, least = entry["first_missing"], entry["least_weight"]
        held_out = None if entry["held_out"] is None else cell(entry["held_out"])
        largest = np.array([float(size) for size in entry["largest"]])
        if len(largest) != n_counted:
            raise ValueError(f"{len(largest)} largest magnitudes of {n_counted} columns")
        n_read = n_counted if n_read is None else n_read
        missing = np.array([count(rows) for rows in integers(entry["missing"], n_read)], np.int64)
        n_held_out = held_out.moments.n_samples if held_out else 0
        return cls(
            total,
            Account(count(entry["read"]), total.moments.n_samples, count(entry["zero_weight"]), missing, n_held_out),
            math.inf if least is None else float(least),
            bool(entry["whole_weights"]),
            Position(str(first["path"]), count(first["row"]), str(first["column"])) if first else None,
            largest,
            (functools.reduce(CellSums.__sub__, others, total), *others) if others else (),
            held_out,
        )
