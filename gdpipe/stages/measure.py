"""Measure: compare the descent with the exact baseline and with the rows that were read again."""

import dataclasses
import math

import numpy as np

from gdpipe.fit import Fit, RowEvidence, conclude
from gdpipe.numerics.descent.descent import Solution
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.problem.penalty import least_subgradient
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.rows.level_terms import MOST_SUMS
from gdpipe.numerics.rows.linear import LineSize, gradient_of_sums
from gdpipe.numerics.rows.residuals import ResidualStatistics
from gdpipe.numerics.rows.row_checks import LineGaps, RowCheck, weight_check
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.predict import Predicted

EPSILON = float(np.finfo(np.float64).eps)
REMEDY = (
    "the rows read for the predictions are not those of the sums: train again when no file of the source changes, "
    "with moments/ of the output removed"
)


def measure(ingested: Ingested, regression: Regression, solution: Solution, predicted: Predicted) -> Fit:
    """The fit: the distance to the optimum, standard errors, tests and metrics, from the sums and from the rows."""
    target_scale = regression.whole.scaling.target_scale
    residuals = _residuals(ingested, regression, predicted)
    read_again = predicted.rows.residuals.powers.n_samples
    violation = _violation(regression, solution, residuals) if read_again else math.nan
    checks = _check_rows(ingested, predicted, target_scale)
    if not ingested.whole_weights:  # a weight of 2 is the row twice, but Durbin-Watson has no meaning for one of 0.3
        residuals = dataclasses.replace(residuals, durbin_watson=math.nan)
    rows = RowEvidence(residuals, violation, _rounding(ingested, predicted) / target_scale, checks, _notices(predicted))
    fit = conclude(ingested.columns.design, regression, solution, rows)
    if not any(check.failed for check in checks):
        return fit
    certificate = dataclasses.replace(fit.certificate, reason=f"{fit.certificate.reason}; {REMEDY}")
    return dataclasses.replace(fit, certificate=certificate)


def _violation(regression: Regression, solution: Solution, residuals: ResidualStatistics) -> float:
    """The largest violation of the optimality conditions by the rows, in target SDs per term SD."""
    unit = residuals.unit / regression.whole.scaling.target_scale
    penalty, w = regression.penalty, solution.coef_scaled
    if penalty is None:
        return float(np.abs(residuals.gradient).max(initial=0.0)) * unit
    gradient = penalty.l2 * w - residuals.gradient * unit
    return float(np.abs(least_subgradient(w, gradient, penalty.l1)).max(initial=0.0))


def _notices(predicted: Predicted) -> tuple[str, ...]:
    levels = predicted.grids.levels
    if levels is None or levels.robust:
        return ()
    return (
        f"no std_error_hc1: the levels of categories combine to more than {MOST_SUMS:,} sums of squared residuals; "
        "leave out a category with many levels, or make it coarser",
    )


def _check_rows(ingested: Ingested, predicted: Predicted, target_scale: float) -> tuple[RowCheck, ...]:
    """The gaps between both scans in counts, weights, and means of residuals, of their squares and of the probe's.

    Only rows that were read again count; without any, there is no check.
    """
    rows, expected = predicted.rows, ingested.to_predict
    if not (rows.account.read or expected.account.read):
        return ()
    counts = RowCheck("row_count_gap", float(rows.account.gap(expected.account)), 0.0)
    weights = weight_check(rows.residuals.powers, expected.moments)
    model, probe, variance = predicted.model, predicted.probe, target_scale**2
    moments, blocks, largest = expected.moments, model.design.blocks, ingested.largest
    residuals, unit = rows.residuals.powers, predicted.grids.unit
    of_held_out: tuple[RowCheck, ...] = ()
    if expected.held_out and expected.held_out.moments.weight and rows.held_out.weight:
        of_sums = expected.held_out.moments
        gaps = LineGaps.of(rows.held_out, unit, of_sums, model.coef, model.intercept, largest, blocks)
        of_held_out = (
            dataclasses.replace(weight_check(rows.held_out, of_sums), name="holdout_weight_gap"),
            RowCheck("holdout_mean_gap", gaps.mean, gaps.mean_limit),
            RowCheck("holdout_loss_gap", gaps.square, gaps.square_limit),
        )
    if not (rows.residuals.powers.weight and expected.moments.weight):
        return (counts, weights, *of_held_out)
    of_model = LineGaps.of(residuals, unit, moments, model.coef, model.intercept, largest, blocks)
    of_probe = LineGaps.of(rows.probe, probe.unit, moments, probe.coef, probe.intercept, largest, blocks)
    return (
        counts,
        weights,
        RowCheck("row_mean_gap", of_model.mean, of_model.mean_limit),
        RowCheck("row_loss_gap", of_model.square, of_model.square_limit),
        RowCheck("row_probe_gap", of_probe.square / variance, of_probe.square_limit / variance),
        *of_held_out,
    )


def _residuals(ingested: Ingested, regression: Regression, predicted: Predicted) -> ResidualStatistics:
    """The means over the residuals of all rows; NaN where one needs every row and not every row was read again."""
    read, not_read = predicted.rows.residuals.powers, ingested.unpredicted
    if read.n_samples and not not_read.n_samples:
        return ResidualStatistics.of(predicted.rows.residuals, predicted.grids, predicted.terms)
    included, unit = regression.included, predicted.grids.unit
    unknown = ResidualStatistics.unknown(len(included), unit)
    if not read.n_samples:
        return unknown
    # the gradient is a sum over rows, to which rows that were not read contribute by their sums
    cross = CrossProducts.of(not_read, centred=True).select([*included, len(ingested.columns.design.terms)])
    scaling, model = regression.whole.scaling, predicted.model
    means = np.array([float(m) for m in scaling.means])
    by_sums = gradient_of_sums(cross, model.coef[included], model.intercept, means, scaling.scales)
    by_rows = ResidualStatistics.of(predicted.rows.residuals, predicted.grids, predicted.terms).gradient
    total, apart = regression.cross.total_weight, cross.total_weight
    gradient = (by_rows * (total - apart) + by_sums / unit) / total
    return dataclasses.replace(unknown, gradient=gradient)


def _rounding(ingested: Ingested, predicted: Predicted) -> float:
    """The largest effect of rounding in predictions and coefficients on the row gradient, in target units."""
    model = predicted.model
    blocks = model.design.blocks
    size = LineSize.of(model.coef, model.intercept, blocks, ingested.largest).reach
    return 2 * EPSILON * (len(blocks) + 4) * size
