"""Evidence: parameters, history, verdict and metrics as tables, the comparison with the published run, the report."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gdpipe.config import TrainingConfig
from gdpipe.fit import Fit
from gdpipe.numerics.descent.landscape import Landscape
from gdpipe.penalty_path import PenaltyPath
from gdpipe.report.page import page
from gdpipe.source.arrays import to_table
from gdpipe.stages.alternatives import Forecast, alternatives
from gdpipe.stages.compare import Comparison, compare
from gdpipe.stages.feature_tables import feature_columns, level_columns
from gdpipe.stages.fit_tables import convergence_columns, parameter_columns, path_columns
from gdpipe.stages.held_out import HeldOut, held_out
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.manifest import manifest
from gdpipe.stages.predict import Predicted
from gdpipe.store import catalog
from gdpipe.store.runs import Staging
from gdpipe.store.writer import WrittenFile, write_table, write_text


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The results of a run besides its predictions, whether it passes or not.

    Attributes:
        held_out: The error on rows that the fit has not seen.
        comparison: The comparison with the run published before.
        alternatives: Forecasts of other settings; empty where the fit passed validation.
        files: The tables and the report, already written.
    """

    held_out: HeldOut
    comparison: Comparison
    alternatives: tuple[Forecast, ...]
    files: tuple[WrittenFile, ...]


def evidence(
    config: TrainingConfig,
    ingested: Ingested,
    fit: Fit,
    predicted: Predicted,
    staging: Staging,
    path: PenaltyPath | None = None,
) -> Evidence:
    """Write the tables and the report; `path` is that of the penalty, None without one.

    Raises:
        PublishError: A file cannot be written.
    """
    unseen = held_out(config, ingested, fit, path)
    columns = {
        catalog.PARAMETERS: parameter_columns(config, fit),
        catalog.LOSS_HISTORY: _loss_history(fit),
        catalog.CONVERGENCE: convergence_columns(config, fit),
        catalog.METRICS: _metrics(ingested, fit, unseen),
    }
    if path is not None:
        columns[catalog.PATH] = path_columns(fit, path)
    tables = {
        name: to_table(values, catalog.schema(name, staging.run_id, penalized=path is not None))
        for name, values in columns.items()
    }
    comparison = compare(config, ingested, tables[catalog.PARAMETERS], tables[catalog.METRICS], _rmse_slack(fit))
    if unseen.cross_validation:
        values = unseen.fold_columns(fit)
        tables[catalog.FOLDS] = to_table(values, catalog.schema(catalog.FOLDS, staging.run_id))
    if fit.design.categories:
        for name, values in (
            (catalog.FEATURES, feature_columns(fit)),
            (catalog.LEVELS, level_columns(fit.design, ingested.levels)),
        ):
            tables[name] = to_table(values, catalog.schema(name, staging.run_id))
    if comparison.drift is not None:
        tables[catalog.DRIFT] = comparison.drift
    files = [write_table(staging.folder, f"{name}.parquet", table) for name, table in tables.items()]
    forecasts = () if fit.certificate.passed else alternatives(config, fit)
    if config.report:
        about = manifest(config, ingested, fit, unseen, comparison, files, forecasts)
        landscape = _landscape(fit)
        rows = predicted.rows
        worst = [row.as_dict() for row in rows.worst.rows]
        html = page(about, tables, landscape=landscape, included=fit.included, density=rows.density, worst=worst)
        files.append(write_text(staging.folder, "report.html", html))
    return Evidence(unseen, comparison, forecasts, tuple(files))


def _landscape(fit: Fit) -> Landscape:
    """The ground that the descent went over: that of the coefficients that descend."""
    regression, solution, optimum = fit.regression, fit.solution, np.array([float(w) for w in fit.baseline.coef_scaled])
    absorbed = regression.absorbed
    if absorbed is None:
        return Landscape.of(regression.problem, solution, optimum, fit.baseline.loss, regression.penalty)
    others = absorbed.others
    solution = replace(solution, history_coef_scaled=absorbed.of_descent(solution.history_coef_scaled))
    [of_descent] = absorbed.of_descent(optimum[None])
    found = Landscape.of(regression.problem, solution, of_descent, fit.baseline.loss)
    if found.plane is None or found.plane.direction is None:
        return found
    direction = np.zeros(len(optimum))
    direction[others] = found.plane.direction
    return replace(found, plane=replace(found.plane, direction=direction))


def _rmse_slack(fit: Fit) -> float:
    """The amount by which stopping early and rounding may raise the fit's RMSE above the optimum's, in target units."""
    early = fit.certificate.excess_loss / math.sqrt(fit.loss) if fit.loss else 0.0
    return early + fit.rows.rounding * fit.regression.problem.scaling.target_scale


def _loss_history(fit: Fit) -> dict[str, Any]:
    solution = fit.solution
    n = len(solution.history_iterations)
    full = np.zeros((n, len(fit.design.terms)))
    full[:, fit.regression.included] = solution.history_coef_scaled
    return {
        "iteration": solution.history_iterations,
        "loss": solution.history_loss,
        "gradient_norm": solution.history_gradient_norm,
        "learning_rate": np.full(n, solution.plan.learning_rate),
        "estimate_scaled": full,
    }


def _metrics(ingested: Ingested, fit: Fit, unseen: HeldOut) -> dict[str, Any]:
    cross = fit.regression.cross
    values = {
        "r2_kind": "centred" if cross.centred else "uncentred",
        "n_samples": ingested.rows.used,
        "n_features": len(fit.design.features),
        "total_weight": cross.total_weight,
        "target_mean": float(cross.means()[-1]),
        "target_scale": fit.regression.scaling.target_scale,
        **unseen.metrics(),
    }
    names = catalog.schema(catalog.METRICS, "").names
    return {name: [values[name] if name in values else getattr(fit.statistics, name)] for name in names}
