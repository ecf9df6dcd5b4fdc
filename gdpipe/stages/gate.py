"""The gate: whether a fit that passed validation is good enough to be published."""

from dataclasses import dataclass

from gdpipe.config import TrainingConfig
from gdpipe.numerics.problem.covariance import CrossProducts, square_root
from gdpipe.numerics.rows.linear import mean_squared_error
from gdpipe.printable import written
from gdpipe.stages.errors_compared import PREFIXES, ErrorKind, most_telling
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.other_levels import Line, carried_over
from gdpipe.stages.previous import PublishedFit


@dataclass(frozen=True, slots=True)
class Gate:
    """The thresholds, the numbers compared with them, and the outcome; None where there is no such number.

    Attributes:
        max_rmse_increase, min_r2: The settings.
        r2, rmse: Those of the new fit that were compared: on unseen rows where there are any, else on the rows fitted.
        previous_run_id: The published run.
        previous_rmse: The RMSE of the published model on today's rows, from their sums.
        previous_rmse_published: The RMSE of the published run, of the kind that both runs have.
        rmse_limit: The one that `rmse` was compared with, raised by max_rmse_increase and by the cost of stopping early
            and rounding.
        passed: Whether the fit meets every threshold.
        reason: Each number with its threshold, or those that miss it.
        error: The rows of `rmse`: `holdout`, `cv` or `fit`.
        rmse_bar: The one of the previous run's that it was compared with.
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
    error: ErrorKind = "fit"
    rmse_bar: float | None = None


def judge(
    config: TrainingConfig, ingested: Ingested, fit: PublishedFit, previous: PublishedFit | None, slack: float
) -> Gate:
    """The gate of a fit: `min_r2` and, where a run of the same target is published, `max_rmse_increase`.

    R² is that on unseen rows where there are any: of the holdout, else cross-validated, else of the fit. The RMSE is
    held against two numbers, and the one that it exceeds by more counts. The RMSE that was published, of the most
    telling kind that both runs have, finds poorer data. The RMSE of the published model on today's rows (those held out
    where the new run has any) finds a poorer model, such as one without intercept: with the same features, least
    squares is never worse than another line on the rows fitted. `slack` is the amount by which the new fit's RMSE may
    exceed that of OLS, in target units.
    """
    checks: list[tuple[bool, str]] = []
    of_r2 = most_telling(fit.errors)
    r2 = fit.errors[of_r2].r2
    if config.min_r2 is not None:
        low = not r2 >= config.min_r2
        said = f"{PREFIXES[of_r2]}R² {written(r2)} {'is below' if low else 'keeps'} min_r2 {config.min_r2:g}"
        checks.append((low, said))
    kind: ErrorKind = "fit"
    limit = bar = today = published = None
    if config.max_rmse_increase is not None and previous is not None:
        of_both = most_telling(fit.errors, previous.errors)
        of_today: ErrorKind = "holdout" if "holdout" in fit.errors else "fit"
        today, published = measure(config, ingested, previous), previous.errors[of_both].rmse
        bars: list[tuple[ErrorKind, float, str]] = [(of_both, published, f"published {PREFIXES[of_both]}RMSE")]
        if today is not None:
            bars.insert(0, (of_today, today, f"RMSE on today's {PREFIXES[of_today]}rows"))
        increase = config.max_rmse_increase
        kind, bar, name = max(bars, key=lambda each: fit.errors[each[0]].rmse - each[1] * (1 + increase))
        limit = bar * (1 + increase) + slack
        high = not fit.errors[kind].rmse <= limit
        relation = f"is {'more than' if high else 'at most'} {100 * increase:.4g}% above"
        now = f"{PREFIXES[kind]}RMSE {written(fit.errors[kind].rmse)}"
        checks.append((high, f"{now} {relation} run {previous.run_id}'s {name}, {written(bar)}"))
    failures = [text for failed, text in checks if failed]
    return Gate(
        max_rmse_increase=config.max_rmse_increase,
        min_r2=config.min_r2,
        r2=r2,
        rmse=fit.errors[kind].rmse,
        previous_run_id=previous.run_id if previous else None,
        previous_rmse=today,
        previous_rmse_published=published if published is not None else previous.rmse if previous else None,
        rmse_limit=limit,
        passed=not failures,
        reason="; ".join(failures or [text for _, text in checks] or ["nothing to compare with"]),
        error=kind,
        rmse_bar=bar,
    )


def measure(config: TrainingConfig, ingested: Ingested, line: PublishedFit) -> float | None:
    """The RMSE of a published model on today's rows, from their sums alone; None where something of it is missing.

    Where rows are held out, it is on these, as neither fit has seen them; unless the published run was fitted to them.
    """
    today = on_todays_terms(ingested, line)
    if today.lacking():
        return None
    rows = ingested.moments
    if ingested.held_out is not None and ingested.held_out.n_samples:
        rows = ingested.held_out
    cross = CrossProducts.of(rows, centred=config.fit_intercept)
    used = cross.select([*today.coef, len(ingested.columns.design.terms)])
    return square_root(mean_squared_error(used, list(today.coef.values()), today.intercept))


def on_todays_terms(ingested: Ingested, line: PublishedFit) -> Line:
    """A published model over the terms of this run's sums."""
    return carried_over(line.design, line.coef, line.intercept, ingested.columns.design)
