"""The first scan's work on a shard: from rows to sums."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.design import Input
from gdpipe.errors import DataError
from gdpipe.numerics.problem.covariance import LARGEST_VALUE
from gdpipe.numerics.sums.digits import GridOverflow
from gdpipe.numerics.sums.float_moments import Float64Accumulator
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents
from gdpipe.source.budget import Budget
from gdpipe.source.columns import Block, read_columns
from gdpipe.source.magnitudes import largest_in_file
from gdpipe.source.scan import ROW, Shard, read
from gdpipe.source.source import Source
from gdpipe.stages.columns import Columns
from gdpipe.stages.scan.row_sums import Account, Position, Sums, used_rows


@dataclass(frozen=True, slots=True, eq=False)
class SumShard:
    """The work on a shard: a pure function of its description, so that repeating it changes nothing."""

    source: Source
    columns: Columns
    budget: Budget
    largest: NDArray[np.float64]
    exact: bool

    def __call__(self, shard: Shard) -> dict[int, Sums]:
        """The sums of a shard's rows by cell: all of them are in that of their file.

        Raises:
            DataError: A weight is negative, or a value beyond what the footers announce.
        """
        names, weighted = self.columns.fitted, self.columns.weight is not None
        accumulator, found = self._accumulator(), self.nothing()
        account, largest, first_missing = found.account, found.largest, None
        least_weight, whole_weights = found.least_weight, True
        file = self.source.files[shard.file]
        for batch in read(self.source, shard, names, self.budget):
            block = read_columns(batch, self.columns.asked)
            if first_missing is None and block.missing is not None:
                at, column = np.argwhere(block.missing.T)[0].tolist()
                first_missing = Position(file.path, _row(batch, at), names[column])
            used = used_rows(block, weighted=weighted)
            columns = block.numbers if used is None else [column[used] for column in block.numbers]
            account += Account.of(block, used)
            largest = np.maximum(largest, [_largest(column) for column in columns])
            weights = None
            if weighted:
                self._check_weights(block, batch, file.path)
                *columns, weights = columns
                least_weight = min(least_weight, float(weights.min(initial=math.inf)))
                whole_weights = whole_weights and bool((weights == np.rint(weights)).all())
            try:
                accumulator.add([*self.columns.design.number_values(columns[:-1]), columns[-1]], weights)
            except GridOverflow as overflow:
                j = overflow.column
                raise DataError(
                    f"{file.path}: column {names[j]!r} holds values beyond {self.largest[j]:g}, the largest "
                    "that the footers announce; the file's statistics are wrong, write it again"
                ) from overflow
        moments = accumulator.moments()
        return {shard.file: Sums(moments, account, least_weight, whole_weights, first_missing, largest)}

    def nothing(self) -> Sums:
        """The sums of no shard at all."""
        k = len(self.columns.fitted)
        return Sums(self._accumulator().moments(), Account.zero(k), math.inf, True, None, np.zeros(k))

    def without(self, features: Sequence[int]) -> "SumShard":
        """The work without some features, given by index."""
        left = self.columns.design.without([self.columns.features[j] for j in features])
        largest = np.delete(self.largest, features)
        return replace(self, columns=replace(self.columns, design=left), largest=largest)

    @property
    def exponents(self) -> NDArray[np.int64]:
        """The grid of `columns.fitted`."""
        return grid_exponents(self.largest)

    def _accumulator(self) -> MomentsAccumulator | Float64Accumulator:
        k = len(self.columns.design.terms) + 1
        if not self.exact:
            return Float64Accumulator(k)
        return MomentsAccumulator(self.exponents[:k], int(self.exponents[k]) if self.columns.weight else None)

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

    Rows are read where `bound`, which the footers give for each of `columns.fitted`, announces such a value: they may
    be those that the filters leave out.

    Raises:
        DataError: One does.
    """
    source = work.source
    for name in [n for n, size in zip(work.columns.fitted, bound.tolist(), strict=True) if not size <= LARGEST_VALUE]:
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


def _largest(column: NDArray[np.float64]) -> float:
    return max(float(column.max(initial=0.0)), -float(column.min(initial=0.0)))


def _row(batch: pa.RecordBatch, at: int) -> int:
    return int(batch.column(ROW)[at].as_py())
