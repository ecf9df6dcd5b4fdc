"""Predict: read the rows again, write a prediction for each, and check the fit against them."""

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from gdpipe.fit import mean_squared_error
from gdpipe.model import Model
from gdpipe.numerics.descent.descent import Solution
from gdpipe.numerics.problem.covariance import square_root
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.rows.density import DensityGrid, FeatureGrid
from gdpipe.numerics.rows.level_terms import IncludedTerms, centres_and_bounds, included_terms, level_grids
from gdpipe.numerics.rows.linear import LineSize
from gdpipe.numerics.rows.probe import Probe
from gdpipe.numerics.rows.residuals import ResidualGrids
from gdpipe.numerics.sums.moments import Moments, grid_exponents
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.scan.predict_shard import PredictShard
from gdpipe.stages.scan.rows_again import RowsAgain, RowsAgainAccumulator, RowsSpec
from gdpipe.stages.scanned import scanned
from gdpipe.store.runs import Staging
from gdpipe.store.writer import WrittenFile

# features whose residuals the report draws: each costs about 3 ns a row, where the scan takes 400 and more
MOST_FEATURES = 12


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """The results of the second scan.

    Attributes:
        model: The model of the predictions.
        files: The parts of predictions, in input order.
        rows: The sums over the rows that were read again; also their density, if the report's pictures need it.
        grids: The grids on which the residuals were summed.
        terms: The terms that take part in the fit, by feature.
        probe: The second line on which rows and sums are compared, besides the model.
    """

    model: Model
    files: tuple[WrittenFile, ...]
    rows: RowsAgain
    grids: ResidualGrids
    terms: tuple[IncludedTerms, ...]
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
    scaling, total_weight = regression.whole.scaling, regression.cross.total_weight
    design, largest = columns.design, ingested.largest
    terms = included_terms(design.blocks, design.levels, included, scaling)
    alone = [of for of in terms if of.number is not None and not of.key]
    numbers = [of.number for of in alone if of.number is not None]
    means, scales = (np.array([getattr(of, name)[0] for of in alone]) for name in ("means", "scales"))
    # bounds of |z|: from the largest value, and, since Σw·z² = Σw, from the weights
    by_value = (largest[numbers] + np.abs(means)) / scales
    by_weight = math.sqrt(total_weight / ingested.least_weight)
    loss = mean_squared_error(regression, solution)
    largest_residual = _largest_residual(ingested, total_weight, loss, model)
    grids = ResidualGrids.of(
        np.minimum(by_value, by_weight) * (1 + 2**-20),
        largest_residual,
        _weight_exponent(ingested),
        scaling.target_scale,
        # with categories there are few numbers, however many the terms are
        exact=isinstance(ingested.moments, Moments) or bool(design.categories),
    )
    constant = regression.dependencies.constant
    if len(alone) < len(terms):
        centres, bounds = centres_and_bounds(design.blocks, regression.scaling, constant, largest, by_weight)
        largest_weight = float(largest[-1]) if columns.weight else 1.0
        by_level = level_grids(terms, design.levels, centres, bounds, largest_residual / grids.unit, largest_weight)
        grids = replace(grids, levels=by_level)
    probe = Probe.of(regression.scaling, constant, largest, grids.unit, design.blocks)
    density_grid = _density_grid(regression, solution, loss, alone, len(terms)) if with_density else None
    weighted = columns.weight is not None
    held_out = grid_exponents(np.array([_reach(ingested, model) / grids.unit * (1 + 2**-20)]), every=1)
    spec = RowsSpec(design, tuple(numbers), means, 1.0 / scales, grids, probe, weighted, density_grid, held_out)
    work = PredictShard(
        ingested.source,
        columns,
        [ingested.source.unified(name) for name in columns.key],
        model,
        staging.folder,
        staging.run_id,
        ingested.budget,
        spec,
        holdout=ingested.cells.holdout,
    )
    shards = [shard for shard in ingested.shards if shard.file in ingested.predicted]
    files, rows = [], RowsAgainAccumulator(spec).rows()
    for part in scanned(work, shards, executor, "predicted"):
        files.append(part.file)
        # joined at once, as ten thousand of them would need much memory
        rows = rows + part.rows if part.rows else rows
    for f in sorted({shard.file for shard in shards}):
        ingested.source.check_as_listed(ingested.source.files[f])
    return Predicted(model, tuple(files), rows, grids, terms, probe)


def _largest_residual(ingested: Ingested, total_weight: float, loss: float, model: Model) -> float:
    """A bound on every |residual| before the scan: the same for every shard, however the rows are split."""
    reach = _reach(ingested, model)
    # Σw·e² = Σw·loss bounds each e², and for a good fit far closer than the largest values do
    by_loss = math.sqrt(total_weight / ingested.least_weight) * math.sqrt(loss)
    rounding = 4 * (len(model.design.blocks) + 4) * float(np.finfo(np.float64).eps) * reach
    return min(reach, by_loss) * (1 + 2**-40) + rounding


def _reach(ingested: Ingested, model: Model) -> float:
    """A bound on every |residual| from the largest values, those of rows that are held out among them."""
    line = LineSize.of(model.coef, model.intercept, model.design.blocks, ingested.largest)
    return line.reach + float(ingested.largest[len(model.design.numbers)])


def _density_grid(
    regression: Regression, solution: Solution, loss: float, alone: Sequence[IncludedTerms], n_features: int
) -> DensityGrid:
    """The cells of the report's pictures; of the numbers that are terms by themselves those with most effect."""
    effects = np.abs(solution.coef_scaled)
    # without an intercept a scale is no standard deviation
    columns = regression.cross
    drawn = sorted(sorted(alone, key=lambda of: -float(effects[of.places[0]]))[:MOST_FEATURES], key=_place)
    features = []
    for of in drawn if columns.centred else ():
        assert of.number is not None
        grid = FeatureGrid(of.number, _place(of), float(of.means[0]), float(of.scales[0]))
        if grid.has_cells:
            features.append(grid)
    cross, scaling = regression.cross, regression.whole.scaling
    centre, variance = cross.means()[-1], cross.variances()[-1]
    # without an intercept the target may be constant, so that float64 sums give a negative variance; the residuals of a
    # perfect fit are nothing but rounding
    about_mean = variance if cross.centred else max(variance - centre**2, Fraction(0))
    spread = square_root(about_mean) or scaling.target_scale
    typical = max(math.sqrt(loss), float(np.finfo(np.float64).eps) * scaling.target_scale)
    is_alone = len(features) == n_features == 1
    return DensityGrid(float(centre), spread, typical, features=tuple(features), alone=is_alone)


def _place(of: IncludedTerms) -> int:
    return int(of.places[0])


def _weight_exponent(ingested: Ingested) -> int | None:
    if not ingested.columns.weight:
        return None
    # the first scan's grid, so that both scans have the same weights to the last bit
    moments = ingested.moments
    return moments.weight_exponent if isinstance(moments, Moments) else int(grid_exponents(ingested.largest)[-1])
