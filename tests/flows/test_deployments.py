"""The deployments of prefect.yaml: a real server, a real worker, Prefect's own commands, in a clone of the project.

The tests stand in the order of their numbers and share one server; each has an output of its own.
"""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gdpipe
from tests.flows.machine import Machine, slow, until
from tests.flows.states import STAGES
from tests.test_dask import Cluster

pytestmark = pytest.mark.prefect_server

DONE = {"Completed", "Failed", "Crashed", "Cancelled"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("deployments"))
    try:
        machine.server()
        machine.deploy()
        machine.worker()
        yield machine
    finally:
        machine.stop()


def published(output: Path) -> list[str]:
    return sorted(p.name for p in (output / "runs").glob("*"))


def logs(machine: Machine, run: str) -> str:
    return "\n".join(line["message"] for line in machine.find("logs", logs={"flow_run_id": {"any_": [run]}}))


def test_a_deployment_runs_from_wherever_the_clone_stands_and_shows_itself(machine: Machine) -> None:
    done = machine.prefect("deployment", "run", "train/nightly", '-pfilters=[["month", "<=", 2]]', "--watch")
    assert done.returncode == 0, done.stdout
    assert "finished successfully in 'Completed'" in done.stdout
    latest = json.loads((machine.clone / "runs" / "latest.json").read_text())
    manifest = json.loads((machine.clone / "runs" / latest["path"] / "manifest.json").read_text())
    assert manifest["rows"]["read"] == 51_955
    (run,) = machine.find("flow_runs", flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}})
    assert run["name"] == "arr_delay from data/flights where month <= 2"
    tasks = until(lambda: machine.find("task_runs"))
    assert sorted(t["name"] for t in tasks) == sorted(STAGES)
    assert "descent: gd" in until(lambda: logs(machine, run["id"]))
    shown = {artifact["key"]: artifact for artifact in machine.find("artifacts")}
    progress = {f"gdpipe-{doing}" for doing in ("read", "descended", "predicted")}
    parts = ("summary", "parameters", "categories", "predicted", "residuals", "loss", "runs")
    assert shown.keys() - progress == {f"train-arr-delay-{part}" for part in parts}
    assert "PASSED" in shown["train-arr-delay-summary"]["data"]
    assert "/report.html`" in shown["train-arr-delay-summary"]["data"]
    assert shown["train-arr-delay-loss"]["data"].startswith("![loss](data:image/svg+xml;base64,")
    table = json.loads(shown["train-arr-delay-parameters"]["data"])
    assert [row["term"] for row in table][:2] == ["intercept", "dep_delay"]


def test_lineage_goes_from_the_source_to_each_published_artifact(machine: Machine) -> None:
    def events() -> list[dict[str, Any]]:
        wanted = {"event": {"name": ["prefect.asset.materialization.succeeded"]}}
        found: list[dict[str, Any]] = machine.find("events", filter=wanted)["events"]
        return found if len(found) >= 5 else []

    made = {event["resource"]["prefect.resource.id"]: event for event in until(events)}
    names = ("parameters", "loss_history", "predictions", "convergence", "metrics")
    assert set(made) == {(machine.clone / "runs" / name).as_uri() for name in names}
    for event in made.values():
        sources = [r["prefect.resource.id"] for r in event["related"] if r["prefect.resource.role"] == "asset"]
        assert sources == [(machine.clone / "data" / "flights").as_uri()]
        assert event["payload"]["rows"] == 51_955


def test_scoring_on_demand_uses_what_was_published(machine: Machine) -> None:
    done = machine.prefect(
        "deployment",
        "run",
        "score/on-demand",
        '-pfilters=[[["month", ">", 11], ["day", "<=", 31]], [["month", "=", 13]]]',
        "--watch",
    )
    assert done.returncode == 0, done.stdout
    assert published(machine.clone / "scores")


def test_a_missing_source_fails_with_exit_code_1_and_the_path(machine: Machine) -> None:
    done = machine.prefect("deployment", "run", "train/nightly", "-psource=/no/such/path", "--watch")
    assert done.returncode == 1, done.stdout
    (run,) = machine.find("flow_runs", flow_runs={"state": {"type": {"any_": ["FAILED"]}}})
    assert run["state"]["message"] == "DataError: /no/such/path: no such file or folder"
    assert "DataError: /no/such/path" in until(lambda: logs(machine, run["id"]))
    assert "Traceback" not in logs(machine, run["id"])


@pytest.mark.parametrize(
    ("setting", "value"), [("learning_rate", "-1"), ("method", "newton"), ("filters", '[["month", "=>", 6]]')]
)
def test_a_wrong_value_is_refused_before_there_is_a_run(machine: Machine, setting: str, value: str) -> None:
    """By the server itself; test_form.py has the other bounds."""
    before = len(machine.find("flow_runs"))
    done = machine.prefect("deployment", "run", "train/nightly", f"-p{setting}={value}", "--watch")
    assert done.returncode == 1
    assert f"Validation failed for field '{setting}" in done.stdout
    assert len(machine.find("flow_runs")) == before


