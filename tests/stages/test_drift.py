"""The drift of two fits, term by term; the formulas by hand are in tests/numerics/inference/test_drift.py."""

import math
from typing import Any

import pytest

from gdpipe.stages.drift import drift_columns
from tests.stages.records import fit_of, metrics, parameters

NAN = math.nan


def test_each_term_is_compared_with_its_namesake_whatever_the_order() -> None:
    before = fit_of(
        parameters(intercept=(1.0, 0.3), b=(5.0, 3.0, 2.0, 4.0), a=(2.0, 0.0, 7.0, 1.0)), metrics(mean=3.0, scale=2.0)
    )
    now = fit_of(
        parameters(intercept=(2.0, 0.4), a=(3.0, 1.0, 9.0, 2.0), b=(10.0, 4.0, 2.0, 4.0)), metrics(mean=2.0, scale=1.0)
    )
    found = drift_columns(before, now)
    assert found["term"] == ["intercept", "a", "b", "y"]
    assert found["role"] == ["intercept", "feature", "feature", "target"]
    expected: dict[str, list[float]] = {
        "previous_mean": [NAN, 7.0, 2.0, 3.0],
        "previous_scale": [NAN, 1.0, 4.0, 2.0],
        "previous_estimate": [1.0, 2.0, 5.0, NAN],
        "mean_shift_sd": [NAN, 2.0, 0.0, -0.5],
        # 10 rows then and now: √(1²/9 + 2²/9), √(2²/9 + 1²/9)
        "mean_shift_se": [NAN, 2 / math.sqrt(5 / 9), 0.0, -1 / math.sqrt(5 / 9)],
        "scale_ratio": [NAN, 2.0, 1.0, 0.5],
        "scale_shift_se": [NAN, 3 * math.log(2), 0.0, -3 * math.log(2)],  # √(1/18 + 1/18) = 1/3
        "estimate_shift_se": [2.0, 1.0, 1.0, NAN],
    }
    assert found.keys() == {"term", "role", *expected}
    for name, values in expected.items():
        assert found[name].tolist() == pytest.approx(values, rel=1e-15, nan_ok=True), name


def test_a_new_column_has_not_moved_though_another_part_had_its_name() -> None:
    before = fit_of(parameters(intercept=(1.0, 0.1), x=(2.0, 0.1, 0.0, 1.0)), metrics())
    # a feature called like the intercept, and one called like the target
    now = fit_of(parameters(intercept=(1.0, 0.1), x=(2.0, 0.1, 0.0, 1.0), y=(3.0, 0.1, 0.0, 1.0)), metrics())
    found: dict[str, Any] = drift_columns(before, now)
    assert list(zip(found["role"], found["term"], strict=True))[2:] == [("feature", "y"), ("target", "y")]
    for name, values in found.items():
        if name not in {"term", "role"}:
            assert math.isnan(values[2]), name
    assert found["mean_shift_sd"][3] == 0


def test_a_constant_has_a_scale_of_0_though_it_is_divided_by_1() -> None:
    before = fit_of(parameters(intercept=(1.0, 0.1), c=(0.0, NAN, 7.0, 0.0)), metrics())
    now = fit_of(parameters(intercept=(1.0, 0.1), c=(4.0, 1.0, 8.0, 2.0)), metrics())
    found = drift_columns(before, now)
    assert (found["previous_scale"][1], found["mean_shift_sd"][1], found["scale_ratio"][1]) == (0, math.inf, math.inf)
    back = drift_columns(now, before)
    assert (back["mean_shift_sd"][1], back["scale_ratio"][1], back["scale_shift_se"][1]) == (-0.5, 0, -math.inf)


def test_without_an_intercept_no_mean_has_moved() -> None:
    uncentred: dict[str, Any] = {"fit_intercept": False}
    before = fit_of(parameters(x=(2.0, 0.3, 5.0, 3.0)), metrics(mean=1.0, scale=2.0), **uncentred)
    now = fit_of(parameters(x=(3.0, 0.4, 9.0, 6.0)), metrics(mean=4.0, scale=1.0), **uncentred)
    found = drift_columns(before, now)
    assert found["role"] == ["feature", "target"]
    for name in ("previous_mean", "mean_shift_sd", "mean_shift_se", "scale_shift_se"):
        assert all(math.isnan(value) for value in found[name]), name
    assert found["scale_ratio"].tolist() == [2.0, 0.5]
    assert found["estimate_shift_se"].tolist() == pytest.approx([2.0, NAN], nan_ok=True)
