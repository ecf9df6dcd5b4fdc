"""The error on unseen rows in a sentence of the page, and which fit it is of."""

import math
from typing import Any

import pytest

from gdpipe.report.unseen import about_unseen_rows

FOLDS = {"cv_rmse": 68_753.91, "cv_rmse_se": 5_253.3, "cv_r2": 0.645}
HELD_OUT = {"holdout_rows": 53_991, "holdout_rmse": 1_234.5678, "holdout_r2": math.nan}
OF_FOLDS = "cross-validated R² 0.645, RMSE 68,753.9 ± 5,300 (standard error; 5 folds)"
OF_ROWS = "R² -, RMSE 1,234.57 (53,991 rows held out)"
EXACT = "are of the unfinished descent, the cross-validated ones of exact fits without each fold."


@pytest.mark.parametrize(
    ("metrics", "passed", "said"),
    [
        ({}, True, ""),
        ({"holdout_rows": 0, "cv_rmse": math.nan}, False, ""),
        (FOLDS, True, f"{OF_FOLDS}."),
        (HELD_OUT, True, f"{OF_ROWS}."),
        (HELD_OUT | FOLDS, True, f"{OF_ROWS}; {OF_FOLDS}."),
        (HELD_OUT, False, f"{OF_ROWS}."),
        (FOLDS, False, f"{OF_FOLDS}. R² and RMSE above {EXACT}"),
        (HELD_OUT | FOLDS, False, f"{OF_ROWS}; {OF_FOLDS}. R² and RMSE above, and those of the rows held out, {EXACT}"),
    ],
)
def test_the_sentence(metrics: dict[str, Any], passed: bool, said: str) -> None:
    expected = f"On rows that the fit has not seen: {said}" if said else ""
    assert about_unseen_rows(metrics, 5, passed=passed) == expected
