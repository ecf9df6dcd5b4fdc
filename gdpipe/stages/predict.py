"""Predict: read the rows again, write a prediction for each, and check the fit against them."""

import math
import platform
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.errors import DataError, PublishError
from gdpipe.numerics import linear
from gdpipe.numerics.covariance import square_root
from gdpipe.numerics.density import Density, DensityAccumulator, DensityGrid
from gdpipe.numerics.descent import Solution
from gdpipe.numerics.moments import GridOverflow, Moments, grid_exponents
from gdpipe.numerics.residuals import ResidualAccumulator, ResidualGrids, ResidualSums
from gdpipe.stages.columns import Columns
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.progress import reported
from gdpipe.stages.standardize import Standardized
from gdpipe.tables import catalog
from gdpipe.tables.arrays import repeated, to_arrow
from gdpipe.tables.columns import numbers
from gdpipe.tables.place import Place
from gdpipe.tables.scan import ROW, Shard, read
from gdpipe.tables.source import Source
from gdpipe.tables.store import Staging
from gdpipe.tables.writer import TableWriter, WrittenFile

# rows a row group of the predictions: few enough to gather in memory, enough to compress and scan well
ROW_GROUP_ROWS = 262_144


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted line in original units.

    Attributes:
        features: Names, in the order of `coef`.
        coef: Shape (p,), target units per feature unit.
        intercept: In target units.
    """

    features: tuple[str, ...]
    coef: NDArray[np.float64]
    intercept: float


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What the second scan left and learned.

    Attributes:
        model: What predicted.
        files: The parts of predictions, in input order.
        residuals: Sums over the rows that were fitted.
        grids: On which they were summed.
        density: Where those rows lie, for the report's pictures; None without a report.
    """

    model: Model
    files: tuple[WrittenFile, ...]
    residuals: ResidualSums
    grids: ResidualGrids
    density: Density | None = None


def predict(
    ingested: Ingested,
    standardized: Standardized,
    solution: Solution,
    staging: Staging,
    executor: Executor,
    *,
    with_density: bool = False,
) -> Predicted:
    """Write predictions of every row of the files to be predicted, in input order, one part a shard.

    Args:
        ingested: The first scan.
        standardized: The problem.
        solution: Its answer.
        staging: Where the parts go.
        executor: Works on the shards.
        with_density: Whether to count where the rows lie, too.

    Raises:
        DataError: A file changed or broke since it was first read.
        PublishError: A part cannot be written.
    """
    columns, kept = ingested.columns, standardized.kept
    model = _model(standardized, solution, columns.features)
    scales, means = standardized.kept_scaling.scales, standardized.kept_scaling.means
    means_float = np.array([float(m) for m in means])
    # no z can be larger than the values allow, nor, since Σw·z² = Σw, than the weights do
    by_value = (ingested.largest[kept] + np.abs(means_float)) / scales
    by_weight = math.sqrt(standardized.cross.total_weight / ingested.least_weight)
    grids = ResidualGrids.of(
        np.minimum(by_value, by_weight) * (1 + 2**-20),
        _largest_residual(ingested, standardized, solution, model),
        _weight_exponent(ingested),
        standardized.scaling.target_scale,
        exact=isinstance(ingested.moments, Moments),
    )
    density_grid = _density_grid(standardized, solution) if with_density else None
    work = _PredictShard(
        ingested.source,
        columns,
        _keys(ingested.source, columns),
        model,
        staging.folder,
        staging.run_id,
        ingested.batch_rows,
        _Check(tuple(kept), means_float, 1.0 / scales, grids, density_grid),
    )
    shards = [shard for shard in ingested.shards if shard.file in ingested.predicted]
    files, residuals, density = [], grids.zero(), density_grid.zero() if density_grid else None
    for record, sums, counts in reported(executor.map(work, shards), ingested.source, shards, "predicted"):
        files.append(record)
        # joined at once: small for one shard, not for ten thousand
        residuals = residuals + sums if sums else residuals
        density = density + counts if density and counts else density
    return Predicted(model, tuple(files), residuals, grids, density)


