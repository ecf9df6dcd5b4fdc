"""The first scan's work on a shard: from rows to sums."""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.batch import fold_order
from gdpipe.design import Input, Values, in_rows
from gdpipe.errors import DataError
from gdpipe.numerics.problem.covariance import LARGEST_VALUE
from gdpipe.numerics.sums.cell_sums import CellSums
from gdpipe.numerics.sums.digits import GridOverflow
from gdpipe.numerics.sums.float_moments import Float64Accumulator
from gdpipe.numerics.sums.level_accumulator import LevelAccumulators
from gdpipe.numerics.sums.levels import LevelSums
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents
from gdpipe.source.budget import Budget
from gdpipe.source.categories import LastLabels
from gdpipe.source.columns import Block, read_columns
from gdpipe.source.magnitudes import largest_in_file
from gdpipe.source.scan import ROW, Shard, read
from gdpipe.source.source import Source
from gdpipe.stages.columns import Columns
from gdpipe.stages.scan.defined import check_defined
from gdpipe.stages.scan.row_cells import ONE_CELL, RowCells
from gdpipe.stages.scan.row_sums import Account, Position, Sums, used_rows


@dataclass(frozen=True, slots=True, eq=False)
class SumShard:
    """The work on a shard: a pure function of its description, so that repeating it changes nothing.

    Attributes:
        source: The files.
        columns: The columns by their role.
        budget: What a process may have in memory.
        largest: A bound on each of `columns.summed`.
        exact: Whether sums are exact; they are always where there are categories.
        cells: The parts of each file's rows whose sums are kept apart.
    """

    source: Source
    columns: Columns
    budget: Budget
    largest: NDArray[np.float64]
    exact: bool
    cells: RowCells = ONE_CELL

    def __call__(self, shard: Shard) -> dict[int, Sums]:
        """The sums of a shard's rows, by file. Where all rows of a file are held out, they are as if none was.

        Raises:
            DataError: A weight is negative, a value beyond what the footers announce, or a function of it not defined.
            TooManyLevels: A category, or a combination of some, has too many levels to sum by them.
        """
        design, asked, weighted = self.columns.design, self.columns.asked, self.columns.weight is not None
        accumulator, found = self._accumulator(), self.nothing()
        cells, source, f = self.cells_of(shard.file), self.source, shard.file
        levels = LevelAccumulators(design.orders, self.exponents[: self._k], self._weight_exponent, cells.count)
        told_apart = cells.holdout.rows(source, f) if cells.holdout else None
        hashed = sorted(range(len(asked) - weighted), key=lambda j: fold_order(asked[j]))
        account, largest, first_missing = found.account, found.largest, None
        least_weight, whole_weights = found.least_weight, True
        file = source.files[f]
        last = defaultdict[Input, LastLabels](LastLabels)
        for batch in read(source, shard, [*asked, *cells.columns(source, f)], self.budget):
            try:
                block = read_columns(batch, asked, last)
            except DataError as error:
                raise DataError(f"{file.path}: {error}") from error
            check_defined(design, block, batch, file.path)
            if first_missing is None and block.missing is not None:
                at, column = np.argwhere(block.missing.T)[0].tolist()
                first_missing = Position(file.path, _row(batch, at), asked[column].column)
            used = used_rows(block, weighted=weighted)
            inputs = [in_rows(column, used) for column in block.columns]
            held_out = told_apart.of(batch) if told_apart else None
            try:
                of_rows = cells.of([inputs[j] for j in hashed], batch, used, held_out)
            except DataError as error:
                raise DataError(f"{file.path}: {error}") from error
            n_held_out = int(np.count_nonzero(of_rows == cells.fitted)) if held_out is not None else 0
            account += Account.of(block, used, n_held_out)
            values = [*design.number_values(inputs[: len(design.inputs)]), *_numbers(inputs[len(design.inputs) :])]
            largest = np.maximum(largest, [_largest(column) for column in values])
            weights = None
            if weighted:
                self._check_weights(block, batch, file.path)
                *values, weights = values
                least_weight = min(least_weight, float(weights.min(initial=math.inf)))
                whole_weights = whole_weights and bool((weights == np.rint(weights)).all())
            try:
                if isinstance(accumulator, Float64Accumulator):
                    accumulator.add(values, weights, of_rows)
                else:
                    categories = design.category_values(inputs[: len(design.inputs)])
                    by_level = [(each.labels, each.codes) for each in categories]
                    rows = levels.rows(by_level) if categories else None
                    accumulator.add(values, weights, of_rows, rows)
            except GridOverflow as overflow:
                raise DataError(f"{file.path}: {self._beyond(overflow.column)}") from overflow
        found_in = [CellSums(accumulator.moments(cell), levels.sums(cell)) for cell in range(cells.count)]
        sums = Sums.of(
            found_in[: cells.fitted],
            found_in[-1] if cells.holdout else None,
            account=account,
            least_weight=least_weight,
            whole_weights=whole_weights,
            first_missing=first_missing,
            largest=largest,
        )
        return {f: sums}

    def nothing(self) -> Sums:
        """The sums of no shard at all."""
        orders, exponents = self.columns.design.orders, self.exponents[: self._k]
        levels = {key: LevelSums.zero(order, exponents, self._weight_exponent or 0) for key, order in orders.items()}
        nothing = CellSums(self._accumulator().moments(), levels)
        return Sums.of(
            [nothing] * self.cells.fitted,
            nothing if self.cells.holdout else None,
            account=Account.zero(len(self.columns.asked)),
            least_weight=math.inf,
            whole_weights=True,
            first_missing=None,
            largest=np.zeros(len(self.columns.summed)),
        )

    def cells_of(self, file: int) -> RowCells:
        """The cells of a file: no row is held out where none is, or all are."""
        some = self.cells.holdout is not None and file in self.cells.holdout.some
        return self.cells if some else replace(self.cells, holdout=None)

    def in_cells(self, file: int, sums: Sums) -> Sums:
        """The sums of a file's rows in all cells, from those of its own."""
        holdout = self.cells.holdout
        if holdout is None or file in holdout.some:
            return sums
        nothing = self.nothing().total
        return sums.as_held_out(nothing) if file in holdout.all else replace(sums, held_out=nothing)

    def without(self, source_columns: Collection[str]) -> "SumShard":
        """The work without the features that are made from some of the columns."""
        design = self.columns.design
        left = design.without(source_columns)
        kept = [design.numbers.index(factors) for factors in left.numbers]
        largest = np.concatenate([self.largest[kept], self.largest[len(design.numbers) :]])
        return replace(self, columns=replace(self.columns, design=left), largest=largest)

    @property
    def exponents(self) -> NDArray[np.int64]:
        """The grid of `columns.summed`."""
        return grid_exponents(self.largest)

    @property
    def _k(self) -> int:
        return len(self.columns.design.numbers) + 1

    @property
    def _weight_exponent(self) -> int | None:
        return int(self.exponents[-1]) if self.columns.weight else None

    def _beyond(self, j: int) -> str:
        name, largest = self.columns.summed[j], self.largest[j]
        numbers = self.columns.design.numbers
        dates = [factor.input.column for factor in numbers[j] if factor.input.part] if j < len(numbers) else []
        if dates:
            return (
                f"{name} is beyond {largest:g}, as {dates[0]!r} has years beyond 9999; correct them, or make them null"
            )
        return (
            f"column {name!r} holds values beyond {largest:g}, the largest that the footers announce; the file's "
            "statistics are wrong, write it again"
        )

    def _accumulator(self) -> MomentsAccumulator | Float64Accumulator:
        if not self.exact:
            return Float64Accumulator(self._k)
        return MomentsAccumulator(self.exponents[: self._k], self._weight_exponent)

    def _check_weights(self, block: Block, batch: pa.RecordBatch, path: str) -> None:
        weights, complete = block.numbers[-1], block.complete
        negative = weights < 0 if complete is None else (weights < 0) & complete
        if negative.any():
            at = int(np.argmax(negative))
            raise DataError(
                f"{path}: weight column {self.columns.weight!r} is {weights[at]:g} in row {_row(batch, at)}; "
                "weights must be 0 or more"
            )


