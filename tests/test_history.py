"""The runs of an output: published, rejected and damaged ones, with their numbers, and which is the latest."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.history import history, listed
from gdpipe.store.runs import place_at
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.runs import train


@pytest.fixture
def past(tmp_path: Path) -> Path:
    """An output with a published run, one beside the latest, two rejected ones, and one whose manifest is damaged."""
    source, output = write_parquet(tmp_path / "line.parquet", line_columns()), tmp_path / "runs"
    train(source, output, run_id="first")
    train(source, output, run_id="aside", latest=False, features=["x1"])
    with pytest.raises(gdpipe.ConvergenceError):
        train(source, output, run_id="slow", learning_rate=1e-9, max_iterations=3)
    with pytest.raises(gdpipe.QualityError):
        train(source, output, run_id="poor", features=["x1"], min_r2=0.99)
    train(source, output, run_id="broken", latest=False, features=["x2"])
    (output / "runs" / "broken" / "manifest.json").write_text("{")
    return output


def test_every_run_is_there_the_newest_first(past: Path) -> None:
    runs = history(place_at(past))
    assert [run.run_id for run in runs] == ["poor", "slow", "aside", "first", "broken"]
    assert {run.run_id: run.verdict for run in runs} == {
        "poor": "gate not passed",
        "slow": "not passed",
        "aside": "passed",
        "first": "passed",
        "broken": "damaged",
    }
    assert [run.run_id for run in runs if run.latest] == ["first"]
    first = runs[3]
    run = gdpipe.open_run(past)
    assert (first.r2, first.rmse, first.rows) == (run.metrics["r2"][0], run.metrics["rmse"][0], 200)
    assert (first.created, first.target, first.folder) == (run.manifest["created"], "y", run.location)
    assert first.cv_rmse == run.metrics["cv_rmse"][0]
    assert first.holdout_rmse is None


def test_the_table_and_the_document_say_the_same(past: Path) -> None:
    done = gdpipe_cli("runs", past)
    assert done.code == 0
    head, *lines = done.out.splitlines()
    assert head.split() == ["run", "verdict", "rows", "R²", "RMSE", "cv_rmse", "made", "(UTC)", "target"]
    assert [line.split()[0] for line in lines] == ["poor", "slow", "aside", "first", "broken"]
    assert [line[len("broken") :].strip().startswith("passed, latest") for line in lines] == [False] * 3 + [True, False]
    document = json.loads(gdpipe_cli("runs", past, "--json").out)
    assert document["output"] == str(past)
    assert [run["run_id"] for run in document["runs"]] == [line.split()[0] for line in lines]
    assert document["runs"][3]["latest"] is True


def test_held_out_errors_have_columns_where_a_run_has_them(past: Path) -> None:
    for folder in (past / "runs" / "aside", past / "rejected" / "poor"):  # runs of an earlier version
        path = folder / "metrics.parquet"
        pq.write_table(pq.read_table(path).drop_columns(["cv_rmse", "holdout_rmse"]), path)
    runs = history(place_at(past))
    assert [run.cv_rmse is None for run in runs] == [True, False, True, False, True]
    assert "cv_rmse" in listed(runs)[0]
    assert "holdout_rmse" not in listed(runs)[0]
    assert "cv_rmse" not in listed([run for run in runs if run.cv_rmse is None])[0]


def test_scores_are_listed_too(data: Path, output: Path, tmp_path: Path) -> None:
    assert gdpipe_cli("predict", data, "--run", output, "--output", tmp_path / "scores").code == 0
    [run] = history(place_at(tmp_path / "scores"))
    assert (run.verdict, run.rows, run.latest) == ("scored", 200, True)
    assert run.rmse == pytest.approx(gdpipe.open_run(output).metrics["rmse"][0])


def test_an_output_without_a_run_is_4(tmp_path: Path) -> None:
    done = gdpipe_cli("runs", tmp_path / "nothing")
    assert done.code == 4
    said = "no run there, neither published nor rejected; give the output of a run"
    assert done.err == f"gdpipe: {tmp_path / 'nothing'}: {said}\n"


def test_no_name_leaves_its_line(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"x": [1.0, 2.0, 4.0], "y\n\x1b[31m": [1.0, 2.5, 3.0]}
    train(write_parquet(tmp_path / "a.parquet", columns), tmp_path / "runs", target="y\n\x1b[31m")
    out = gdpipe_cli("runs", tmp_path / "runs").out
    assert len(out.splitlines()) == 2
    assert r"y\n\x1b[31m" in out