def score(
    model: Model,
    source: Source,
    shards: Sequence[Shard],
    columns: Columns,
    staging: Staging,
    batch_rows: int,
    executor: Executor,
) -> tuple[WrittenFile, ...]:
    """Predictions of rows that no fit has seen; `columns.target` may be absent from them.

    Raises:
        DataError: A file is damaged.
        PublishError: A part cannot be written.
    """
    work = _PredictShard(
        source, columns, _keys(source, columns), model, staging.folder, staging.run_id, batch_rows, None
    )
    return tuple(record for record, _, _ in reported(executor.map(work, shards), source, shards, "predicted"))


def _model(standardized: Standardized, solution: Solution, features: tuple[str, ...]) -> Model:
    coef, intercept = standardized.kept_scaling.to_original(solution.coef_scaled.tolist())
    full = np.zeros(len(features))
    full[standardized.kept] = [float(c) for c in coef]
    return Model(features, full, float(intercept))


def _largest_residual(ingested: Ingested, standardized: Standardized, solution: Solution, model: Model) -> float:
    """A bound on every |residual|, known before any is: the same for every shard, however the rows are cut."""
    p = len(model.coef)
    reach = abs(model.intercept) + float(np.abs(model.coef) @ ingested.largest[:p]) + float(ingested.largest[p])
    rounding = 4 * (p + 4) * float(np.finfo(np.float64).eps) * reach
    # Σw·e² = Σw·loss bounds each e², far closer than the largest values do where the fit is good
    by_loss = math.sqrt(standardized.cross.total_weight / ingested.least_weight) * math.sqrt(solution.loss)
    return min(reach, by_loss) * (1 + 2**-40) + rounding


def _density_grid(standardized: Standardized, solution: Solution) -> DensityGrid:
    cross, scaling = standardized.cross, standardized.scaling
    centre, variance = cross.means()[-1], cross.variances()[-1]
    # without an intercept the target may be constant, which float64 sums round to less than no variance; and a perfect
    # fit leaves residuals that are rounding
    about_mean = variance if cross.centred else max(variance - centre**2, Fraction(0))
    spread = square_root(about_mean) or scaling.target_scale
    typical = max(math.sqrt(solution.loss), float(np.finfo(np.float64).eps) * scaling.target_scale)
    return DensityGrid(float(centre), spread, typical)


def _weight_exponent(ingested: Ingested) -> int | None:
    return int(grid_exponents(ingested.largest)[-1]) if ingested.columns.weight else None


@dataclass(frozen=True, slots=True, eq=False)
class _Check:
    """How residuals are gathered: which features count, standardized how, on which grids."""

    kept: tuple[int, ...]
    means: NDArray[np.float64]
    per_scale: NDArray[np.float64]
    grids: ResidualGrids
    density: DensityGrid | None


