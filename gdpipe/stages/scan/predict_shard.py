"""The second scan's work on a shard: a part of the predictions, and sums of the residuals."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.design import Input
from gdpipe.errors import DataError, PublishError
from gdpipe.model import Model
from gdpipe.numerics.sums.digits import GridOverflow
from gdpipe.source.arrays import repeated, to_arrow
from gdpipe.source.budget import Budget
from gdpipe.source.columns import is_numeric, read_columns
from gdpipe.source.files import first_line
from gdpipe.source.scan import ROW, Shard, read
from gdpipe.source.source import Source
from gdpipe.source.source_file import SourceFile
from gdpipe.stages.columns import Columns
from gdpipe.stages.scan.defined import check_defined
from gdpipe.stages.scan.rows_again import RowsAgain, RowsAgainAccumulator, RowsSpec, ScoreSums
from gdpipe.store import catalog
from gdpipe.store.place import Place
from gdpipe.store.writer import TableWriter, WrittenFile, output_errors

# rows in a row group of the predictions: few enough to gather in memory, enough to compress and scan well
ROW_GROUP_ROWS = 131_072
# bytes in a row group where keys are wide
WAITING_BYTES = 16 * 2**20


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

    Without `spec` it scores: the target then counts in the files that have one.
    """

    source: Source
    columns: Columns
    keys: list[pa.Field]
    model: Model
    folder: Place
    run_id: str
    budget: Budget
    spec: RowsSpec | None

    def __call__(self, shard: Shard) -> Part:
        """Write a shard's part, and sum its residuals.

        Raises:
            DataError: A value is infinite, or beyond what the footer announces.
            PublishError: The part cannot be written.
        """
        spec, source_file = self.spec, self.source.files[shard.file]
        has_target = spec is not None or no_target(self.source, source_file, self.columns.target) is None
        target = [self.columns.target] if has_target else []
        weight = [self.columns.weight] if self.columns.weight and spec else []
        asked = [*self.columns.design.inputs, *map(Input, target + weight)]
        names = [of.column for of in asked]
        schema = catalog.predictions_schema(self.keys, self.run_id)
        with output_errors(f"{self.folder} on {platform.node()}"):
            if not self.folder.is_shared():
                raise PublishError(
                    f"{self.folder}: no such folder on {platform.node()}; all workers must share the output"
                )
        writer = TableWriter(self.folder, f"{catalog.PREDICTIONS}/part-{shard.number:05d}.parquet", schema)
        accumulator = RowsAgainAccumulator(spec) if spec else None
        p = len(self.columns.features)
        scores = None if spec else ScoreSums.zero(p)
        waiting: list[pa.Table] = []
        try:
            for batch in read(self.source, shard, [*asked, *self.columns.key], self.budget):
                block = read_columns(batch, asked)
                check_defined(self.columns.design, block, batch, source_file.path)
                n = batch.num_rows
                actual = block.numbers[p] if has_target else np.zeros(n)
                # too large for float64 becomes infinite; scoring counts such rows
                with np.errstate(over="ignore", invalid="ignore"):
                    prediction = self.model.predict(block.columns[:p])
                    residual = actual - prediction
                # where a feature is infinite, the prediction is infinite or NaN; scoring needs no target
                needed = len(names) if spec else p
                if not all(np.isfinite(line).all() for line in (prediction, *block.numbers[p:needed])):
                    self._check_finite(block.numbers[:needed], names[:needed], batch, shard)
                no_residual = block.missing_in(slice(p + 1)) if has_target else np.ones(n, np.bool_)
                numeric = [
                    to_arrow(actual, pa.float64(), block.missing_in(slice(p, p + 1)) if has_target else no_residual),
                    to_arrow(prediction, pa.float64(), block.missing_in(slice(p))),
                    to_arrow(residual, pa.float64(), no_residual),
                ]
                waiting.append(
                    pa.Table.from_arrays([*_key(self.keys, batch, source_file.name), *numeric], schema=schema)
                )
                if sum(t.num_rows for t in waiting) >= ROW_GROUP_ROWS or sum(t.nbytes for t in waiting) > WAITING_BYTES:
                    writer.write(pa.concat_tables(waiting))
                    waiting = []
                if scores is not None:
                    scores += ScoreSums.of(block, actual if has_target else None, residual)
                if accumulator is not None:
                    accumulator.add(block, prediction, residual)
            if waiting:
                writer.write(pa.concat_tables(waiting))
        except BaseException as error:
            writer.abandon()
            if isinstance(error, GridOverflow):
                reason = "holds values beyond what its footer or the sums allow"
                remedy = "write it again, for its statistics are wrong, or remove moments/ of the output"
                raise DataError(f"{source_file.path}: {reason}; {remedy}") from error
            raise
        return Part(writer.close(), accumulator.rows() if accumulator else None, scores)

    def _check_finite(
        self, columns: list[NDArray[np.float64]], names: Sequence[str], batch: pa.RecordBatch, shard: Shard
    ) -> None:
        for name, finite in zip(names, map(np.isfinite, columns), strict=True):
            if not finite.all():
                path, row = self.source.files[shard.file].path, batch.column(ROW)[int(np.argmin(finite))].as_py()
                raise DataError(f"{path}: column {name!r} is infinite in row {row}; correct it or make it null")


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
