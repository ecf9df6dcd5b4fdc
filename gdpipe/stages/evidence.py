"""Evidence: parameters, history, verdict and metrics as tables, the comparison with the published run, the report."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdpipe.config import TrainingConfig
from gdpipe.fit import Fit
from gdpipe.numerics.descent.landscape import Landscape
from gdpipe.report.page import page
from gdpipe.source.arrays import to_table
from gdpipe.stages.alternatives import Forecast, alternatives
from gdpipe.stages.compare import Comparison, compare
from gdpipe.stages.feature_tables import feature_columns, level_columns
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
        comparison: The comparison with the run published before.
        alternatives: Forecasts of other settings; empty where the fit passed validation.
        files: The tables and the report, already written.
    """

    comparison: Comparison
    alternatives: tuple[Forecast, ...]
    files: tuple[WrittenFile, ...]


def evidence(config: TrainingConfig, ingested: Ingested, fit: Fit, predicted: Predicted, staging: Staging) -> Evidence:
    """Write the tables and the report.

    Raises:
        PublishError: A file cannot be written.
    """
    columns = {
        catalog.PARAMETERS: _parameters(config, fit),
        catalog.LOSS_HISTORY: _loss_history(fit),
        catalog.CONVERGENCE: _convergence(config, fit),
        catalog.METRICS: _metrics(ingested, fit),
    }
    tables = {name: to_table(values, catalog.schema(name, staging.run_id)) for name, values in columns.items()}
    comparison = compare(config, ingested, tables[catalog.PARAMETERS], tables[catalog.METRICS], _rmse_slack(fit))
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
        about = manifest(config, ingested, fit, comparison, files, forecasts)
        optimum, problem = np.array([float(w) for w in fit.baseline.coef_scaled]), fit.regression.problem
        landscape = Landscape.of(problem, fit.solution, optimum, fit.baseline.loss)
        rows = predicted.rows
        worst = [row.as_dict() for row in rows.worst.rows]
        html = page(about, tables, landscape=landscape, included=fit.included, density=rows.density, worst=worst)
        files.append(write_text(staging.folder, "report.html", html))
    return Evidence(comparison, forecasts, tuple(files))


def _rmse_slack(fit: Fit) -> float:
    """The amount by which stopping early and rounding may raise the fit's RMSE above that of OLS, in target units."""
    early = fit.certificate.excess_loss / math.sqrt(fit.solution.loss) if fit.solution.loss else 0.0
    return early + fit.rows.rounding * fit.regression.problem.scaling.target_scale


def _parameters(config: TrainingConfig, fit: Fit) -> dict[str, Any]:
    """The columns of `parameters`: one row a term; the intercept first, if there is one."""
    regression, terms = fit.regression, fit.terms
    dependent = {j for relation in regression.dependencies.relations for j in relation.features}
    if config.collinear == "drop":
        dependent = set(regression.dependencies.redundant)
    status = ["dependent" if j in dependent else "ok" for j in range(len(fit.design.terms))]
    for j in regression.dependencies.constant:
        status[j] = "constant"

    def spread(values: Any, fill: float) -> Any:
        """The values of the intercept and all terms, from those of the intercept and the included terms."""
        full = np.full(len(status) + 1, fill)
        full[[0, *(j + 1 for j in regression.included)]] = values
        return full

    columns: dict[str, Any] = {
        "term": ["intercept", *fit.design.names],
        "estimate": np.array([fit.model.intercept, *fit.model.coef]),
        "estimate_scaled": spread([0.0, *fit.solution.coef_scaled], 0.0),
        "ols_estimate": np.array([fit.ols.intercept, *fit.ols.coef]),
        **{
            name: spread(getattr(terms, name), np.nan)
            for name in ("std_error", "t_value", "p_value", "ci_lower", "ci_upper", "vif", "std_error_hc1")
        },
        "mean": np.array([np.nan, *(float(m) for m in regression.scaling.means)]),
        "scale": np.array([np.nan, *regression.scaling.scales]),
        "status": ["ok", *status],
        "feature": [None, *(term.feature for term in fit.design.terms)],
        "level": [None, *(term.level for term in fit.design.terms)],
    }
    for of_feature, gvif in zip(fit.design.slices, fit.features.gvif.tolist(), strict=True):
        if (
            fit.design.terms[of_feature.start : of_feature.stop]
            and fit.design.terms[of_feature.start].level is not None
        ):
            # NaN stays where a term has no part in the fit
            vif = columns["vif"][of_feature.start + 1 : of_feature.stop + 1]
            vif[~np.isnan(vif)] = gvif
    return columns if config.fit_intercept else {name: values[1:] for name, values in columns.items()}


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


def _convergence(config: TrainingConfig, fit: Fit) -> dict[str, Any]:
    solution, certificate = fit.solution, fit.certificate
    row = {
        "status": solution.status.name.lower(),
        "passed": certificate.passed,
        "method": solution.plan.method,
        "iterations": solution.iterations,
        "forecast_iterations": solution.plan.forecast_iterations,
        "learning_rate": solution.plan.learning_rate,
        "condition_number": fit.regression.problem.condition_number,
        "rank": len(fit.regression.independent),
        "gradient_norm": solution.gradient_norm,
        "distance_bound": solution.distance_bound,
        "coef_gap": certificate.coef_gap,
        "coef_gap_se": certificate.coef_gap_se,
        "loss": solution.loss,
        "ols_loss": fit.baseline.loss,
        "excess_loss": certificate.excess_loss,
        "row_gradient": certificate.row_gradient,
        "tolerance": config.tolerance,
        "dependencies": list(fit.dependencies),
        **_row_checks(fit),
    }
    return {name: [value] for name, value in row.items()}


def _row_checks(fit: Fit) -> dict[str, Any]:
    """The values and limits of checks by the names of `convergence`; where there are none NaN, and None for a count."""
    found = {check.name: check for check in fit.rows.checks}
    columns: dict[str, Any] = {
        "row_count_gap": int(found["row_count_gap"].value) if found else None,
        "row_weight_gap": found["row_weight_gap"].value if found else math.nan,
    }
    for name in ("row_mean_gap", "row_loss_gap", "row_probe_gap"):
        columns[name] = found[name].value if name in found else math.nan
        columns[f"{name}_limit"] = found[name].limit if name in found else math.nan
    return columns


def _metrics(ingested: Ingested, fit: Fit) -> dict[str, Any]:
    cross = fit.regression.problem.cross
    values = {
        "r2_kind": "centred" if cross.centred else "uncentred",
        "n_samples": ingested.rows.used,
        "n_features": len(fit.design.features),
        "total_weight": cross.total_weight,
        "target_mean": float(cross.means()[-1]),
        "target_scale": fit.regression.scaling.target_scale,
    }
    names = catalog.schema(catalog.METRICS, "").names
    return {name: [values[name] if name in values else getattr(fit.statistics, name)] for name in names}
