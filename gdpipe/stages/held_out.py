"""The error on rows that the fit has not seen: by cross-validation, on rows held out; and signs of leakage."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdpipe.config import TrainingConfig
from gdpipe.cross_validation import CrossValidation, FoldFit
from gdpipe.fit import Fit
from gdpipe.leakage import SUSPICIOUS_R2, signs_of_leakage
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.rows.held_out import HeldOutError
from gdpipe.penalty_path import PenaltyPath
from gdpipe.printable import logger_named
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.standardize import resolution_of
from gdpipe.validated_fit import error_on_folds

logger = logger_named(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """The error on rows that the fit has not seen.

    Attributes:
        cross_validation: Fits without each fold in turn; None without folds.
        holdout: The error of the fit on the rows held out; None where there are none.
        leakage: Why the fit looks too good, one line each; empty where it does not.
        notices: Why there is no such error, or that alpha lies at an end of its path, one line each.
    """

    cross_validation: CrossValidation | None
    holdout: HeldOutError | None
    leakage: tuple[str, ...]
    notices: tuple[str, ...]

    def metrics(self) -> dict[str, Any]:
        """The columns of `metrics`; NaN where there is no such error."""
        return error_columns(self.cross_validation, self.holdout)

    def fold_columns(self, fit: Fit) -> dict[str, Any]:
        """The columns of `folds`: one row a fold."""
        assert self.cross_validation is not None
        folds = self.cross_validation.folds
        # parameters have no row for an intercept that is not fitted
        first = 0 if fit.design.fit_intercept else 1
        names = ["intercept", *fit.design.names][first:]
        largest = [_largest_shift(fold, names, first) for fold in folds]
        return {
            "fold": list(range(len(folds))),
            "rows": [fold.n_samples for fold in folds],
            "weight": [fold.weight for fold in folds],
            "rmse": [fold.rmse for fold in folds],
            "r2": [fold.r2 for fold in folds],
            "status": [fold.status.name.lower() for fold in folds],
            "largest_shift_se": [shift for shift, _ in largest],
            "largest_shift_term": [term for _, term in largest],
            "estimate": np.array([fold.estimate[first:] for fold in folds]),
        }


def error_columns(of_folds: CrossValidation | None, of_rows: HeldOutError | None) -> dict[str, Any]:
    """The columns of `metrics` for the error by cross-validation and that on the rows held out; NaN without one."""
    return {
        "cv_rmse": of_folds.rmse if of_folds else math.nan,
        "cv_rmse_se": of_folds.rmse_se if of_folds else math.nan,
        "cv_r2": of_folds.r2 if of_folds else math.nan,
        "holdout_rmse": of_rows.rmse if of_rows else math.nan,
        "holdout_r2": of_rows.r2 if of_rows else math.nan,
        "holdout_rows": of_rows.n_samples if of_rows else 0,
    }


def held_out(config: TrainingConfig, ingested: Ingested, fit: Fit, path: PenaltyPath | None = None) -> HeldOut:
    """The error on rows that the fit has not seen, from their sums; no row is read.

    With a penalty, whose `path` is given, the fits without each fold are those at the alpha of the run.
    """
    design = fit.design
    resolution = resolution_of(design, ingested.source)
    at_end = None if path is None else path.notice(config)
    notices: tuple[str, ...] = () if at_end is None else (at_end,)
    of_folds, of_rows = error_on_folds(fit, path, ingested.by_fold, config, resolution), None
    if of_folds and (notice := of_folds.notice):
        notices += (notice,)
    if ingested.held_out is not None and ingested.held_out.n_samples:
        cross = CrossProducts.of(ingested.held_out, centred=config.fit_intercept)
        of_rows = HeldOutError.of(cross, fit.model.coef.tolist(), fit.model.intercept)
    known = [error.r2 for error in (of_rows, of_folds) if error and not math.isnan(error.r2)]
    r2 = next(iter(known), fit.statistics.r2)
    leakage = _leakage(config, ingested, fit, r2, resolution)
    for notice in (*leakage, *notices):
        logger.info(notice)
    return HeldOut(of_folds, of_rows, leakage, notices)


def _leakage(
    config: TrainingConfig, ingested: Ingested, fit: Fit, r2: float, resolution: np.ndarray[Any, Any]
) -> tuple[str, ...]:
    target = ingested.columns.target
    if not r2 > SUSPICIOUS_R2:  # also where it is NaN
        return ()
    cross = CrossProducts.of(ingested.moments, centred=config.fit_intercept)
    with_target = np.append(resolution, ingested.source.resolution([target]))
    return signs_of_leakage(cross, fit.design.names, target, r2, with_target)


def _largest_shift(fold: FoldFit, names: list[str], first: int) -> tuple[float, str | None]:
    """The largest shift of a coefficient in standard errors, with its sign, and the term; NaN and None without any."""
    shifts = np.where(np.isfinite(fold.shift_se[first:]), np.abs(fold.shift_se[first:]), -1.0)
    at = int(np.argmax(shifts))
    return (float(fold.shift_se[first:][at]), names[at]) if shifts[at] >= 0 else (math.nan, None)
