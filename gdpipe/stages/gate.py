"""The gate: whether a fit that passed validation is good enough to be published."""

from dataclasses import dataclass

from gdpipe.config import TrainingConfig
from gdpipe.numerics.problem.covariance import CrossProducts, square_root
from gdpipe.numerics.rows.linear import mean_squared_error
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.other_levels import Line, carried_over
from gdpipe.stages.previous import PublishedFit


@dataclass(frozen=True, slots=True)
class Gate:
    """The thresholds, the numbers compared with them, and the outcome; None where there is no such number.

    Attributes:
        max_rmse_increase, min_r2: The settings.
        r2, rmse: Those of the new fit, on today's rows.
        previous_run_id: The published run.
        previous_rmse: The RMSE of the published model on today's rows, from their sums.
        previous_rmse_published: The RMSE of the published run on its own rows.
        rmse_limit: The lower of these two, raised by max_rmse_increase and by the cost of stopping early and rounding.
        passed: Whether the fit meets every threshold.
        reason: Each number with its threshold, or those that miss it.
    """

    max_rmse_increase: float | None
    min_r2: float | None
    r2: float
    rmse: float
    previous_run_id: str | None
    previous_rmse: float | None
    previous_rmse_published: float | None
    rmse_limit: float | None
    passed: bool
    reason: str


def judge(
    config: TrainingConfig, ingested: Ingested, fit: PublishedFit, previous: PublishedFit | None, slack: float
) -> Gate:
    """The gate of a fit: `min_r2` and, where a run of the same target is published, `max_rmse_increase`.

    The RMSE is compared with the lower of two numbers. The RMSE of the published model on today's rows finds only a
    poorer model, such as one without intercept: with the same features, least squares is never worse than another line
    on the same rows, whatever the data. The RMSE that was published finds poorer data, too. `slack` is the amount by
    which the new fit's RMSE may exceed that of OLS, in target units.
    """
    limit = rmse_today = None
    checks: list[tuple[bool, str]] = []
    if config.min_r2 is not None:
        low = not fit.r2 >= config.min_r2
        checks.append((low, f"R² {fit.r2:.6g} {'is below' if low else 'keeps'} min_r2 {config.min_r2:g}"))
    if config.max_rmse_increase is not None and previous is not None:
        rmse_today = measure(config, ingested, previous)
        references = [(previous.rmse, "published RMSE")]
        if rmse_today is not None:
            references.append((rmse_today, "RMSE on today's rows"))
        reference, name = min(references)
        limit = reference * (1 + config.max_rmse_increase) + slack
        high = not fit.rmse <= limit
        relation = f"is {'more than' if high else 'at most'} {100 * config.max_rmse_increase:.4g}% above"
        checks.append((high, f"RMSE {fit.rmse:.6g} {relation} run {previous.run_id}'s {name}, {reference:.6g}"))
    failures = [text for failed, text in checks if failed]
    return Gate(
        max_rmse_increase=config.max_rmse_increase,
        min_r2=config.min_r2,
        r2=fit.r2,
        rmse=fit.rmse,
        previous_run_id=previous.run_id if previous else None,
        previous_rmse=rmse_today,
        previous_rmse_published=previous.rmse if previous else None,
        rmse_limit=limit,
        passed=not failures,
        reason="; ".join(failures or [text for _, text in checks] or ["nothing to compare with"]),
    )


def measure(config: TrainingConfig, ingested: Ingested, line: PublishedFit) -> float | None:
    """The RMSE of a published model on today's rows, from their sums alone; None where something of it is missing."""
    today = on_todays_terms(ingested, line)
    if today.lacking():
        return None
    cross = CrossProducts.of(ingested.moments, centred=config.fit_intercept)
    used = cross.select([*today.coef, len(ingested.columns.design.terms)])
    return square_root(mean_squared_error(used, list(today.coef.values()), today.intercept))


def on_todays_terms(ingested: Ingested, line: PublishedFit) -> Line:
    """A published model over the terms of this run's sums."""
    return carried_over(line.design, line.coef, line.intercept, ingested.columns.design)
