"""Predict: read the rows again, write a prediction for each, and check the fit against them."""

import math
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa

from gdpipe.engine import at_most
from gdpipe.numerics.covariance import square_root
from gdpipe.numerics.density import Density, DensityGrid
from gdpipe.numerics.descent import Solution
from gdpipe.numerics.moments import Moments, grid_exponents
from gdpipe.numerics.residuals import ResidualGrids, ResidualSums
from gdpipe.stages.columns import Columns
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.predict_shard import Check, Model, PredictShard
from gdpipe.stages.progress import reported
from gdpipe.stages.standardize import Standardized
from gdpipe.tables.source import Source
from gdpipe.tables.store import Staging
from gdpipe.tables.writer import WrittenFile


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
    work = PredictShard(
        ingested.source,
        columns,
        key_fields(ingested.source, columns),
        model,
        staging.folder,
        staging.run_id,
        ingested.room,
        Check(tuple(kept), means_float, 1.0 / scales, grids, density_grid),
    )
    shards = [shard for shard in ingested.shards if shard.file in ingested.predicted]
    files, residuals, density = [], grids.zero(), density_grid.zero() if density_grid else None
    results = at_most(ingested.room.readers, executor).map(work, shards)
    for part in reported(results, ingested.source, shards, "predicted"):
        files.append(part.file)
        # joined at once: small for one shard, not for ten thousand
        residuals = residuals + part.residuals if part.residuals else residuals
        density = density + part.density if density and part.density else density
    return Predicted(model, tuple(files), residuals, grids, density)


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


def key_fields(source: Source, columns: Columns) -> list[pa.Field]:
    """The key columns as predictions have them.

    Raises:
        SchemaError: No type holds the values of all files.
    """
    return [source.unified(name) for name in columns.key]
