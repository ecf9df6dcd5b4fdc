"""What is said of the drift: of runs on other rows, and of columns that vary in one run only."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdpipe
from gdpipe.run import Run
from tests.conftest import gdpipe_cli, line_columns, write_parquet

MAY = [["month", "=", 5]]


@pytest.fixture
def train(tmp_path: Path) -> Any:
    """Train on these columns as a run of this name; each run is the latest after it."""

    def run(run_id: str, columns: dict[str, Any], **settings: Any) -> Run:
        file = write_parquet(tmp_path / f"{run_id}.parquet", columns)
        settings = {"features": ["x1", "x2"], **settings}
        return gdpipe.train(source=str(file), target="y", output=str(tmp_path / "runs"), run_id=run_id, **settings)

    return run


def months() -> dict[str, Any]:
    return {**line_columns(), "month": np.repeat([5, 6], 100), "w": np.ones(200)}


def report(run: Run) -> str:
    return (run.folder / "report.html").read_text(encoding="utf-8")


# other rows


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"filters": MAY}, {}, 'other rows: filters [["month", "=", 5]]'),
        ({}, {"filters": MAY}, "other rows: no filters"),
        ({"filters": MAY}, {"filters": [["month", "=", 6]]}, 'other rows: filters [["month", "=", 5]]'),
        ({"filters": [*MAY, ["x1", "<", 9]]}, {"filters": MAY}, 'filters [["month", "=", 5], ["x1", "<", 9]]'),
        ({"weight": "w"}, {}, "other weights: column 'w'"),
        ({}, {"weight": "w"}, "other weights: none"),
    ],
)
def test_what_the_run_before_had_otherwise_is_said_wherever_drift_is(
    before: dict[str, Any], now: dict[str, Any], said: str, train: Any
) -> None:
    train("before", months(), **before, report=False)
    run = train("now", months(), **now)
    (notice,) = run.manifest["notices"]
    assert notice.startswith("run before used other ")
    assert said in notice
    assert run.manifest["drift"]["differences"] == [notice.removeprefix("run before used ")]
    shown = gdpipe_cli("show", run.folder).out
    assert f"drift       since before (with {run.manifest['drift']['differences'][0]}): " in shown
    assert f"notice      {notice}" in shown
    page = report(run)
    assert "<p>That run used other " in page[page.index("Drift since run before") :]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (MAY, [MAY]),
        (MAY, [["month", "==", 5.0]]),
        ([["month", "in", [5, 6]]], [["month", "in", (6, 5)]]),
        ([["month", ">", 4], ["x1", "<", 9]], [["x1", "<", 9], ["month", ">", 4]]),
        ([MAY, [["month", "=", 6]]], [[["month", "=", 6]], MAY]),
    ],
)
def test_the_same_rows_in_other_words_are_the_same(before: Any, now: Any, train: Any) -> None:
    train("before", months(), filters=before, report=False)
    run = train("now", months(), filters=now, tolerance=1e-7, report=False)
    assert run.manifest["notices"] == run.manifest["drift"]["differences"] == []
    assert "drift       since before: " in gdpipe_cli("show", run.folder).out


def test_filters_without_end_are_cut(train: Any) -> None:
    train("before", months(), filters=[["month", "in", list(range(500))]], report=False)
    (notice,) = train("now", months(), report=False).manifest["notices"]
    assert notice.endswith("…")
    assert len(notice) < 250


# columns that vary in one run only


def constants(seed: int, first: Any, second: Any) -> dict[str, Any]:
    """y depends on x1; x2 and x3 are what is said."""
    rng = np.random.default_rng(seed)
    x1, noise = rng.normal(size=100), rng.normal(size=100)
    return {"x1": x1, "x2": np.broadcast_to(first, 100), "x3": np.broadcast_to(second, 100), "y": x1 + noise}


def test_columns_that_were_or_are_constant_are_said_in_words(train: Any) -> None:
    varying = np.random.default_rng(9).normal(size=100)
    three: dict[str, Any] = {"features": ["x1", "x2", "x3"]}
    train("before", constants(1, 3.0, varying), **three, report=False)
    run = train("now", constants(2, varying, 7.0), **three)
    # what is in the file are numbers, still
    drift = run.drift.set_index("term")
    assert (drift["mean_shift_sd"]["x2"], drift["scale_ratio"]["x2"]) == (-math.inf, math.inf)
    assert (drift["scale_ratio"]["x3"], drift["scale_shift_se"]["x3"]) == (0, -math.inf)
    largest = run.manifest["drift"]["largest"]
    assert largest[:2] == ["x2 was constant", "x3 is constant now"]
    # the largest shifts are of those that vary in both
    assert all(line.startswith(("x1 ", "y ", "coef ")) for line in largest[2:])
    shown = gdpipe_cli("show", run.folder).out
    assert "drift       since before: x2 was constant; x3 is constant now; " in shown
    drawn = report(run)[report(run).index("Drift since run before") : report(run).index("Every number")]
    assert ">was constant</text>" in drawn
    assert ">is constant now</text>" in drawn
    assert "<td>was constant</td>" in drawn
    assert "inf" not in drawn + shown


def test_a_constant_at_another_value(train: Any) -> None:
    three: dict[str, Any] = {"features": ["x1", "x2", "x3"]}
    train("before", constants(1, 3.0, 7.0), **three, report=False)
    run = train("now", constants(2, 4.0, 7.0), **three)
    assert run.manifest["drift"]["largest"][0] == "x2 is constant, at another value"
    assert not any("x3" in line for line in run.manifest["drift"]["largest"])
    assert ">new constant</text>" in report(run)
    assert "inf" not in report(run)[report(run).index("Drift since run before") : report(run).index("Every number")]


def test_exact_fits_have_moved_by_no_number_of_errors(train: Any) -> None:
    x = np.arange(64.0)
    for run_id, slope in (("before", 2.0), ("now", 4.0)):
        run = train(run_id, {"x1": x, "x2": x % 7, "y": slope * x}, features=["x1"])
    assert math.isinf(run.drift["estimate_shift_se"][1])
    assert run.manifest["drift"]["largest"][-1] == "coef x1 has moved, with standard errors of 0"
    assert ">errors of 0</text>" in report(run)


def test_only_some_of_many_constants_are_named(train: Any) -> None:
    columns = constants(1, 3.0, 7.0)
    many = [f"c{j}" for j in range(8)]
    settings: dict[str, Any] = {"features": ["x1", *many], "report": False}
    train("before", {**columns, **dict.fromkeys(many, np.zeros(100))}, **settings)
    run = train("now", {**columns, **dict.fromkeys(many, np.ones(100))}, **settings)
    largest = run.manifest["drift"]["largest"]
    assert largest[5] == "3 more were or are constant"
    assert not any("c5" in line for line in largest)
