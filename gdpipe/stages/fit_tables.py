"""The columns of `parameters`, `convergence` and `path`, from a fit."""

import math
from typing import Any

import numpy as np

from gdpipe.config import TrainingConfig
from gdpipe.fit import Fit
from gdpipe.numerics.inference.penalized_certificate import PenalizedCertificate
from gdpipe.penalty_path import PenaltyPath


def parameter_columns(config: TrainingConfig, fit: Fit) -> dict[str, Any]:
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
        "optimum_estimate": np.array([fit.optimum.intercept, *fit.optimum.coef]),
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


def convergence_columns(config: TrainingConfig, fit: Fit) -> dict[str, Any]:
    """The columns of `convergence`: one row."""
    solution, certificate = fit.solution, fit.certificate
    row = {
        "status": solution.status.name.lower(),
        "passed": certificate.passed,
        "method": solution.plan.method,
        "iterations": solution.iterations,
        "forecast_iterations": solution.plan.forecast_iterations,
        "learning_rate": solution.plan.learning_rate,
        "condition_number": fit.regression.quadratic.condition_number,
        "rank": len(fit.regression.independent),
        "gradient_norm": solution.gradient_norm,
        "distance_bound": solution.distance_bound,
        "coef_gap": certificate.coef_gap,
        "coef_gap_se": certificate.coef_gap_se,
        "loss": fit.loss,
        "ols_loss": fit.ols_loss,
        "excess_loss": certificate.excess_loss,
        "row_gradient": certificate.row_gradient,
        "tolerance": config.tolerance,
        "dependencies": list(fit.dependencies),
        **_row_checks(fit),
        **_penalty(config, fit),
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


def _penalty(config: TrainingConfig, fit: Fit) -> dict[str, Any]:
    """The penalty and its proof, by the names of `convergence`."""
    penalty, certificate = fit.regression.penalty, fit.certificate
    proven = certificate if isinstance(certificate, PenalizedCertificate) else None
    return {
        "penalty": config.penalty,
        "alpha": penalty.alpha if penalty else math.nan,
        "l1_ratio": penalty.l1_ratio if penalty else math.nan,
        "nonzero": int(np.count_nonzero(fit.solution.coef_scaled)),
        "fit_gap": proven.fit_gap if proven else math.nan,
        "proof": proven.proof if proven else None,
    }


def path_columns(fit: Fit, path: PenaltyPath) -> dict[str, Any]:
    """The columns of `path`: one row an alpha."""
    alphas, errors = path.optima.alphas, path.errors
    n, places = len(alphas), np.arange(len(alphas))
    coef, rmse, std_error = np.zeros((n, len(fit.design.terms))), np.full(n, np.nan), np.zeros(n)
    coef[:, fit.regression.included] = path.optima.coef_scaled
    if errors is not None:
        rmse = np.sqrt(errors.mse)
        np.divide(errors.std_error, 2 * rmse, out=std_error, where=rmse > 0)  # by the delta method
    return {
        "alpha": alphas,
        "nonzero": path.optima.n_active,
        "loss": path.loss,
        "cv_rmse": rmse,
        "cv_rmse_se": std_error if errors else rmse,
        "least": places == (errors.least if errors else -1),
        "one_std_error": places == (errors.one_std_error if errors else -1),
        "chosen": places == path.place,
        "estimate_scaled": coef,
    }
