"""Validate: hold the descent against the exact baseline, write the evidence, and refuse what does not pass."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.config import TrainingConfig
from gdpipe.errors import ConvergenceError, QualityError
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import Solution
from gdpipe.numerics.descent.landscape import Landscape
from gdpipe.numerics.inference.certificate import Certificate, certify
from gdpipe.numerics.inference.inference import FitStatistics, TermInference, fit_statistics, infer_terms
from gdpipe.numerics.problem import baseline as ols
from gdpipe.numerics.problem.baseline import Baseline
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.rows.gradient import gradient_of_sums
from gdpipe.numerics.rows.residuals import ResidualStatistics
from gdpipe.numerics.rows.row_checks import RowCheck
from gdpipe.printable import logger_named
from gdpipe.report.page import page
from gdpipe.source.arrays import to_table
from gdpipe.stages.alternatives import alternatives
from gdpipe.stages.check_rows import REMEDY, as_columns, check_rows
from gdpipe.stages.compare import Comparison, compare
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.manifest import manifest
from gdpipe.stages.predict import Predicted
from gdpipe.stages.standardize import Standardized
from gdpipe.store import catalog
from gdpipe.store.runs import Staging
from gdpipe.store.writer import WrittenFile, write_table, write_text

logger = logger_named(__name__)

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class ConvergenceReport:
    """The verdict and its evidence.

    Attributes:
        certificate: The numbers that decide.
        comparison: With the run published before.
        files: The tables that hold them, already written.
    """

    certificate: Certificate
    comparison: Comparison
    files: tuple[WrittenFile, ...]


def validate(
    config: TrainingConfig,
    ingested: Ingested,
    standardized: Standardized,
    solution: Solution,
    predicted: Predicted,
    staging: Staging,
) -> ConvergenceReport:
    """Measure the distance to the optimum in four ways and write parameters, history, verdict and metrics.

    Raises:
        ConvergenceError: The run does not pass; its evidence is then in `rejected/`.
        QualityError: It passes, but not the gate; likewise.
        PublishError: The evidence cannot be written.
    """
    cross, scaling, problem = standardized.cross, standardized.kept_scaling, standardized.problem
    baseline = ols.solve(cross, scaling, problem, standardized.relations)
    residuals = _residuals(ingested, standardized, predicted)
    if not ingested.whole_weights:  # there is no row before a row of weight 0.3
        residuals = dataclasses.replace(residuals, durbin_watson=math.nan)
    coef, intercept = scaling.to_original(baseline.coef_scaled)
    ols_estimate = np.array([float(v) for v in (intercept, *coef)])
    terms = infer_terms(
        cross,
        scaling,
        problem,
        residuals,
        baseline.loss,
        ols_estimate,
        standardized.independent,
        standardized.identified,
        standardized.intercept_identified,
    )
    fit = fit_statistics(cross, scaling, problem, residuals, solution.loss, standardized.independent)
    rounding = _row_rounding(ingested, standardized, predicted)
    std_error = np.array([terms.std_error[0] / scaling.target_scale, *terms.std_error_scaled[1:]])
    names = [ingested.columns.features[j] for j in standardized.kept]
    checks = check_rows(ingested, standardized, predicted)
    certificate = certify(
        problem,
        solution,
        baseline.coef_scaled,
        Agreement.of(problem, scaling, baseline.coef_scaled, std_error),
        ["intercept", *names],
        _row_gradient(residuals, predicted) * (residuals.unit / scaling.target_scale),
        rounding,
        checks,
    )
    if any(check.failed for check in checks):
        certificate = dataclasses.replace(certificate, reason=f"{certificate.reason}; {REMEDY}")
    columns = {
        catalog.PARAMETERS: _parameters(config, ingested, standardized, solution, predicted, ols_estimate, terms),
        catalog.LOSS_HISTORY: _loss_history(standardized, solution),
        catalog.CONVERGENCE: _convergence(config, standardized, solution, baseline, certificate, checks),
        catalog.METRICS: _metrics(ingested, standardized, fit, centred=config.fit_intercept),
    }
    tables = {name: to_table(c, catalog.schema(name, staging.run_id)) for name, c in columns.items()}
    comparison = compare(
        config,
        ingested,
        tables[catalog.PARAMETERS],
        tables[catalog.METRICS],
        _rmse_slack(certificate, solution, rounding * standardized.scaling.target_scale),
    )
    if comparison.drift is not None:
        tables[catalog.DRIFT] = comparison.drift
    files = [write_table(staging.folder, f"{name}.parquet", table) for name, table in tables.items()]
    forecasts = () if certificate.passed else alternatives(config, ingested, standardized, terms.vif[1:])
    if config.report:
        about = manifest(config, ingested, standardized, certificate, comparison, files, forecasts)
        optimum = np.array([float(w) for w in baseline.coef_scaled])
        landscape = Landscape.of(problem, solution, optimum, baseline.loss, scaling, centred=config.fit_intercept)
        html = page(about, *tables.values(), landscape=landscape, kept=names, density=predicted.rows.density)
        files.append(write_text(staging.folder, "report.html", html))
    gate = comparison.gate
    if not certificate.passed or (gate and not gate.passed):
        staging.drop(catalog.PREDICTIONS)
        about = manifest(config, ingested, standardized, certificate, comparison, files, forecasts)
        evidence = str(staging.reject(about))
        if not certificate.passed:
            raise ConvergenceError(f"the run did not pass validation: {certificate.reason}", evidence=evidence)
        if gate:
            raise QualityError(f"the run did not pass the gate: {gate.reason}", evidence=evidence)
    logger.info("validated: %s (gap to OLS %.3g)", certificate.reason, certificate.coef_gap)
    return ConvergenceReport(certificate, comparison, tuple(files))


def _residuals(ingested: Ingested, standardized: Standardized, predicted: Predicted) -> ResidualStatistics:
    """What the predict scan says of all rows; NaN where it takes every row and not every row was read."""
    read, not_read = predicted.rows.residuals.powers, ingested.unpredicted
    if read.n_samples and not not_read.n_samples:
        return ResidualStatistics.of(predicted.rows.residuals, predicted.grids)
    p, nan, unit = len(standardized.kept), math.nan, predicted.grids.unit
    gradient = np.full(p, nan)
    if read.n_samples:
        # the gradient is a sum over rows: those that were not read add what their sums tell
        cross = CrossProducts.of(not_read, centred=True).select([*standardized.kept, len(ingested.columns.features)])
        scaling, model = standardized.kept_scaling, predicted.model
        means = np.array([float(m) for m in scaling.means])
        by_sums = gradient_of_sums(cross, model.coef[standardized.kept], model.intercept, means, scaling.scales)
        by_rows = ResidualStatistics.of(predicted.rows.residuals, predicted.grids).gradient
        total, apart = standardized.cross.total_weight, cross.total_weight
        gradient = (by_rows * (total - apart) + by_sums / unit) / total
    return ResidualStatistics(gradient, np.full((p, p), nan), np.full(p, nan), nan, (nan, nan, nan, nan), unit, nan)


def _row_gradient(residuals: ResidualStatistics, predicted: Predicted) -> float:
    return float(np.abs(residuals.gradient).max(initial=0.0)) if predicted.rows.residuals.powers.n_samples else math.nan


def _row_rounding(ingested: Ingested, standardized: Standardized, predicted: Predicted) -> float:
    """What rounding of predictions and coefficients can do to the row gradient, in target SDs."""
    model = predicted.model
    size = abs(model.intercept) + float(np.abs(model.coef) @ ingested.largest[: len(model.coef)])
    return 2 * EPSILON * (len(model.coef) + 4) * size / standardized.scaling.target_scale


def _rmse_slack(certificate: Certificate, solution: Solution, rounding: float) -> float:
    """By how much the fit's RMSE may lie above that of OLS, in target units: it stopped early, and it is rounded."""
    early = certificate.excess_loss / math.sqrt(solution.loss) if solution.loss else 0.0
    return early + rounding


