"""The second scan's work on a shard: a part of the predictions, and sums of the residuals."""

import functools
import platform
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.design import Input, Values
from gdpipe.errors import DataError, PublishError
from gdpipe.model import Model, Unseen
from gdpipe.numerics.sums.digits import GridOverflow
from gdpipe.source.arrays import repeated, to_arrow
from gdpipe.source.budget import Budget
from gdpipe.source.categories import LastLabels
from gdpipe.source.columns import Block, is_numeric, read_columns
from gdpipe.source.files import first_line
from gdpipe.source.inputs import in_zones
from gdpipe.source.scan import ROW, Shard, read
from gdpipe.source.source import Source
from gdpipe.source.source_file import SourceFile
from gdpipe.stages.columns import Columns
from gdpipe.stages.scan.defined import check_defined
from gdpipe.stages.scan.row_cells import HeldOutRows, Holdout
from gdpipe.stages.scan.rows_again import RowsAgain, RowsAgainAccumulator, RowsSpec, ScoreSums, either
from gdpipe.store import catalog
from gdpipe.store.place import Place
from gdpipe.store.writer import TableWriter, WrittenFile, output_errors

# rows in a row group of the predictions: few enough to gather in memory, enough to compress and scan well
ROW_GROUP_ROWS = 131_072
# bytes in a row group where keys are wide
WAITING_BYTES = 16 * 2**20


