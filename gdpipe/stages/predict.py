"""Predict: read the rows again, write a prediction for each, and check the fit against them."""

import math
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from gdpipe.model import Model
from gdpipe.numerics.descent.descent import Solution
from gdpipe.numerics.problem.covariance import square_root
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.rows.density import DensityGrid
from gdpipe.numerics.rows.probe import Probe
from gdpipe.numerics.rows.residuals import ResidualGrids
from gdpipe.numerics.sums.moments import Moments, grid_exponents
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.scan.predict_shard import PredictShard
from gdpipe.stages.scan.rows_again import RowsAgain, RowsAgainAccumulator, RowsSpec
from gdpipe.stages.scanned import scanned
from gdpipe.store.runs import Staging
from gdpipe.store.writer import WrittenFile


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """The results of the second scan.

    Attributes:
        model: The model of the predictions.
        files: The parts of predictions, in input order.
        rows: The sums over the rows that were read again; also their density, if the report's pictures need it.
        grids: The grids on which the residuals were summed.
        probe: The second line on which rows and sums are compared, besides the model.
    """

    model: Model
    files: tuple[WrittenFile, ...]
    rows: RowsAgain
    grids: ResidualGrids
    probe: Probe


def predict(
    ingested: Ingested,
    regression: Regression,
    solution: Solution,
    staging: Staging,
    executor: Executor,
    *,
    with_density: bool = False,
) -> Predicted:
    """Write predictions of every row of the files to be predicted, in input order, one part a shard.

    Raises:
        DataError: A file changed or broke since it was first read.
        PublishError: A part cannot be written.
    """
    columns, included = ingested.columns, regression.included
    model = Model(columns.design, *regression.to_original(solution.coef_scaled.tolist()))
    scaling, total_weight = regression.problem.scaling, regression.problem.cross.total_weight
    means = np.array([float(m) for m in scaling.means])
    # bounds of |z|: from the largest value, and, since Σw·z² = Σw, from the weights
    by_value = (ingested.largest[included] + np.abs(means)) / scaling.scales
    by_weight = math.sqrt(total_weight / ingested.least_weight)
    grids = ResidualGrids.of(
        np.minimum(by_value, by_weight) * (1 + 2**-20),
        _largest_residual(ingested, total_weight, solution, model),
        _weight_exponent(ingested),
        scaling.target_scale,
        exact=isinstance(ingested.moments, Moments),
    )
    constant = regression.dependencies.constant
    probe = Probe.of(regression.scaling, constant, ingested.largest, grids.unit)
    density_grid = _density_grid(regression, solution) if with_density else None
    weighted = columns.weight is not None
    spec = RowsSpec(columns.design, tuple(included), means, 1.0 / scaling.scales, grids, probe, weighted, density_grid)
    work = PredictShard(
        ingested.source,
        columns,
        [ingested.source.unified(name) for name in columns.key],
        model,
        staging.folder,
        staging.run_id,
        ingested.budget,
        spec,
    )
    shards = [shard for shard in ingested.shards if shard.file in ingested.predicted]
    files, rows = [], RowsAgainAccumulator(spec).rows()
    for part in scanned(work, shards, executor, "predicted"):
        files.append(part.file)
        # joined at once, as ten thousand of them would need much memory
        rows = rows + part.rows if part.rows else rows
    for f in sorted({shard.file for shard in shards}):
        ingested.source.check_as_listed(ingested.source.files[f])
    return Predicted(model, tuple(files), rows, grids, probe)


def _largest_residual(ingested: Ingested, total_weight: float, solution: Solution, model: Model) -> float:
    """A bound on every |residual| before the scan: the same for every shard, however the rows are split."""
    p = len(model.coef)
    reach = abs(model.intercept) + float(np.abs(model.coef) @ ingested.largest[:p]) + float(ingested.largest[p])
    rounding = 4 * (p + 4) * float(np.finfo(np.float64).eps) * reach
    # Σw·e² = Σw·loss bounds each e², and for a good fit far closer than the largest values do
    by_loss = math.sqrt(total_weight / ingested.least_weight) * math.sqrt(solution.loss)
    return min(reach, by_loss) * (1 + 2**-40) + rounding


def _density_grid(regression: Regression, solution: Solution) -> DensityGrid:
    cross, scaling = regression.problem.cross, regression.problem.scaling
    centre, variance = cross.means()[-1], cross.variances()[-1]
    # without an intercept the target may be constant, so that float64 sums give a negative variance; the residuals of a
    # perfect fit are nothing but rounding
    about_mean = variance if cross.centred else max(variance - centre**2, Fraction(0))
    spread = square_root(about_mean) or scaling.target_scale
    typical = max(math.sqrt(solution.loss), float(np.finfo(np.float64).eps) * scaling.target_scale)
    return DensityGrid(float(centre), spread, typical)


def _weight_exponent(ingested: Ingested) -> int | None:
    if not ingested.columns.weight:
        return None
    # the first scan's grid, so that both scans have the same weights to the last bit
    moments = ingested.moments
    return moments.weight_exponent if isinstance(moments, Moments) else int(grid_exponents(ingested.largest)[-1])
