"""A fit beside the one that is published: what is measured, what is said, and what cannot be compared with."""

import logging
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gdpipe.errors import PublishError
from gdpipe.stages.compare import Comparison, compare, drift_columns
from gdpipe.store import catalog
from tests.conftest import write_parquet
from tests.stages.records import fit_of, metrics, parameters, publish_fit, summed

NAN = math.nan
ROWS = {"x": np.array([-1.0, -1.0, 1.0, 1.0]), "y": np.array([0.5, -2.5, 2.5, -0.5])}
LINE = parameters(intercept=(0.0, 0.3), x=(1.0, 0.3, 0.0, 1.0))
NOW = parameters(intercept=(0.0, 0.4), x=(2.0, 0.4, 0.5, 2.0))
OFF = metrics(rmse=1.5, r2=0.8)


def compared(folder: Path, **settings: Any) -> Comparison:
    config, ingested = summed(folder, ROWS, **settings)
    fit = NOW if config.fit_intercept else parameters(x=(2.0, 0.4, 0.5, 2.0))
    return compare(config, ingested, fit, OFF, 0.0)


def test_the_first_run_has_nothing_to_say(tmp_path: Path) -> None:
    first = compared(tmp_path)
    assert (first.gate, first.since, first.drift) == (None, None, None)
    assert (first.largest, first.differences, first.notices) == ((), (), ())
    assert first.as_dict() == {}


def test_the_first_run_says_to_a_gate_that_there_is_none_before(tmp_path: Path) -> None:
    first = compared(tmp_path, max_rmse_increase=0.0)
    assert first.notices == ("no published run is the latest; max_rmse_increase was not applied",)
    assert first.gate is not None
    assert first.gate.passed
    assert first.as_dict() == {"gate": asdict(first.gate)}
    # the other threshold needs no run before
    assert compared(tmp_path, min_r2=0.1).notices == ()


def test_drift_is_a_table_of_the_catalog_and_its_largest_shifts_are_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_fit(tmp_path / "runs", LINE, metrics())
    with caplog.at_level(logging.INFO, logger="gdpipe.stages.compare"):
        found = compared(tmp_path)
    assert caplog.messages == []
    assert found.since == "before"
    assert found.drift is not None
    assert found.drift.schema.equals(catalog.schema(catalog.DRIFT, "now"), check_metadata=True)
    assert found.drift["scale_ratio"].to_pylist()[1:] == [2.0, 1.0]
    assert found.largest == ("x mean +0.5 SD (0.671 SE)", "x scale x 2 (2.08 SE)", "coef x +2 joint SE")
    assert (found.gate, found.differences, found.notices) == (None, (), ())
    of_fit = {"r2": 0.5, "rmse": 1.0}
    assert found.as_dict() == {
        "drift": {"since": "before", **of_fit, "largest": list(found.largest), "differences": []}
    }


def test_the_gate_asks_the_run_before(tmp_path: Path) -> None:
    publish_fit(tmp_path / "runs", LINE, metrics(rmse=1.0))
    gate = compared(tmp_path, max_rmse_increase=0.1).gate
    assert gate is not None
    assert (gate.passed, gate.previous_run_id, gate.previous_rmse) == (False, "before", 1.5)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"filters": [["x", ">", 0]]}, {}, 'other rows: filters [["x", ">", 0]]'),
        ({}, {"filters": [["x", "<", 9]]}, "other rows: no filters"),
        ({"weight": "w"}, {}, "other weights: column 'w'"),
    ],
)
def test_a_run_of_other_rows_is_compared_with_and_said(
    before: dict[str, Any], now: dict[str, Any], said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_fit(tmp_path / "runs", LINE, metrics(), **before)
    with caplog.at_level(logging.INFO, logger="gdpipe.stages.compare"):
        found = compared(tmp_path, **now)
    assert found.since == "before"
    assert found.differences == (said,)
    assert found.notices == (f"run before used {said}",)
    assert caplog.messages == list(found.notices)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        # the same in other words: = for ==, another order of conditions, values and groups, one group or a list of it
        ([["x", "==", 1]], [["x", "=", 1]]),
        ([["x", "=", 1]], [[["x", "=", 1]]]),
        ([["x", ">", -2], ["y", "<", 9]], [["y", "<", 9], ["x", ">", -2]]),
        ([["x", "in", [-1, 1]]], [["x", "in", [1, -1]]]),
        ([[["x", "=", 1]], [["x", "=", -1]]], [[["x", "=", -1]], [["x", "=", 1]]]),
    ],
)
def test_filters_in_other_words_are_the_same(before: Any, now: Any, tmp_path: Path) -> None:
    publish_fit(tmp_path / "runs", LINE, metrics(), filters=before)
    found = compared(tmp_path, filters=now)
    assert (found.differences, found.notices) == ((), ())


