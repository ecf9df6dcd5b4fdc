"""The error on rows that the fit has not seen, in a sentence of the page."""

import math
from typing import Any

from gdpipe.printable import counted, written
from gdpipe.report.numbers import shown_value


def about_unseen_rows(metrics: dict[str, Any], folds: int | None, *, passed: bool) -> str:
    """The sentence, and which fit it is of where the descent did not pass; empty where there is no such error.

    Args:
        metrics: The row of `metrics`.
        folds: The setting.
        passed: Whether the descent passed validation. R², RMSE and the error on rows held out are those of the descent
            in any case, the cross-validated error always is that of exact fits.
    """
    found, of_descent = [], "R² and RMSE above"
    if (rows := metrics.get("holdout_rows") or 0) > 0:
        r2, rmse = (shown_value(metrics[name]) for name in ("holdout_r2", "holdout_rmse"))
        found.append(f"R² {r2}, RMSE {rmse} ({counted(rows, 'row')} held out)")
        of_descent = "R² and RMSE above, and those of the rows held out,"
    if is_cross_validated := math.isfinite(metrics.get("cv_rmse", math.nan)):
        r2, rmse = (shown_value(metrics[name]) for name in ("cv_r2", "cv_rmse"))
        spread = written(float(f"{metrics['cv_rmse_se']:.2g}"))
        found.append(f"cross-validated R² {r2}, RMSE {rmse} ± {spread} (standard error; {folds} folds)")
    if not found:
        return ""
    said = f"On rows that the fit has not seen: {'; '.join(found)}."
    if not passed and is_cross_validated:
        said += (
            f" {of_descent} are of the unfinished descent, the cross-validated ones of exact fits without each fold."
        )
    return said
