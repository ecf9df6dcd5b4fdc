"""Runs that are published without becoming the latest: what readers follow stays where it is, on a disk and in S3."""

import json
from pathlib import Path
from typing import Any

import pytest

import gdpipe
from gdpipe.report.summary import is_beside_the_latest
from gdpipe.run import Run
from gdpipe.store.runs import place_at
from tests.conftest import gdpipe_cli, staged
from tests.runs import train


@pytest.fixture(params=["disk", "bucket"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An output folder that is not there yet, or a prefix in an object store."""
    if request.param == "disk":
        return str(tmp_path / "new")
    bucket = request.getfixturevalue("bucket")
    return str(request.getfixturevalue("s3").uri(f"{bucket}/new"))


def test_a_run_beside_the_latest_is_whole_and_moves_nothing(anywhere: str, data: Path) -> None:
    train(data, anywhere, run_id="served")
    pointer = place_at(anywhere).read("latest.json")
    beside = train(data, anywhere, run_id="beside", filters=[["x1", ">", 0]], latest=False)
    assert place_at(anywhere).read("latest.json") == pointer
    assert gdpipe.open_run(anywhere).run_id == "served"
    assert place_at(anywhere).folders("runs") == ["beside", "served"]
    assert beside.verify() == []
    assert beside.manifest["settings"]["latest"] is False
    # what it is compared with is what readers follow, and so is what comes after it
    assert beside.manifest["drift"]["since"] == "served"
    after = train(data, anywhere, run_id="after", tolerance=1e-7, max_rmse_increase=0.1)
    assert after.manifest["drift"]["since"] == after.manifest["gate"]["previous_run_id"] == "served"
    assert gdpipe.open_run(anywhere).run_id == "after"
    assert not place_at(anywhere).files(".staging")


def test_where_no_run_is_the_latest_one_is_named(anywhere: str, data: Path, tmp_path: Path) -> None:
    for run_id in ("to-1", "to-2"):
        train(data, anywhere, run_id=run_id, latest=False)
    named = str(place_at(anywhere).below("runs/to-2"))
    assert not place_at(anywhere).exists("latest.json")
    scores = str(tmp_path / "scores")
    for command in (
        ("show", anywhere),
        ("verify", anywhere, "--json"),
        ("sql", anywhere),
        ("predict", data, "--run", anywhere, "--output", scores),
    ):
        done = gdpipe_cli(*command)
        assert done.code == 4, done
        assert done.err.startswith(f"gdpipe: {place_at(anywhere)}: no run there is the latest"), done.err
        assert done.err.endswith(f"name one of its runs, such as {named}\n"), done.err
    with pytest.raises(gdpipe.PublishError, match="such as "):
        gdpipe.open_run(anywhere)
    assert gdpipe_cli("show", named).code == 0
    assert gdpipe_cli("predict", data, "--run", named, "--output", scores).code == 0


def test_a_half_copied_run_is_not_the_one_that_is_named(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "runs", run_id="a", latest=False)
    (tmp_path / "runs" / "runs" / "b").mkdir()
    assert "such as " + str(tmp_path / "runs" / "runs" / "a") in gdpipe_cli("show", tmp_path / "runs").err


def test_summary_log_and_report_say_so(data: Path, output: Path) -> None:
    command = ("train", data, "--target", "y", "--output", output)
    done = gdpipe_cli(*command, "--no-latest", "--run-id", "beside", "--force")
    assert done.code == 0, done.err
    assert "published " + str(output / "runs" / "beside") + ", not as the latest\n" in done.out
    assert "\nlatest      no: published with latest=false" in done.out
    assert "published beside the latest run" in (output / "runs" / "beside" / "report.html").read_text()
    usual = gdpipe_cli(*command, "--run-id", "usual", "--force")
    assert "latest  " not in usual.out
    assert "beside the latest" not in (output / "runs" / "usual" / "report.html").read_text()


@pytest.mark.parametrize("held_back", [{"max_iterations": 1, "method": "gd"}, {"min_r2": 1}])
def test_a_rejected_run_says_nothing_of_it(held_back: dict[str, Any], data: Path, output: Path) -> None:
    with pytest.raises(gdpipe.RejectedError) as caught:
        train(data, output, run_id="poor", latest=False, **held_back)
    assert not is_beside_the_latest(Run.at(caught.value.evidence).manifest)
    assert "latest  " not in gdpipe_cli("show", caught.value.evidence).out


def test_what_the_latest_run_is_already_needs_no_run_beside_it(data: Path, output: Path) -> None:
    """Nothing to do: the run that is asked for is published, and more than that."""
    command = ("train", data, "--target", "y", "--output", output, "--no-report")
    assert "nothing to do" in gdpipe_cli(*command, "--no-latest").out
    assert "nothing to do" in gdpipe_cli(*command, "--no-latest", "--run-id", "good").out
    # a run beside the latest is not looked at: the same again is one more
    for _ in range(2):
        assert "nothing to do" not in gdpipe_cli(*command, "--no-latest", "--tolerance", "1e-7").out
    assert len(list((output / "runs").iterdir())) == 3
    assert gdpipe.open_run(output).run_id == "good"
    # and to become the latest it must be a run
    assert "nothing to do" not in gdpipe_cli(*command, "--tolerance", "1e-7").out
    assert gdpipe.open_run(output).run_id != "good"


def test_pruning_counts_runs_of_both_kinds_and_keeps_the_latest(data: Path, output: Path) -> None:
    for run_id in ("a", "b", "c"):
        train(data, output, run_id=run_id, latest=False)
    done = gdpipe_cli("prune", output, "--keep", 2)
    assert done.code == 0
    assert sorted(folder.name for folder in (output / "runs").iterdir()) == ["c", "good"]
    assert gdpipe_cli("prune", output, "--keep", 1).code == 0
    assert gdpipe.open_run(output).run_id == "good"
    assert [folder.name for folder in (output / "runs").iterdir()] == ["good"]


def test_pruning_keeps_the_newest_where_none_is_the_latest(data: Path, tmp_path: Path) -> None:
    for run_id in ("b", "a"):
        train(data, tmp_path / "runs", run_id=run_id, latest=False)
    assert gdpipe_cli("prune", tmp_path / "runs", "--keep", 1).code == 0
    assert [folder.name for folder in (tmp_path / "runs" / "runs").iterdir()] == ["a"]
    assert staged(tmp_path / "runs") == []


def test_a_gate_without_a_latest_run_says_so(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    train(data, output, run_id="a", latest=False)
    run = train(data, output, run_id="b", latest=False, max_rmse_increase=0)
    assert run.manifest["notices"] == ["no published run is the latest; max_rmse_increase was not applied"]
    assert "drift" not in json.loads((run.folder / "manifest.json").read_text())
