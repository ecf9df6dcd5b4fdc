"""The cell of each row: its fold, or the cell of the rows that are held out of the fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.batch import hashable
from gdpipe.design import Values
from gdpipe.errors import DataError
from gdpipe.filters import Filters, filter_columns
from gdpipe.numerics.sums.cells import Cells
from gdpipe.numerics.sums.folds import NO_TEXT, fold_of_rows
from gdpipe.source.arrays import values_of
from gdpipe.source.columns import NOT_UTF8, key_values
from gdpipe.source.source import Source

# a mask of Arrow of the rows of a batch
Passing = Callable[[pa.RecordBatch], pa.BooleanArray]


@dataclass(frozen=True, slots=True)
class Holdout:
    """The rows that are held out of the fit.

    Attributes:
        filters: Those that pass, normalized.
        some: Indices of the files in which some rows may pass, and each must be looked at.
        all: Indices of the files all of whose rows pass.
    """

    filters: Filters
    some: frozenset[int]
    all: frozenset[int]

    @classmethod
    def of(cls, source: Source, filters: Filters) -> "Holdout":
        """The rows of a source that pass the filters; which files have any, footers and partition values tell.

        Raises:
            ConfigError: The filters do not fit the columns.
            SchemaError: A column of the filters is not there.
        """
        row_filter = source.filter_of(filters, "holdout")
        row_filter.check(source.location, [file for file in source.files if file.is_opened])
        some: set[int] = set()
        all_of: set[int] = set()
        for f, file in enumerate(source.files):
            if not file.wanted_groups or not row_filter.alternatives(file.partition):
                continue
            found = row_filter.pruned(file, source.opened.bounds(file, row_filter.columns))
            if set(found.wanted_groups) & set(file.wanted_groups):
                (some if found.filtered else all_of).add(f)
        return cls(filters, frozenset(some), frozenset(all_of))

    def columns(self, source: Source, file: int) -> list[str]:
        """The columns of a file by which its rows are told apart."""
        of = source.files[file]
        return [name for name in filter_columns(self.filters) if of.has(name)] if file in self.some else []

    def rows(self, source: Source, file: int) -> "HeldOutRows":
        """What tells the rows of a file apart."""
        if file not in self.some:
            return HeldOutRows(None, everything=file in self.all)
        row_filter = source.filter_of(self.filters, "holdout")
        compiled = row_filter.compiled(source.files[file])
        return HeldOutRows(lambda batch: row_filter.passing(compiled, batch))


class HeldOutRows:
    """The rows of a file that are held out.

    Args:
        passing: The rows of a batch that are, as a mask of Arrow; None where they are all or none.
        everything: Whether they are all.
    """

    def __init__(self, passing: Passing | None, *, everything: bool = False) -> None:
        self._passing = passing
        self._everything = everything

    def of(self, batch: pa.RecordBatch) -> NDArray[np.bool_] | None:
        """The rows of a batch that are held out, shape (m,); None where none is."""
        if self._passing is not None:
            return values_of(self._passing(batch).cast(pa.uint8())) > 0
        return np.ones(batch.num_rows, np.bool_) if self._everything else None


@dataclass(frozen=True, slots=True)
class RowCells:
    """The parts of each file's rows whose sums are kept apart: cells 0, 1 and so on are folds, the last is held out.

    Attributes:
        folds: The number of folds; 0 or 1 keeps the rows together.
        fold_by: The columns that decide a row's fold; its own values do if there are none.
        holdout: The rows held out of the fit; None where there are none.
    """

    folds: int = 0
    fold_by: tuple[str, ...] = ()
    holdout: Holdout | None = None

    @property
    def fitted(self) -> int:
        """The number of cells that are fitted."""
        return max(self.folds, 1)

    @property
    def count(self) -> int:
        """The number of cells."""
        return self.fitted + (self.holdout is not None)

    def columns(self, source: Source, file: int) -> list[str]:
        """The columns of a file that are read to tell its cells apart, besides those of the fit."""
        return [*self.fold_by, *(self.holdout.columns(source, file) if self.holdout else ())]

    def of(
        self,
        values: Sequence[Values],
        batch: pa.RecordBatch,
        used: NDArray[np.bool_] | None,
        held_out: NDArray[np.bool_] | None,
    ) -> Cells:
        """The cell of each row used: one for all, or shape (m,).

        Args:
            values: What a row's fold comes from where no columns decide it, of the rows used.
            batch: All rows.
            used: The rows used; None uses all.
            held_out: The rows held out; None where none is.
        """
        cells: Cells = 0
        if self.folds:
            keys = [self._key(batch, name, used) for name in self.fold_by] or [hashable(of) for of in values]
            cells = fold_of_rows(keys, self.folds)
        if held_out is not None:
            cells = np.where(held_out if used is None else held_out[used], np.uint8(self.fitted), cells)
        return cells

    def _key(
        self, batch: pa.RecordBatch, name: str, used: NDArray[np.bool_] | None
    ) -> NDArray[np.float64] | NDArray[np.uint64]:
        try:
            values, missing = key_values(batch.column(name))
        except UnicodeDecodeError as error:
            raise DataError(f"column {name!r}: {NOT_UTF8}") from error
        hashed = hashable(values)
        if missing is not None:
            hashed = np.where(missing, NO_TEXT, hashed) if hashed.dtype == np.uint64 else hashed
        return hashed if used is None else hashed[used]


# all rows together
ONE_CELL = RowCells()
