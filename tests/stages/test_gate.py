"""The gate by hand: four rows on a line of slope 1, each 1.5 above or below it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdpipe.stages.gate import Gate, judge, measure, on_todays_terms
from tests.stages.records import fit_of, metrics, parameters, summed

X = np.array([-1.0, -1.0, 1.0, 1.0])
ROWS = {"x": X, "y": X + 1.5 * np.array([1.0, -1.0, 1.0, -1.0])}
LINE = parameters(intercept=(0.0,), x=(1.0,))  # off by 1.5 on each row
NOW = metrics(rmse=1.5, r2=0.8)


def judged(folder: Path, previous: Any = None, now: Any = NOW, slack: float = 0.0, **settings: Any) -> Gate:
    config, ingested = summed(folder, ROWS, **settings)
    return judge(config, ingested, fit_of(LINE, now, "now"), previous, slack)


def test_r2_may_be_as_low_as_the_threshold(tmp_path: Path) -> None:
    at = judged(tmp_path, min_r2=0.8)
    assert (at.passed, at.reason) == (True, "R² 0.8 keeps min_r2 0.8")
    assert (at.min_r2, at.r2, at.rmse) == (0.8, 0.8, 1.5)
    assert (at.previous_run_id, at.previous_rmse, at.previous_rmse_published, at.rmse_limit) == (None,) * 4
    below = judged(tmp_path, min_r2=float(np.nextafter(0.8, 1)))
    assert (below.passed, below.reason) == (False, "R² 0.8 is below min_r2 0.8")


def test_the_first_r2_that_is_a_number_counts(tmp_path: Path) -> None:
    one_row_held_out = metrics(rmse=1.5, r2=0.8, holdout_rmse=1.0, holdout_r2=math.nan, cv_rmse=2.0, cv_r2=0.7)
    assert judged(tmp_path, now=one_row_held_out, min_r2=0.7).reason == "cross-validated R² 0.7 keeps min_r2 0.7"


@pytest.mark.parametrize("setting", [{"min_r2": 0.1}, {"max_rmse_increase": "900%"}])
def test_numbers_that_are_not_known_do_not_pass(setting: dict[str, float], tmp_path: Path) -> None:
    assert not judged(tmp_path, fit_of(LINE, NOW), metrics(rmse=math.nan, r2=math.nan), **setting).passed


@pytest.mark.parametrize(
    ("published", "increase", "bar", "passed"),
    [
        # the published RMSE is the lower one
        (1.0, 0.5, "published RMSE, 1", True),
        (1.0, 0.4999, "published RMSE, 1", False),
        # the earlier line's RMSE on these rows is: it is the new one's
        (9.0, 0.0, "RMSE on today's rows, 1.5", True),
        (1.5, 0.0, "RMSE on today's rows, 1.5", True),
    ],
)
def test_the_bar_is_the_lower_rmse(published: float, increase: float, bar: str, passed: bool, tmp_path: Path) -> None:
    gate = judged(tmp_path, fit_of(LINE, metrics(rmse=published)), max_rmse_increase=increase)
    assert gate.passed is passed
    said = "at most" if passed else "more than"
    assert gate.reason == f"RMSE 1.5 is {said} {100 * increase:.4g}% above run before's {bar}"
    assert (gate.previous_run_id, gate.previous_rmse, gate.previous_rmse_published) == ("before", 1.5, published)
    assert gate.rmse_limit == min(published, 1.5) * (1 + increase)


def test_a_fit_that_stopped_early_has_its_slack(tmp_path: Path) -> None:
    previous = fit_of(LINE, metrics(rmse=1.0))
    gate = judged(tmp_path, previous, slack=0.25, max_rmse_increase=0.25)
    assert (gate.passed, gate.rmse_limit) == (True, 1.5)
    assert not judged(tmp_path, previous, slack=0.24, max_rmse_increase=0.25).passed


def test_a_line_with_a_column_that_is_gone_is_judged_by_its_published_rmse(tmp_path: Path) -> None:
    gone = fit_of(parameters(intercept=(0.0,), x=(1.0,), z=(2.0,)), metrics(rmse=9.0))
    config, ingested = summed(tmp_path, ROWS, max_rmse_increase=0.0)
    assert on_todays_terms(ingested, gone).missing == ("z",)
    assert measure(config, ingested, gone) is None
    gate = judged(tmp_path, gone, max_rmse_increase=0.0)
    assert (gate.passed, gate.previous_rmse, gate.rmse_limit) == (True, None, 9.0)


def test_a_column_whose_coefficient_is_0_may_go(tmp_path: Path) -> None:
    line = fit_of(parameters(intercept=(0.0,), x=(1.0,), z=(0.0,)), metrics(rmse=9.0))
    config, ingested = summed(tmp_path, ROWS)
    assert on_todays_terms(ingested, line).missing == ()
    assert measure(config, ingested, line) == 1.5


def test_all_that_fails_is_said_and_of_what_passes_only_where_nothing_fails(tmp_path: Path) -> None:
    previous = fit_of(LINE, metrics(rmse=1.0))
    both = judged(tmp_path, previous, min_r2=0.9, max_rmse_increase=0.1)
    assert both.reason == ("R² 0.8 is below min_r2 0.9; RMSE 1.5 is more than 10% above run before's published RMSE, 1")
    one = judged(tmp_path, previous, min_r2=0.9, max_rmse_increase=0.6)
    assert one.reason == "R² 0.8 is below min_r2 0.9"
    none = judged(tmp_path, previous, min_r2=0.7, max_rmse_increase=0.6)
    assert none.reason == "R² 0.8 keeps min_r2 0.7; RMSE 1.5 is at most 60% above run before's published RMSE, 1"


def test_without_a_run_before_no_increase_is_too_large(tmp_path: Path) -> None:
    gate = judged(tmp_path, max_rmse_increase=0.0)
    assert (gate.passed, gate.reason, gate.rmse_limit) == (True, "nothing to compare with", None)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weight", [None, "w"])
def test_an_earlier_line_is_measured_as_row_by_row(intercept: bool, weight: str | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b, y = rng.normal(3.0, 2.0, (3, 50))
    columns = {"b": b, "unused": rng.normal(size=50), "a": a, "y": y, "w": rng.integers(0, 4, 50).astype(float)}
    settings: dict[str, Any] = {"features": ["b", "unused", "a"], "weight": weight, "fit_intercept": intercept}
    config, ingested = summed(tmp_path, columns, **settings)
    coef = {"a": (0.7,), "b": (-1.3,)}
    # the earlier line may have an intercept where this fit has none, and the other way round
    for with_intercept, line in ((True, parameters(intercept=(2.0,), **coef)), (False, parameters(**coef))):
        found = measure(config, ingested, fit_of(line, NOW, fit_intercept=with_intercept))
        residual = y - (0.7 * a - 1.3 * b + 2.0 * with_intercept)
        expected = math.sqrt(np.average(residual**2, weights=columns["w"] if weight else None))
        assert found == pytest.approx(expected, rel=1e-14)