def _parameters(
    config: TrainingConfig,
    ingested: Ingested,
    standardized: Standardized,
    solution: Solution,
    predicted: Predicted,
    ols_estimate: NDArray[np.float64],
    terms: TermInference,
) -> dict[str, Any]:
    """One row a term; the intercept first, if there is one."""
    features, kept = ingested.columns.features, standardized.kept
    dependent = {j for relation in standardized.dependencies.relations for j in relation.features}
    if config.collinear == "drop":
        dependent = set(standardized.dependencies.redundant)
    status = ["dependent" if j in dependent else "ok" for j in range(len(features))]
    for j in standardized.dependencies.constant:
        status[j] = "constant"

    def spread(values: Any, fill: float) -> Any:
        """Intercept and all features, from intercept and kept features."""
        full = np.full(len(features) + 1, fill)
        full[[0, *(j + 1 for j in kept)]] = values
        return full

    columns: dict[str, Any] = {
        "term": ["intercept", *features],
        "estimate": np.array([predicted.model.intercept, *predicted.model.coef]),
        "estimate_scaled": spread([0.0, *solution.coef_scaled], 0.0),
        "ols_estimate": spread(ols_estimate, 0.0),
        **{
            name: spread(getattr(terms, name), np.nan)
            for name in ("std_error", "t_value", "p_value", "ci_lower", "ci_upper", "vif", "std_error_hc1")
        },
        "mean": np.array([np.nan, *(float(m) for m in standardized.scaling.means)]),
        "scale": np.array([np.nan, *standardized.scaling.scales]),
        "status": ["ok", *status],
    }
    return columns if config.fit_intercept else {name: values[1:] for name, values in columns.items()}