class _Waiting:
    """Rows that wait until they are enough for a row group."""

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._tables: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        self._tables.append(rows)
        n, size = (sum(getattr(table, what) for table in self._tables) for what in ("num_rows", "nbytes"))
        if n >= ROW_GROUP_ROWS or size > WAITING_BYTES:
            self.write()

    def write(self) -> None:
        if self._tables:
            self._writer.write(pa.concat_tables(self._tables))
        self._tables = []


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The results of the work on a shard.

    Attributes:
        file: The part of predictions.
        rows: The sums for the comparison with the first scan; None where rows are scored.
        scores: The counts and sums of scoring; None in training.
    """

    file: WrittenFile
    rows: RowsAgain | None
    scores: ScoreSums | None


@dataclass(frozen=True, slots=True, eq=False)
class PredictShard:
    """The work on a shard; repeating it writes the same file and returns the same sums.

    Without `spec` it scores: the target then counts in the files that have one. With `unseen_fails` it ends at a level
    that the fit has not seen. In training, `holdout` are the rows that were held out of the fit.
    """

    source: Source
    columns: Columns
    keys: list[pa.Field]
    model: Model
    folder: Place
    run_id: str
    budget: Budget
    spec: RowsSpec | None
    unseen_fails: bool = False
    holdout: Holdout | None = None

    def __call__(self, shard: Shard) -> Part:
        """Write a shard's part, and sum its residuals.

        Raises:
            DataError: A value is infinite, or beyond what the footer announces; or a level is one that the fit has not
                seen, and may not be.
            PublishError: The part cannot be written.
        """
        spec, source_file, design = self.spec, self.source.files[shard.file], self.columns.design
        has_target = spec is not None or no_target(self.source, source_file, self.columns.target) is None
        weight = self.columns.weight if spec else None
        asked = [*design.inputs, *(Input(name) for name in (has_target and self.columns.target, weight) if name)]
        schema = catalog.predictions_schema(self.keys, self.run_id)
        with output_errors(f"{self.folder} on {platform.node()}"):
            if not self.folder.is_shared():
                raise PublishError(
                    f"{self.folder}: no such folder on {platform.node()}; all workers must share the output"
                )
        writer = TableWriter(self.folder, f"{catalog.PREDICTIONS}/part-{shard.number:05d}.parquet", schema)
        accumulator = RowsAgainAccumulator(spec) if spec else None
        p, waiting = len(design.inputs), _Waiting(writer)
        scores = None if spec else ScoreSums.zero(p)
        last, places = defaultdict[Input, LastLabels](LastLabels), design.level_places()
        told_apart, told_apart_by = self._held_out(shard.file)
        try:
            for batch in read(self.source, shard, [*asked, *self.columns.key, *told_apart_by], self.budget):
                block = read_columns(in_zones(batch, design.zones), asked, last)
                check_defined(design, block, batch, source_file.path)
                actual = block.columns[p] if has_target else np.zeros(batch.num_rows)
                assert isinstance(actual, np.ndarray)
                inputs = block.columns[:p]
                numbers, codes = design.number_values(inputs), places.codes(design.category_values(inputs))
                # too large for float64 becomes infinite; scoring counts such rows
                with np.errstate(over="ignore", invalid="ignore"):
                    prediction = self.model.of_values(numbers, codes)
                    residual = actual - prediction
                unseen = self._unseen(block, prediction, batch, source_file.path)
                # where a feature is infinite, the prediction is infinite or NaN; scoring needs no target
                checked = slice(len(asked) if spec else p)
                if not _are_finite([prediction, *block.columns[p : checked.stop]]):
                    self._check_finite(block.columns[checked], asked[checked], batch, shard)
                unpredicted = block.missing_in(slice(p))
                if not self.model.unseen_as_reference:
                    unpredicted = functools.reduce(either, (each.rows for each in unseen), unpredicted)
                targetless = block.missing_in(slice(p, p + 1)) if has_target else np.ones(batch.num_rows, np.bool_)
                lines = (actual, targetless), (prediction, unpredicted), (residual, either(unpredicted, targetless))
                numeric = [to_arrow(values, pa.float64(), missing) for values, missing in lines]
                keys = _key(self.keys, batch, source_file.name)
                waiting.add(pa.Table.from_arrays([*keys, *numeric], schema=schema))
                if scores is not None:
                    scores += ScoreSums.of(block, unpredicted, unseen, actual if has_target else None, residual)
                if accumulator is not None:
                    # the keys stand first in the schema
                    named = tuple(zip(schema.names, keys, strict=False))
                    accumulator.add(
                        block, numbers, codes, prediction, residual, self.model, told_apart.of(batch), named
                    )
            waiting.write()
        except BaseException as error:
            writer.abandon()
            if isinstance(error, GridOverflow):
                reason = "holds values beyond what its footer or the sums allow"
                remedy = "write it again, for its statistics are wrong, or remove moments/ of the output"
                raise DataError(f"{source_file.path}: {reason}; {remedy}") from error
            raise
        return Part(writer.close(), accumulator.rows() if accumulator else None, scores)

    def _held_out(self, file: int) -> tuple[HeldOutRows, list[str]]:
        """What tells apart the rows of a file that are held out, and the columns that it needs."""
        if self.holdout is None:
            return HeldOutRows(None), []
        return self.holdout.rows(self.source, file), self.holdout.columns(self.source, file)

    def _unseen(self, block: Block, prediction: NDArray[np.float64], batch: pa.RecordBatch, path: str) -> list[Unseen]:
        # a level that the fit has not seen makes the prediction NaN, which is faster to see than the level
        if not self.model.unseen_as_reference and not np.isnan(prediction).any():
            return []
        unseen = self.model.unseen(block.columns[: len(self.model.design.inputs)], block.missing)
        for each in unseen if self.unseen_fails else ():
            at, level = each.first()
            row = batch.column(ROW)[at].as_py()
            raise DataError(
                f"{path}: {each.name} is {level!r} in row {row}, a level that the fit has not seen; correct it, train "
                "again with such rows, or set unseen to null or reference"
            )
        return unseen

    def _check_finite(
        self, columns: Sequence[Values], asked: Sequence[Input], batch: pa.RecordBatch, shard: Shard
    ) -> None:
        for of, values in zip(asked, columns, strict=True):
            if isinstance(values, np.ndarray) and not (finite := np.isfinite(values)).all():
                path, row = self.source.files[shard.file].path, batch.column(ROW)[int(np.argmin(finite))].as_py()
                raise DataError(f"{path}: column {of.column!r} is infinite in row {row}; correct it or make it null")


def _are_finite(lines: Sequence[Values]) -> bool:
    """Whether all numbers are finite; categories are no numbers."""
    return all(np.isfinite(line).all() for line in lines if isinstance(line, np.ndarray))


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


def _key(keys: list[pa.Field], batch: pa.RecordBatch, file: str) -> list[pa.Array]:
    if keys:
        for key in keys:
            try:
                batch.column(key.name).validate(full=True)
            except pa.ArrowInvalid as error:
                reason = f"holds text that is not UTF-8 ({first_line(error)})"
                raise DataError(f"{file}: key column {key.name!r} {reason}; correct it or leave it out") from error
        try:
            return [batch.column(key.name).cast(key.type) for key in keys]
        except pa.ArrowInvalid as error:
            kinds = ", ".join(f"{key.name!r} as {key.type}" for key in keys)
            raise DataError(
                f"{file}: a key does not fit the type that holds those of all files ({kinds}; {first_line(error)}); "
                "write all files with one type"
            ) from error
    return [repeated(file, pa.string(), batch.num_rows), batch.column(ROW)]
