"""Check rows: compare the second scan with the sums of the same rows, from the first scan or an earlier run."""

import math
from collections.abc import Sequence

from gdpipe.numerics.rows.row_checks import LineGaps, RowCheck, weight_check
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.predict import Predicted

REMEDY = (
    "the rows read for the predictions are not those of the sums: train again when no file of the source changes, "
    "with moments/ of the output removed"
)


def check_rows(ingested: Ingested, predicted: Predicted, target_scale: float) -> tuple[RowCheck, ...]:
    """The gaps between both scans in counts, weights, and means of residuals, of their squares and of the probe's.

    Only rows that were read again count.

    Args:
        ingested: The first scan.
        predicted: The second scan.
        target_scale: The target's standard deviation.

    Returns:
        The checks; empty where no row was to be read again.
    """
    rows, expected = predicted.rows, ingested.to_predict
    if not (rows.account.read or expected.account.read):
        return ()
    counts = RowCheck("row_count_gap", float(rows.account.gap(expected.account)), 0.0)
    weights = weight_check(rows.residuals.powers, expected.moments)
    if not (rows.residuals.powers.weight and expected.moments.weight):
        return (counts, weights)
    model, probe, variance = predicted.model, predicted.probe, target_scale**2
    of_model = LineGaps.of(
        rows.residuals.powers, predicted.grids.unit, expected.moments, model.coef, model.intercept, ingested.largest
    )
    of_probe = LineGaps.of(rows.probe, probe.unit, expected.moments, probe.coef, probe.intercept, ingested.largest)
    return (
        counts,
        weights,
        RowCheck("row_mean_gap", of_model.mean, of_model.mean_limit),
        RowCheck("row_loss_gap", of_model.square, of_model.square_limit),
        RowCheck("row_probe_gap", of_probe.square / variance, of_probe.square_limit / variance),
    )


def as_columns(checks: Sequence[RowCheck]) -> dict[str, float | int | None]:
    """The values and limits of checks by the names of `convergence`; where there are none NaN, and None for a count."""
    found = {check.name: check for check in checks}
    columns: dict[str, float | int | None] = {
        "row_count_gap": int(found["row_count_gap"].value) if found else None,
        "row_weight_gap": found["row_weight_gap"].value if found else math.nan,
    }
    for name in ("row_mean_gap", "row_loss_gap", "row_probe_gap"):
        columns[name] = found[name].value if name in found else math.nan
        columns[f"{name}_limit"] = found[name].limit if name in found else math.nan
    return columns