def _loss_history(standardized: Standardized, solution: Solution) -> dict[str, Any]:
    n = len(solution.history_iterations)
    full = np.zeros((n, len(standardized.scaling.means)))
    full[:, standardized.kept] = solution.history_coef_scaled
    return {
        "iteration": solution.history_iterations,
        "loss": solution.history_loss,
        "gradient_norm": solution.history_gradient_norm,
        "learning_rate": np.full(n, solution.plan.learning_rate),
        "estimate_scaled": full,
    }


def _convergence(
    config: TrainingConfig,
    standardized: Standardized,
    solution: Solution,
    baseline: Baseline,
    certificate: Certificate,
    checks: Sequence[RowCheck],
) -> dict[str, Any]:
    row = {
        "status": solution.status.name.lower(),
        "passed": certificate.passed,
        "method": solution.plan.method,
        "iterations": solution.iterations,
        "forecast_iterations": solution.plan.forecast_iterations,
        "learning_rate": solution.plan.learning_rate,
        "condition_number": standardized.problem.condition_number,
        "rank": len(standardized.independent),
        "gradient_norm": solution.gradient_norm,
        "distance_bound": solution.distance_bound,
        "coef_gap": certificate.coef_gap,
        "coef_gap_se": certificate.coef_gap_se,
        "loss": solution.loss,
        "ols_loss": baseline.loss,
        "excess_loss": certificate.excess_loss,
        "row_gradient": certificate.row_gradient,
        "tolerance": config.tolerance,
        "dependencies": list(standardized.described),
        **as_columns(checks),
    }
    return {name: [value] for name, value in row.items()}


def _metrics(ingested: Ingested, standardized: Standardized, fit: FitStatistics, *, centred: bool) -> dict[str, Any]:
    values = {
        "r2_kind": "centred" if centred else "uncentred",
        "n_samples": ingested.rows.used,
        "n_features": len(ingested.columns.features),
        "total_weight": standardized.cross.total_weight,
        "target_mean": float(standardized.cross.means()[-1]),
        "target_scale": standardized.scaling.target_scale,
    }
    names = catalog.schema(catalog.METRICS, "").names
    return {name: [values[name] if name in values else getattr(fit, name)] for name in names}