def test_filters_without_end_are_cut(tmp_path: Path) -> None:
    publish_fit(tmp_path / "runs", LINE, metrics(), filters=[["x", "in", list(range(500))]])
    [notice] = compared(tmp_path).notices
    assert notice.endswith("…")
    assert len(notice) < 250


def test_another_target_is_not_compared_with(tmp_path: Path) -> None:
    publish_fit(tmp_path / "runs", LINE, metrics(rmse=0.1), target="z")
    found = compared(tmp_path)
    assert found.notices == ("run before has another target, 'z', and cannot be compared with",)
    assert found.since is None
    gated = compared(tmp_path, max_rmse_increase=0.0)
    assert gated.notices == (f"{found.notices[0]}; max_rmse_increase was not applied",)
    assert gated.gate is not None
    assert gated.gate.passed


@pytest.mark.parametrize(("had", "has"), [(True, False), (False, True)])
def test_a_mean_and_no_mean_are_not_compared_but_their_rmse_are(had: bool, has: bool, tmp_path: Path) -> None:
    line = LINE if had else parameters(x=(1.0, 0.3, 0.0, 1.0))
    publish_fit(tmp_path / "runs", line, metrics(rmse=1.0), fit_intercept=had)
    found = compared(tmp_path, fit_intercept=has, max_rmse_increase=0.1)
    article = "an" if had else "no"
    assert found.notices == (f"run before has {article} intercept: drift since then is not measured",)
    assert (found.since, found.drift) == (None, None)
    assert found.gate is not None
    assert (found.gate.passed, found.gate.previous_rmse) == (False, 1.5)


def test_a_column_that_is_gone_is_said_where_a_gate_needs_it(tmp_path: Path) -> None:
    publish_fit(tmp_path / "runs", parameters(intercept=(0.0,), x=(1.0,), z=(3.0,)), metrics(rmse=1.5))
    assert compared(tmp_path).notices == ()
    assert compared(tmp_path, max_rmse_increase=0.1).notices == (
        "run before uses z, which this run does not: max_rmse_increase was applied to its published RMSE alone",
    )


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "no run": shutil.rmtree,
    "no table": lambda run: (run / "parameters.parquet").unlink(),
    "no Parquet": lambda run: (run / "metrics.parquet").write_bytes(b"PAR1"),
    "no manifest": lambda run: (run / "manifest.json").write_text("{}"),
    "no pointer": lambda run: (run.parents[1] / "latest.json").write_text("not JSON"),
    "another table": lambda run: write_parquet(run / "parameters.parquet", {"term": ["x"]}),
    "no estimate": lambda run: pq.write_table(parameters(intercept=(math.nan,)), run / "parameters.parquet"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_is_a_notice_and_shuts_a_gate_that_needs_it(
    damage: Callable[[Path], Any], tmp_path: Path
) -> None:
    publish_fit(tmp_path / "runs", LINE, metrics())
    damage(tmp_path / "runs" / "runs" / "before")
    found = compared(tmp_path, min_r2=0.1)
    [notice] = found.notices
    assert notice.startswith("the run published before cannot be compared with: ")
    assert str(tmp_path / "runs") in notice
    assert found.since is None
    assert found.gate is not None
    with pytest.raises(PublishError) as shut:
        compared(tmp_path, max_rmse_increase="900%")
    assert str(shut.value) == (
        f"{notice.partition('with: ')[2]}; max_rmse_increase has nothing to compare with: repair that run, or leave "
        "the setting out"
    )
    assert "\n" not in str(shut.value)


# the formulas of the drift by hand are in tests/numerics/inference/test_drift.py


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
