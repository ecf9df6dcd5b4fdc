"""Compare a new fit with the published one, for the gate and the drift, from tables and sums; no row is read."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from gdpipe.config import TrainingConfig
from gdpipe.errors import PublishError
from gdpipe.printable import logger_named
from gdpipe.report.drift import largest_shifts
from gdpipe.source.arrays import to_table
from gdpipe.stages.drift import drift_columns
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
    """The comparison of a new fit with the published one, and with the thresholds of the gate.

    Args:
        config: The settings.
        ingested: The sums of this run.
        parameters: The new fit's artifact `parameters`.
        metrics: The new fit's artifact `metrics`.
        slack: The amount by which the new fit's RMSE may exceed that of OLS, in target units.
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
