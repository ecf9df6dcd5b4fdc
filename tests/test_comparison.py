"""The gate and the drift of whole runs: what is held back, what is published, and what is then said, wherever."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gdpipe
from gdpipe.errors import ConvergenceError, QualityError
from tests.conftest import Outcome, gdpipe_cli, line_columns, snapshot, write_parquet
from tests.runs import train_on

Columns = dict[str, Any]


def night(seed: int = 1, n: int = 200, noise: float = 0.1) -> Columns:
    """As `line_columns`, with another noise."""
    columns = line_columns(n, seed)
    exact = 1 + 2 * columns["x1"] - 3 * columns["x2"]
    return {**columns, "y": exact + noise / 0.1 * (columns["y"] - exact)}


@pytest.fixture
def train(tmp_path: Path) -> Any:
    """Train on columns into one output; each call is a night."""

    def run(columns: Columns, *more: object, target: str = "y") -> Outcome:
        source = write_parquet(tmp_path / "source" / f"night-{len(list(tmp_path.glob('source/*')))}.parquet", columns)
        return gdpipe_cli("train", source, "--target", target, "--output", tmp_path / "runs", *more)

    return run


def manifest(output: Path, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / run / "manifest.json").read_text(encoding="utf-8"))
    return found


def rmse(columns: Columns, line: gdpipe.Run, weights: Any = None) -> float:
    """That of an earlier run on these rows, row by row."""
    return math.sqrt(np.average((columns["y"] - line.predict(pd.DataFrame(columns))) ** 2, weights=weights))


# the gate


def test_worse_data_are_held_back_and_the_pointer_stays(train: Any, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    assert train(night(), "--run-id", "good").code == 0
    before, worse = snapshot(output), night(2, noise=0.2)
    done = train(worse, "--run-id", "worse", "--max-rmse-increase", "5%")
    assert done.code == 1
    assert done.err.startswith(
        "gdpipe: the run did not pass the gate: cross-validated RMSE 0.197045 is more than 5% above"
    )
    assert done.err.endswith(f"(evidence: {output / 'rejected' / 'worse'})\n")
    assert {name: content for name, content in snapshot(output).items() if name in before} == before
    assert not (output / "rejected" / "worse" / "predictions").exists()

    good, kept = gdpipe.open_run(output), gdpipe.open_run(output / "rejected" / "worse")
    assert good.run_id == "good"
    gate = kept.manifest["gate"]
    assert (gate["max_rmse_increase"], gate["min_r2"], gate["passed"]) == (0.05, None, False)
    assert gate["previous_run_id"] == "good"
    assert gate["reason"] in done.err
    assert (gate["error"], gate["rmse"]) == ("cv", kept.metrics["cv_rmse"][0])
    assert gate["r2"] == kept.metrics["cv_r2"][0]
    assert gate["previous_rmse_published"] == good.metrics["cv_rmse"][0]
    assert gate["previous_rmse"] == pytest.approx(rmse(worse, good), rel=1e-12)
    # the fit itself is sound, and says so
    assert kept.manifest["verdict"]["passed"] is True
    assert kept.convergence["passed"][0]
    assert "not the gate" in (kept.folder / "report.html").read_text(encoding="utf-8")
    assert "gate        NOT PASSED: cross-validated RMSE" in gdpipe_cli("show", kept.folder).out


def test_a_small_increase_is_published(train: Any, tmp_path: Path) -> None:
    train(night(), "--run-id", "good")
    done = train(night(noise=0.104), "--run-id", "next", "--max-rmse-increase", "5%")
    assert done.code == 0, done.err
    assert "gate        PASSED: cross-validated RMSE" in done.out
    run = gdpipe.open_run(tmp_path / "runs")
    assert run.run_id == "next"
    assert run.manifest["gate"]["passed"] is True
    assert "The gate was passed" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_the_same_rows_pass_a_gate_that_allows_nothing(train: Any) -> None:
    train(night())
    assert train(night(), "--max-rmse-increase", "0").code == 0
    assert train(night(), "--max-rmse-increase", "0", "--tolerance", "1e-6").code == 0


def test_a_line_without_noise_is_not_held_to_its_rounding(train: Any, tmp_path: Path) -> None:
    train(night(noise=0.0))
    done = train(night(3, noise=0.0), "--max-rmse-increase", "0")
    assert done.code == 0, done.err
    assert manifest(tmp_path / "runs", f"runs/{gdpipe.open_run(tmp_path / 'runs').run_id}")["gate"]["rmse"] < 1e-12


def test_a_poorer_model_is_found_on_easier_rows(train: Any, tmp_path: Path) -> None:
    # the night is quieter, so that even a line through the origin beats the published RMSE; not the earlier line's own
    train(night(noise=10.0), "--run-id", "good")
    easier = night(2, noise=0.1)
    done = train(easier, "--no-fit-intercept", "--run-id", "origin", "--max-rmse-increase", "5%")
    gate = manifest(tmp_path / "runs", "runs/origin")["gate"]
    assert done.code == 0
    assert gate["previous_rmse"] == pytest.approx(rmse(easier, gdpipe.Run.at(tmp_path / "runs" / "runs" / "good")))
    train(night(noise=0.5), "--run-id", "again")
    done = train(easier, "--no-fit-intercept", "--run-id", "held", "--max-rmse-increase", "5%")
    assert done.code == 1
    assert "run again's RMSE on today's rows" in done.err


@pytest.mark.parametrize("collinear", ["min_norm", "drop"])
@pytest.mark.parametrize(("intercept", "weight"), [("--fit-intercept", ("--weight", "w")), ("--no-fit-intercept", ())])
def test_the_earlier_line_is_measured_as_row_by_row(
    collinear: str, intercept: str, weight: tuple[str, ...], train: Any, tmp_path: Path
) -> None:
    def with_more(columns: Columns, seed: int) -> Columns:
        w = np.random.default_rng(seed).integers(0, 4, len(columns["y"])).astype(float)
        more = {"twin": 2 * columns["x1"], "c": np.full(len(w), 3.0 + seed)}
        return {**columns, **more, **({"w": w} if weight else {})}

    options = ("--collinear", collinear, intercept, *weight)
    first, second = with_more(night(), 0), with_more(night(2), 1)
    assert train(first, *options, "--run-id", "good").code == 0
    assert train(second, *options, "--run-id", "next", "--max-rmse-increase", "9900%").code == 0
    gate = manifest(tmp_path / "runs", "runs/next")["gate"]
    good = gdpipe.Run.at(tmp_path / "runs" / "runs" / "good")
    assert gate["previous_rmse"] == pytest.approx(rmse(second, good, second.get("w")), rel=1e-11)


def test_a_run_that_did_not_converge_is_refused_for_that(train: Any, tmp_path: Path) -> None:
    train(night(), "--run-id", "good")
    options = ("--method", "gd", "--max-iterations", "2", "--min-r2", "1", "--run-id", "short")
    done = train(night(2), *options)
    assert done.code == 1
    assert "did not pass validation: stopped after 2 steps" in done.err
    assert manifest(tmp_path / "runs", "rejected/short")["gate"]["passed"] is False


def test_in_python_it_is_an_error_of_its_own(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "d.parquet", night())
    with pytest.raises(QualityError, match="did not pass the gate: cross-validated R² ") as caught:
        gdpipe.train(source=str(file), target="y", output=str(tmp_path / "runs"), min_r2=1, run_id="r")
    assert caught.value.evidence == str(tmp_path / "runs" / "rejected" / "r")
    assert isinstance(caught.value, gdpipe.RejectedError)
    assert not isinstance(caught.value, ConvergenceError)
    assert not (tmp_path / "runs" / "latest.json").exists()


# what cannot be compared with


def test_the_first_run_has_no_drift_and_says_so_only_to_a_gate(train: Any, tmp_path: Path) -> None:
    assert "drift" not in train(night(), "--run-id", "first").out
    run = gdpipe.open_run(tmp_path / "runs")
    assert not (run.folder / "drift.parquet").exists()
    assert not {"drift", "gate"} & set(run.manifest)
    assert run.manifest["notices"] == []
    shutil.rmtree(tmp_path / "runs")
    done = train(night(), "--run-id", "first", "--max-rmse-increase", "0")
    assert done.code == 0
    assert "notice      no published run is the latest; max_rmse_increase was not applied" in done.out


def test_a_damaged_run_before_is_a_notice_but_shuts_the_gate(train: Any, tmp_path: Path) -> None:
    train(night(), "--run-id", "good")
    (tmp_path / "runs" / "runs" / "good" / "parameters.parquet").unlink()
    closed = train(night(2), "--run-id", "shut", "--max-rmse-increase", "0")
    assert closed.code == 4
    assert "max_rmse_increase has nothing to compare with" in closed.err
    done = train(night(2), "--run-id", "next")
    assert done.code == 0, done.err
    assert "notice      the run published before cannot be compared with:" in done.out
    assert gdpipe.open_run(tmp_path / "runs").run_id == "next"


# drift


def expected_drift(before: Columns, now: Columns, column: str) -> list[float]:
    a, b = before[column], now[column]
    se = math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    ratio = b.std() / a.std()
    log_se = math.sqrt(0.5 / (len(a) - 1) + 0.5 / (len(b) - 1))
    return [(b.mean() - a.mean()) / a.std(), (b.mean() - a.mean()) / se, ratio, math.log(ratio) / log_se]


SHIFTS = ["mean_shift_sd", "mean_shift_se", "scale_ratio", "scale_shift_se"]


@pytest.mark.parametrize("weighted", [False, True])
def test_drift_is_that_of_the_raw_rows(weighted: bool, train: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    nights = []
    for seed, n in ((1, 150), (2, 260)):
        columns = night(seed, n)
        columns["x2"] = columns["x2"] * seed + 0.3
        nights.append({**columns, **({"w": rng.integers(0, 4, n)} if weighted else {})})
    options = ("--weight", "w") if weighted else ()
    assert train(nights[0], *options, "--run-id", "good").code == 0
    good = gdpipe.open_run(tmp_path / "runs")
    done = train(nights[1], *options, "--run-id", "next")
    assert done.code == 0, done.err
    run = gdpipe.open_run(tmp_path / "runs")
    drift = run.drift
    assert drift["term"].to_list() == ["intercept", "x1", "x2", "y"]
    assert drift["role"].to_list() == ["intercept", "feature", "feature", "target"]
    # a weight of 2 is the row twice
    before, now = ({k: np.repeat(v, c.get("w", 1)) for k, v in c.items()} for c in nights)
    row: Any
    for row in drift[1:].itertuples():
        found = [getattr(row, name) for name in SHIFTS]
        assert found == pytest.approx(expected_drift(before, now, str(row.term)), rel=1e-9)
        assert row.previous_mean == pytest.approx(before[str(row.term)].mean(), rel=1e-12)
        assert row.previous_scale == pytest.approx(before[str(row.term)].std(), rel=1e-12)
    assert drift[SHIFTS].iloc[0].isna().all()
    old, new = good.parameters, run.parameters
    joint = np.sqrt(old["std_error"] ** 2 + new["std_error"] ** 2)
    shift: Any = (new["estimate"] - old["estimate"]) / joint
    np.testing.assert_allclose(drift["estimate_shift_se"][:3], shift, rtol=1e-9)
    np.testing.assert_array_equal(drift["previous_estimate"][:3], old["estimate"])
    assert drift[["previous_estimate", "estimate_shift_se"]].iloc[3].isna().all()

    moved = drift.iloc[int(np.nanargmax(drift["mean_shift_sd"].abs()))]
    said = f"drift       since good: {moved['term']} mean {moved['mean_shift_sd']:+.3g} SD"
    assert said in done.out
    assert "x2 scale x " in done.out
    assert "joint SE" in done.out
    assert run.manifest["drift"]["since"] == "good"
    assert any(entry["path"] == "drift.parquet" for entry in run.manifest["files"])
    assert "Drift since run good" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_without_an_intercept_only_what_is_published_drifts(train: Any, tmp_path: Path) -> None:
    first, second = night(), night(2)
    train(first, "--no-fit-intercept", "--run-id", "good")
    assert train(second, "--no-fit-intercept", "--run-id", "next").code == 0
    drift = gdpipe.open_run(tmp_path / "runs").drift.set_index("term")
    assert drift.index.to_list() == ["x1", "x2", "y"]
    assert drift[["mean_shift_sd", "mean_shift_se", "scale_shift_se", "previous_mean"]].isna().all(axis=None)
    for name, ratio in drift["scale_ratio"].items():
        a, b = first[str(name)], second[str(name)]
        assert ratio == pytest.approx(math.sqrt(np.mean(b**2) / np.mean(a**2)), rel=1e-12)
    assert drift["estimate_shift_se"][:2].notna().all()
    done = train(second, "--run-id", "with")
    assert "notice      run next has no intercept: drift since then is not measured" in done.out
    assert "drift" not in manifest(tmp_path / "runs", "runs/with")


def test_the_same_rows_again_have_not_moved(train: Any) -> None:
    train(night(), "--run-id", "good")
    assert "drift       since good: nothing has moved" in train(night()).out


# what is said of the drift: of runs on other rows, and of columns that vary in one run only

MAY = [["month", "=", 5]]


@pytest.fixture
def trained(tmp_path: Path) -> Any:
    """Train on these columns as a run of this name; each run is the latest after it."""

    def run(run_id: str, columns: dict[str, Any], **settings: Any) -> gdpipe.Run:
        return train_on(tmp_path, columns, run_id=run_id, **{"features": ["x1", "x2"], "report": True, **settings})

    return run


def months() -> dict[str, Any]:
    return {**line_columns(), "month": np.repeat([5, 6], 100), "w": np.ones(200)}


def report(run: gdpipe.Run) -> str:
    return (run.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"filters": MAY}, {"filters": [["month", "=", 6]]}, 'other rows: filters [["month", "=", 5]]'),
        ({}, {"weight": "w"}, "other weights: none"),
    ],
)
def test_what_the_run_before_had_otherwise_is_said_wherever_drift_is(
    before: dict[str, Any], now: dict[str, Any], said: str, trained: Any
) -> None:
    trained("before", months(), **before, report=False)
    run = trained("now", months(), **now)
    (notice,) = run.manifest["notices"]
    assert notice.startswith("run before used other ")
    assert said in notice
    assert run.manifest["drift"]["differences"] == [notice.removeprefix("run before used ")]
    shown = gdpipe_cli("show", run.folder).out
    assert f"drift       since before (with {run.manifest['drift']['differences'][0]}): " in shown
    assert f"notice      {notice}" in shown
    page = report(run)
    assert "<p>That run used other " in page[page.index("Drift since run before") :]


def test_the_same_rows_in_other_words_are_the_same(trained: Any) -> None:
    trained("before", months(), filters=[["month", "in", [5, 6]]], report=False)
    run = trained("now", months(), filters=[[("month", "in", (6, 5))]], tolerance=1e-7, report=False)
    assert run.manifest["notices"] == run.manifest["drift"]["differences"] == []
    assert "drift       since before: " in gdpipe_cli("show", run.folder).out


def constants(seed: int, first: Any, second: Any) -> dict[str, Any]:
    """y depends on x1; x2 and x3 are what is said."""
    rng = np.random.default_rng(seed)
    x1, noise = rng.normal(size=100), rng.normal(size=100)
    return {"x1": x1, "x2": np.broadcast_to(first, 100), "x3": np.broadcast_to(second, 100), "y": x1 + noise}


def test_columns_that_were_or_are_constant_are_said_in_words(trained: Any) -> None:
    varying = np.random.default_rng(9).normal(size=100)
    three: dict[str, Any] = {"features": ["x1", "x2", "x3"]}
    trained("before", constants(1, 3.0, varying), **three, report=False)
    run = trained("now", constants(2, varying, 7.0), **three)
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