@dataclass(frozen=True, slots=True, eq=False)
class _PredictShard:
    """A shard's work: repeating it writes the same file and returns the same sums."""

    source: Source
    columns: Columns
    keys: list[pa.Field]
    model: Model
    folder: Place
    run_id: str
    batch_rows: int
    check: _Check | None

    def __call__(self, shard: Shard) -> tuple[WrittenFile, ResidualSums | None, Density | None]:
        has_target = self.columns.target in self.source.schema.names
        target = [self.columns.target] if has_target else []
        weight = [self.columns.weight] if self.columns.weight and self.check else []
        names = [*self.columns.features, *target, *weight]
        schema = catalog.predictions_schema(self.keys, self.run_id)
        if not self.folder.is_shared():
            raise PublishError(f"{self.folder}: no such folder on {platform.node()}; all workers must share the output")
        writer = TableWriter(self.folder, f"{catalog.PREDICTIONS}/part-{shard.number:05d}.parquet", schema)
        accumulator = ResidualAccumulator(self.check.grids) if self.check else None
        density = DensityAccumulator(self.check.density) if self.check and self.check.density else None
        file = self.source.files[shard.file].name
        p = len(self.columns.features)
        waiting: list[pa.Table] = []
        try:
            for batch in read(self.source, shard, [*names, *self.columns.key], self.batch_rows):
                block = numbers(batch, names)
                self._check_finite(block.values, names, batch, shard)
                n = batch.num_rows
                none = np.zeros((len(names), n), np.bool_)
                missing = none if block.missing is None else block.missing
                prediction = linear.predict(block.values[:p], self.model.coef, self.model.intercept)
                actual = block.values[p] if has_target else np.zeros(n)
                no_target = missing[p] if has_target else np.ones(n, np.bool_)
                residual = actual - prediction
                no_prediction: NDArray[np.bool_] = np.logical_or.reduce(missing[:p])
                numeric = [
                    _array(actual.copy(), no_target),  # not a view: it would keep every column of the batch
                    _array(prediction, no_prediction),
                    _array(residual, no_prediction | no_target),
                ]
                waiting.append(pa.Table.from_arrays([*_key(self.keys, batch, file), *numeric], schema=schema))
                if sum(t.num_rows for t in waiting) >= ROW_GROUP_ROWS:
                    writer.write(pa.concat_tables(waiting))
                    waiting = []
                if accumulator is not None and self.check is not None:
                    used = self._used(block.values, missing)
                    self._gather(accumulator, self.check, block.values, used, residual)
                    if density is not None:
                        density.add(*(line if used.all() else line[used] for line in (prediction, actual, residual)))
            if waiting:
                writer.write(pa.concat_tables(waiting))
        except BaseException as error:
            writer.abandon()
            if isinstance(error, GridOverflow):
                path = self.source.files[shard.file].path
                reason = "holds values beyond the largest that its footer announces; its statistics are wrong"
                raise DataError(f"{path}: {reason}, write it again") from error
            raise
        return writer.close(), accumulator.sums() if accumulator else None, density.counts() if density else None

    def _check_finite(
        self, values: NDArray[np.float64], names: Sequence[str], batch: pa.RecordBatch, shard: Shard
    ) -> None:
        if np.isfinite(values).all():
            return
        column, at = np.argwhere(~np.isfinite(values))[0].tolist()
        path, row = self.source.files[shard.file].path, batch.column(ROW)[at].as_py()
        raise DataError(f"{path}: column {names[column]!r} is infinite in row {row}; correct it or make it null")

    def _used(self, values: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
        used: NDArray[np.bool_] = ~np.logical_or.reduce(missing)
        return used & (values[-1] > 0) if self.columns.weight else used

    def _gather(
        self,
        accumulator: ResidualAccumulator,
        check: _Check,
        values: NDArray[np.float64],
        used: NDArray[np.bool_],
        residual: NDArray[np.float64],
    ) -> None:
        weights = values[-1, used] if self.columns.weight else None
        every = bool(used.all())
        z = np.empty((len(check.kept) + 1, len(residual) if every else int(used.sum())))
        z[-1] = 1.0
        for line, j, mean, per_scale in zip(
            z, check.kept, check.means.tolist(), check.per_scale.tolist(), strict=False
        ):
            np.subtract(values[j] if every else values[j, used], mean, out=line)
            np.multiply(line, per_scale, out=line)
        accumulator.add(z, residual if every else residual[used], weights)


def _keys(source: Source, columns: Columns) -> list[pa.Field]:
    return [source.unified(name) for name in columns.key]


def _key(keys: list[pa.Field], batch: pa.RecordBatch, file: str) -> list[pa.Array]:
    if keys:
        return [batch.column(key.name).cast(key.type) for key in keys]
    return [repeated(file, pa.string(), batch.num_rows), batch.column(ROW)]


def _array(values: NDArray[np.float64], missing: NDArray[np.bool_]) -> pa.Array:
    return to_arrow(values, pa.float64(), missing)