def test_of_two_triggers_at_once_one_waits_and_both_publish(machine: Machine) -> None:
    output = machine.folder / "two"
    runs = [
        machine.trigger("train/nightly", f"output={output}", *slow(0.002), f'filters=[["month", "=", {month}]]')
        for month in (1, 2)
    ]
    until(lambda: all(machine.state(run) in DONE for run in runs))
    assert [machine.state(run) for run in runs] == ["Completed", "Completed"]
    assert len(published(output)) == 2
    assert "waiting: another run works on" in until(lambda: "".join(logs(machine, run) for run in runs))


def test_of_three_missed_runs_one_does_the_work(machine: Machine) -> None:
    output = machine.folder / "three"
    runs = [machine.trigger("train/nightly", f"output={output}") for _ in range(3)]
    until(lambda: all(machine.state(run) in DONE for run in runs))
    assert [machine.state(run) for run in runs] == ["Completed"] * 3
    assert len(published(output)) == 1


def test_the_deployment_for_a_cluster_works_there(machine: Machine, tmp_path: Path) -> None:
    cluster, output = Cluster(tmp_path), machine.folder / "dask"
    try:
        cluster.grow(2)
        settings = (f"engine={cluster.address}", f"output={output}")
        done = machine.prefect("deployment", "run", "train/nightly-dask", *(f"-p{s}" for s in settings), "--watch")
    finally:
        cluster.close()
    assert done.returncode == 0, done.stdout
    manifest = gdpipe.open_run(output).manifest
    assert manifest["settings"]["engine"] == cluster.address
    assert manifest["rows"]["read"] == 336_776


def test_backfill_runs_what_is_missing_n_at_a_time_and_says_what_failed(machine: Machine) -> None:
    output = machine.clone / "backfill"
    followed = (machine.clone / "runs" / "latest.json").read_bytes()
    command = (sys.executable, "-m", "flows.backfill", "month", "1..3", "--at-once", "2")
    first = machine.run(*command)
    assert first.returncode == 0, first.stdout
    assert first.stdout.splitlines()[-1] == "3 published, 0 skipped, 0 FAILED"
    assert len(published(output)) == 3
    wanted = {"deployment_id": {"any_": [machine.get("deployments/name/train/backfill")["id"]]}}
    runs = machine.find("flow_runs", flow_runs=wanted, sort="EXPECTED_START_TIME_ASC")
    begun, ended = ([run[when] for run in runs] for when in ("created", "end_time"))
    assert begun[1] < ended[0]
    assert min(ended[:2]) < begun[2]
    again = machine.run(*command[:4], "3..4")
    assert again.returncode == 0, again.stdout
    assert again.stdout.splitlines()[-1] == "1 published, 1 skipped, 0 FAILED"
    broken = machine.run(*command[:4], "4,13")
    assert broken.returncode == 1, broken.stdout
    assert broken.stdout.splitlines()[-1] == "0 published, 1 skipped, 1 FAILED"
    assert any(line.startswith("month=13") and "DataError" in line for line in broken.stdout.splitlines())
    # what readers follow has not moved, nor where the runs are kept with it, as they are here by another deployment
    beside = machine.run(*command[:4], "1", "output=runs", "--deployment", "train/nightly")
    assert beside.returncode == 0, beside.stdout
    assert ", not as the latest" in beside.stdout
    assert (machine.clone / "runs" / "latest.json").read_bytes() == followed
    assert not (output / "latest.json").exists()


def test_ctrl_c_of_a_backfill_is_130_and_starts_no_more(machine: Machine) -> None:
    deployment = {"deployment_id": {"any_": [machine.get("deployments/name/train/backfill")["id"]]}}
    before = len(machine.find("flow_runs", flow_runs=deployment))
    command = ("month", "1..9", f"output={machine.folder / 'interrupted'}", *slow(0.002), "--at-once", "1")
    backfill = machine.start(sys.executable, "-m", "flows.backfill", *command, log="backfill.log", **machine.api())
    until(lambda: len(machine.find("flow_runs", flow_runs=deployment)) > before)
    backfill.send_signal(signal.SIGINT)
    assert backfill.wait(30) == 130
    assert (machine.folder / "backfill.log").read_text().splitlines()[-1] == "interrupted"
    assert len(machine.find("flow_runs", flow_runs=deployment)) == before + 1


def test_python_m_flows_serves_without_a_worker(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    try:
        machine.server()
        serving = machine.start(sys.executable, "-m", "flows", log="serve.log", **machine.api())
        until(lambda: machine.says("serve.log", "score/on-demand"))
        done = machine.prefect("deployment", "run", "train/nightly", "--watch")
        assert done.returncode == 0, done.stdout
        assert len(published(machine.clone / "runs")) == 1
        serving.terminate()
        assert serving.wait(60) == 0
    finally:
        machine.stop()


def test_a_cron_schedule_fires(machine: Machine) -> None:
    """This alone sees a server whose scheduler fails in silence."""
    yaml = machine.clone / "prefect.yaml"
    yaml.write_text(yaml.read_text().replace("0 3 * * *", "* * * * *", 1))
    assert machine.prefect("--no-prompt", "deploy", "-n", "nightly").returncode == 0
    wanted = {"state": {"type": {"any_": ["COMPLETED"]}}}

    def fired() -> list[Any]:
        return [run for run in machine.find("flow_runs", flow_runs=wanted) if run["auto_scheduled"]]

    (run, *_) = until(fired, seconds=180)
    assert run["name"] == "arr_delay from data/flights"
