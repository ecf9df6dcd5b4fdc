"""What the first scan does with a shard: from rows to sums."""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.errors import DataError
from gdpipe.numerics.digits import GridOverflow
from gdpipe.numerics.float_moments import Float64Accumulator
from gdpipe.numerics.moments import MomentsAccumulator, grid_exponents
from gdpipe.stages.columns import Columns
from gdpipe.stages.row_sums import Position, RowSums
from gdpipe.tables.columns import Numbers, numbers
from gdpipe.tables.room import Room
from gdpipe.tables.scan import ROW, Shard, read
from gdpipe.tables.source import Source

# a value whose square is no longer a float64
LARGEST_VALUE = float(np.sqrt(np.finfo(np.float64).max))


@dataclass(frozen=True, slots=True, eq=False)
class SumShard:
    """A shard's work: a pure function of its description, so that repeating it changes nothing."""

    source: Source
    columns: Columns
    room: Room
    largest: NDArray[np.float64]
    exact: bool

    def __call__(self, shard: Shard) -> RowSums:
        """The sums of a shard's rows.

        Raises:
            DataError: A weight is negative, or a value beyond what the footers announce.
        """
        names = self.columns.fitted
        accumulator = self._accumulator()
        read_rows, zero_weight, least_weight, whole_weights = 0, 0, math.inf, True
        missing = np.zeros(len(names), np.int64)
        first_missing = None
        file = self.source.files[shard.file]
        for batch in read(self.source, shard, names, self.room):
            block = numbers(batch, names)
            read_rows += batch.num_rows
            if block.missing is not None:
                missing += block.missing.sum(axis=1)
                if first_missing is None:
                    at, column = np.argwhere(block.missing.T)[0].tolist()
                    first_missing = Position(file.path, _row(batch, at), names[column])
            columns, weights = self._usable(block, batch, file.path)
            if weights is not None:
                positive = weights > 0
                zero_weight += int((~positive).sum())
                if not positive.all():
                    columns, weights = [column[positive] for column in columns], weights[positive]
                least_weight = min(least_weight, float(weights.min(initial=math.inf)))
                whole_weights = whole_weights and bool((weights == np.rint(weights)).all())
            try:
                accumulator.add(columns, weights)
            except GridOverflow as overflow:
                j = overflow.column
                raise DataError(
                    f"{file.path}: column {names[j]!r} holds values beyond {self.largest[j]:g}, the largest "
                    "that the footers announce; the file's statistics are wrong, write it again"
                ) from overflow
        return RowSums(
            accumulator.moments(), read_rows, missing, zero_weight, least_weight, whole_weights, first_missing
        )

    def nothing(self) -> RowSums:
        """The sums of no shard at all."""
        return RowSums(
            self._accumulator().moments(), 0, np.zeros(len(self.columns.fitted), np.int64), 0, math.inf, True, None
        )

    @property
    def exponents(self) -> NDArray[np.int64]:
        """The grid of `columns.fitted`."""
        return grid_exponents(self.largest)

    def _accumulator(self) -> MomentsAccumulator | Float64Accumulator:
        k = len(self.columns.features) + 1
        if not self.exact:
            return Float64Accumulator(k)
        return MomentsAccumulator(self.exponents[:k], int(self.exponents[k]) if self.columns.weight else None)

    def _usable(
        self, block: Numbers, batch: pa.RecordBatch, path: str
    ) -> tuple[list[NDArray[np.float64]], NDArray[np.float64] | None]:
        """The complete rows, and their weights."""
        complete = block.complete
        columns = block.columns if complete is None else [column[complete] for column in block.columns]
        if not self.columns.weight:
            return columns, None
        if (columns[-1] < 0).any():
            weights = block.columns[-1]
            at = int(np.argmax(weights < 0))
            raise DataError(
                f"{path}: weight column {self.columns.weight!r} is {weights[at]:g} in row {_row(batch, at)}; "
                "weights must be 0 or more"
            )
        return columns[:-1], columns[-1]


def locate_unusable(work: SumShard, name: str) -> str:
    """Where a column holds an infinity, or a number whose square overflows."""
    whole = Source(work.source.location, work.source.filesystem, work.source.files, work.source.schema, None)
    for f, file in enumerate(whole.files):
        groups = tuple(g for g, rows in enumerate(file.group_rows) if rows)
        for batch in read(whole, Shard(f, f, groups), [name], work.room):
            values = numbers(batch, [name]).columns[0]
            unusable = ~(np.abs(values) <= LARGEST_VALUE)
            if unusable.any():
                at = int(np.argmax(unusable))
                value = values[at]
                what = "infinite" if np.isinf(value) else f"{value:g}, whose square is beyond float64,"
                return f"{file.path}: column {name!r} is {what} in row {_row(batch, at)}; correct it or make it null"
    return f"{whole.location}: the footers say that column {name!r} holds an infinity, but no row does; write it again"


def _row(batch: pa.RecordBatch, at: int) -> int:
    return int(batch.column(ROW)[at].as_py())
