"""The gate: whether a fit that passed validation is good enough to be published."""

from dataclasses import dataclass

from gdpipe.config import TrainingConfig
from gdpipe.numerics.problem.covariance import CrossProducts, square_root
from gdpipe.numerics.rows.squared_error import mean_squared_error
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.previous import PublishedFit


@dataclass(frozen=True, slots=True)
class Gate:
    """The thresholds, what was held against them, and the outcome; None where there is nothing to say.

    Attributes:
        max_rmse_increase: The setting.
        min_r2: The setting.
        r2: Of the new fit.
        rmse: Of the new fit, on today's rows.
        previous_run_id: The run that it was compared with.
        previous_rmse: That run's on today's rows, none of which were read for it.
        previous_rmse_published: That run's on its own rows, as it was published.
        rmse_limit: The lower of the two, raised by max_rmse_increase and by what stopping early and rounding may cost.
        passed: Whether every threshold is kept.
        reason: Each number with its limit, or those that do not keep theirs.
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
    """Hold a fit against `min_r2` and, where there is a previous one of the same target, `max_rmse_increase`.

    The bar for the RMSE is the lower of two. On today's rows least squares is never worse than a line made of the same
    features, whatever happened to the data: that bar alone finds only a poorer model (no intercept any more, say).
    The RMSE that was published finds poorer data too.

    Args:
        config: The settings.
        ingested: Today's sums.
        fit: The new fit.
        previous: The one to compare with; None where there is none.
        slack: By how much the new fit's RMSE may lie above that of OLS, in target units.
    """
    limit = today = None
    checks: list[tuple[bool, str]] = []
    if config.min_r2 is not None:
        low = not fit.r2 >= config.min_r2
        checks.append((low, f"R² {fit.r2:.6g} {'is below' if low else 'keeps'} min_r2 {config.min_r2:g}"))
    if config.max_rmse_increase is not None and previous is not None:
        today = measure(config, ingested, previous)
        bars = [(previous.rmse, "published RMSE"), *([] if today is None else [(today, "RMSE on today's rows")])]
        bar, what = min(bars)
        limit = bar * (1 + config.max_rmse_increase) + slack
        high = not fit.rmse <= limit
        said = f"is {'more than' if high else 'at most'} {100 * config.max_rmse_increase:.4g}% above"
        checks.append((high, f"RMSE {fit.rmse:.6g} {said} run {previous.run_id}'s {what}, {bar:.6g}"))
    failures = [text for failed, text in checks if failed]
    return Gate(
        max_rmse_increase=config.max_rmse_increase,
        min_r2=config.min_r2,
        r2=fit.r2,
        rmse=fit.rmse,
        previous_run_id=previous.run_id if previous else None,
        previous_rmse=today,
        previous_rmse_published=previous.rmse if previous else None,
        rmse_limit=limit,
        passed=not failures,
        reason="; ".join(failures or [text for _, text in checks] or ["nothing to compare with"]),
    )


def missing_columns(ingested: Ingested, previous: PublishedFit) -> list[str]:
    """Columns that a line needs and today's sums do not have."""
    return [name for name in previous.coef if name not in ingested.columns.features]


def measure(config: TrainingConfig, ingested: Ingested, line: PublishedFit) -> float | None:
    """The RMSE of an earlier line on today's rows, from their sums alone; None where a column of it is missing."""
    if missing_columns(ingested, line):
        return None
    features = ingested.columns.features
    cross = CrossProducts.of(ingested.moments, centred=config.fit_intercept)
    used = cross.select([*(features.index(name) for name in line.coef), len(features)])
    return square_root(mean_squared_error(used, list(line.coef.values()), line.intercept))
