"""Compare a new fit with the published one, for the gate and the drift, from tables and sums; no row is read."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.config import TrainingConfig
from gdpipe.errors import PublishError
from gdpipe.numerics.inference.drift import Fitted, measure
from gdpipe.printable import logger_named, written
from gdpipe.report.drift import largest_shifts
from gdpipe.source.arrays import to_table
from gdpipe.stages.errors_compared import PREFIXES, most_telling
from gdpipe.stages.gate import Gate, judge, on_todays_terms
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.other_levels import incomparable, new_and_gone
from gdpipe.stages.previous import PublishedFit, latest_fit
from gdpipe.store import catalog

logger = logger_named(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The results of the comparison.

    Attributes:
        gate: The gate; None where no threshold is set.
        since: The run since which drift is measured; None where there is none.
        drift: The artifact `drift`; None where there is no such run.
        largest: The largest shifts, in words.
        differences: The settings of that run that differ from this run's, and may cause shifts without new data.
        notices: Why something could not be compared, one line each.
        error: The RMSE of that run and of this one, in words: on unseen rows; None where one has no such
            error, or both have the same.
        fit_before: R² and RMSE of that run; empty where there is none.
    """

    gate: Gate | None
    since: str | None
    drift: pa.Table | None
    largest: tuple[str, ...]
    differences: tuple[str, ...]
    notices: tuple[str, ...]
    error: str | None = None
    fit_before: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The comparison's entries in the manifest."""
        gate = {} if self.gate is None else {"gate": asdict(self.gate)}
        if self.since is None:
            return gate
        drift: dict[str, Any] = {"since": self.since, **self.fit_before, "largest": list(self.largest)}
        drift["differences"] = list(self.differences)
        if self.error is not None:
            drift["error"] = self.error
        return {**gate, "drift": drift}


def compare(
    config: TrainingConfig, ingested: Ingested, parameters: pa.Table, metrics: pa.Table, slack: float
) -> Comparison:
    """The comparison of a new fit, given by two artifacts, with the published one and the thresholds of the gate.

    The new fit's RMSE may exceed that of OLS by `slack`, in target units.
    """
    run_id = config.run_id or ""
    settings = json.loads(json.dumps(config.as_dict(), default=str))  # as the manifest will have them
    fit = PublishedFit.of(run_id, ingested.columns.target, parameters, metrics, settings, ingested.columns.design)
    previous, notices = _previous(config, ingested, fit)
    gated = config.max_rmse_increase is not None or config.min_r2 is not None
    gate = judge(config, ingested, fit, previous, slack) if gated else None
    for notice in notices:
        logger.info(notice)
    if previous is None or previous.fit_intercept != fit.fit_intercept:
        return Comparison(gate, None, None, (), (), notices)
    drift = to_table(drift_columns(previous, fit), catalog.schema(catalog.DRIFT, run_id))
    _, other_references = incomparable(previous.design, fit.design)
    said = (*other_references, *new_and_gone(previous.design, fit.design), *largest_shifts(drift, _of_shares(fit)))
    before = {"r2": previous.r2, "rmse": previous.rmse}
    error = _errors(previous, fit)
    return Comparison(gate, previous.run_id, drift, said, previous.differences(fit), notices, error, before)


def _errors(previous: PublishedFit, now: PublishedFit) -> str | None:
    kind = most_telling(now.errors, previous.errors)
    before, after = previous.errors[kind].rmse, now.errors[kind].rmse
    if kind == "fit" or before == after:
        return None
    change = f" ({after / before - 1:+.2%})" if before else ""
    return f"{PREFIXES[kind]}RMSE {written(before)} → {written(after)}{change}"


def drift_columns(previous: PublishedFit, now: PublishedFit) -> dict[str, Any]:
    """The columns of `drift`: one row a term of the new fit; NaN where the earlier one did not have it.

    A level that is the reference of one fit and has a term in the other is compared by its share.
    """
    places = {term.key: row for row, term in enumerate(previous.terms)}
    rows = [places.get(term.key) for term in now.terms]
    otherwise, _ = incomparable(previous.design, now.design)
    features = {term.name: term.feature for term in now.design.terms}
    moved = [(features.get(term.name) if term.role == "feature" else None) in otherwise for term in now.terms]

    def aligned(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([np.nan if row is None else values[row] for row in rows])

    old = previous.fitted
    before = Fitted(old.n, aligned(old.mean), aligned(old.scale), aligned(old.estimate), aligned(old.std_error))
    shifts = asdict(measure(before, now.fitted))
    shifts["estimate_shift_se"] = np.where(moved, np.nan, shifts["estimate_shift_se"])
    return {
        "term": [term.name for term in now.terms],
        "role": [term.role for term in now.terms],
        "previous_mean": before.mean,
        "previous_scale": before.scale,
        "previous_estimate": before.estimate,
        **shifts,
    }


def _of_shares(fit: PublishedFit) -> frozenset[str]:
    """The names of the terms and references whose mean is the share of rows that have a level."""
    counted = {feature.name for feature in fit.design.features if not feature.numbers}
    return frozenset(
        [term.name for term in fit.design.terms if term.feature in counted]
        + [term.name for term in fit.terms if term.role == "reference"]
    )


def _previous(
    config: TrainingConfig, ingested: Ingested, fit: PublishedFit
) -> tuple[PublishedFit | None, tuple[str, ...]]:
    """The published fit, or None where it has another target, and notices about the comparison."""
    not_applied = "" if config.max_rmse_increase is None else "; max_rmse_increase was not applied"
    try:
        previous = latest_fit(ingested.start)
    except PublishError as error:
        if not_applied:  # without the published fit the gate lets nothing pass
            remedy = "max_rmse_increase has nothing to compare with: repair that run, or leave the setting out"
            raise PublishError(f"{error}; {remedy}", transient=error.transient) from error
        return None, (f"the run published before cannot be compared with: {error}",)
    if previous is None:
        return None, (f"no published run is the latest{not_applied}",) if not_applied else ()
    if previous.target != fit.target:
        reason = f"run {previous.run_id} has another target, {previous.target!r}"
        return None, (f"{reason}, and cannot be compared with{not_applied}",)
    notices = [f"run {previous.run_id} used {difference}" for difference in previous.differences(fit)]
    if previous.fit_intercept != fit.fit_intercept:
        has = "an" if previous.fit_intercept else "no"
        notices.append(f"run {previous.run_id} has {has} intercept: drift since then is not measured")
    today = on_todays_terms(ingested, previous)
    if (lacking := today.lacking()) and not_applied:
        notices.append(f"run {previous.run_id} {lacking}: max_rmse_increase was applied to its published RMSE alone")
    return previous, tuple(notices)
