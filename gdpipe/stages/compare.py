"""Compare a new fit with the published one, for the gate and the drift, from tables and sums; no row is read."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.config import TrainingConfig
from gdpipe.errors import PublishError
from gdpipe.numerics.inference.drift import Fitted, measure
from gdpipe.printable import logger_named
from gdpipe.report.drift import largest_shifts
from gdpipe.source.arrays import to_table
from gdpipe.stages.gate import Gate, judge, missing_columns
from gdpipe.stages.ingest import Ingested
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
    """

    gate: Gate | None
    since: str | None
    drift: pa.Table | None
    largest: tuple[str, ...]
    differences: tuple[str, ...]
    notices: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The comparison's entries in the manifest."""
        gate = {} if self.gate is None else {"gate": asdict(self.gate)}
        if self.since is None:
            return gate
        drift = {"since": self.since, "largest": list(self.largest), "differences": list(self.differences)}
        return {**gate, "drift": drift}


def compare(
    config: TrainingConfig, ingested: Ingested, parameters: pa.Table, metrics: pa.Table, slack: float
) -> Comparison:
    """The comparison of a new fit, given by two artifacts, with the published one and the thresholds of the gate.

    The new fit's RMSE may exceed that of OLS by `slack`, in target units.
    """
    run_id = config.run_id or ""
    settings = json.loads(json.dumps(config.as_dict(), default=str))  # as the manifest will have them
    fit = PublishedFit.of(run_id, ingested.columns.target, parameters, metrics, settings)
    previous, notices = _previous(config, ingested, fit)
    gated = config.max_rmse_increase is not None or config.min_r2 is not None
    gate = judge(config, ingested, fit, previous, slack) if gated else None
    for notice in notices:
        logger.info(notice)
    if previous is None or previous.fit_intercept != fit.fit_intercept:
        return Comparison(gate, None, None, (), (), notices)
    drift = to_table(drift_columns(previous, fit), catalog.schema(catalog.DRIFT, run_id))
    return Comparison(gate, previous.run_id, drift, largest_shifts(drift), previous.differences(fit), notices)


def drift_columns(previous: PublishedFit, now: PublishedFit) -> dict[str, Any]:
    """The columns of `drift`: one row a term of the new fit; NaN where the earlier one did not have it."""
    rows = [previous.terms.index(term) if term in previous.terms else None for term in now.terms]

    def aligned(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([np.nan if row is None else values[row] for row in rows])

    old = previous.fitted
    before = Fitted(old.n, aligned(old.mean), aligned(old.scale), aligned(old.estimate), aligned(old.std_error))
    return {
        "term": [term.name for term in now.terms],
        "role": [term.role for term in now.terms],
        "previous_mean": before.mean,
        "previous_scale": before.scale,
        "previous_estimate": before.estimate,
        **asdict(measure(before, now.fitted)),
    }


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
    missing = missing_columns(ingested, previous)
    if missing and not_applied:
        notices.append(
            f"run {previous.run_id} uses {', '.join(missing)}, which this run does not: max_rmse_increase was applied "
            "to its published RMSE alone"
        )
    return previous, tuple(notices)
