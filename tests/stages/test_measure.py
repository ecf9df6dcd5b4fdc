"""Measure: what the rows add to the sums, and what they refute."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm

from gdpipe.stages.measure import measure
from gdpipe.store.runs import Staging
from tests.conftest import line_columns
from tests.stages.build import Stages


def test_numbers_of_single_rows_agree_with_statsmodels(tmp_path: Path) -> None:
    columns = line_columns()
    with Staging(tmp_path / "runs", "r1") as staging:
        _, fit, _ = Stages(tmp_path, columns, {"tolerance": 1e-13}).measured(staging)
    theirs = sm.OLS(columns["y"], sm.add_constant(np.column_stack([columns["x1"], columns["x2"]]))).fit()
    assert fit.statistics.mae == pytest.approx(np.abs(theirs.resid).mean())
    np.testing.assert_allclose(fit.terms.std_error_hc1, theirs.get_robustcov_results("HC1").bse, rtol=1e-9)
    assert fit.statistics.durbin_watson == pytest.approx(sm.stats.stattools.durbin_watson(theirs.resid))
    assert fit.certificate.passed
    assert fit.certificate.row_gradient < 1e-12
    assert [check.value for check in fit.rows.checks[:2]] == [0, 0]


def test_weights_that_are_no_counts_have_no_row_before(tmp_path: Path) -> None:
    with Staging(tmp_path / "runs", "r1") as staging:
        columns = {**line_columns(), "w": np.linspace(0.5, 2.0, 200)}
        _, fit, _ = Stages(tmp_path, columns, {"weight": "w"}).measured(staging)
    assert math.isnan(fit.statistics.durbin_watson)
    assert not math.isnan(fit.statistics.mae)


def test_without_rows_there_is_no_gradient_of_them_and_no_check(tmp_path: Path) -> None:
    with Staging(tmp_path / "runs", "r1") as staging:
        _, fit, _ = Stages(tmp_path, settings={"predict": "none"}).measured(staging)
    assert fit.rows.checks == ()
    assert math.isnan(fit.certificate.row_gradient)
    assert fit.certificate.passed


def test_rows_that_are_not_those_of_the_sums_refute_them_with_a_remedy(tmp_path: Path) -> None:
    with Staging(tmp_path / "runs", "r1") as staging:
        ingested, regression, solution, predicted = Stages(tmp_path).predicted(staging)
        sums = ingested.to_predict
        one_row_more = dataclasses.replace(sums, account=dataclasses.replace(sums.account, used=sums.account.used + 1))
        told = dataclasses.replace(ingested, to_predict=one_row_more)
        fit = measure(told, regression, solution, predicted)
    assert not fit.certificate.passed
    assert fit.certificate.reason.startswith("row_count_gap 1 is above its limit 0")
    assert fit.certificate.reason.endswith("with moments/ of the output removed")