def check_usable(work: SumShard, bound: NDArray[np.float64]) -> None:
    """See that no row that passes the filters holds an infinity, or a number whose square overflows.

    Rows are read where `bound`, which the footers give for each of `columns.measured`, announces such a value: they may
    be those that the filters leave out.

    Raises:
        DataError: One does.
    """
    source = work.source
    for name in [n for n, size in zip(work.columns.measured, bound.tolist(), strict=True) if not size <= LARGEST_VALUE]:
        for f, file in enumerate(source.files):
            if not file.wanted_groups or largest_in_file(source.opened, file, [name], None)[0] <= LARGEST_VALUE:
                continue
            for batch in read(source, Shard(f, f, file.wanted_groups), [name], work.budget):
                values = read_columns(batch, [Input(name)]).numbers[0]
                usable = np.abs(values) <= LARGEST_VALUE
                if not usable.all():
                    at = int(np.argmin(usable))
                    value = values[at]
                    what = "infinite" if np.isinf(value) else f"{value:g}, whose square is beyond float64,"
                    raise DataError(
                        f"{file.path}: column {name!r} is {what} in row {_row(batch, at)}; correct it, make it null, "
                        "or leave it out by filters"
                    )


def _numbers(columns: Sequence[Values]) -> list[NDArray[np.float64]]:
    return [column for column in columns if isinstance(column, np.ndarray)]


def _largest(column: NDArray[np.float64]) -> float:
    return max(float(column.max(initial=0.0)), -float(column.min(initial=0.0)))


def _row(batch: pa.RecordBatch, at: int) -> int:
    return int(batch.column(ROW)[at].as_py())
