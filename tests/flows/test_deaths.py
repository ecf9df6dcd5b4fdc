"""What may die while a flow works: its API, itself, its worker; real processes, really killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import staged
from tests.flows.machine import FLIGHTS, REPO, Machine, kill_with_children, slow, until

pytestmark = pytest.mark.prefect_server


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    try:
        yield machine
    finally:
        machine.stop()


def kill_api_mid_run(machine: Machine, rate: float) -> tuple[Any, Path]:
    """A script against a server that is killed while it descends; with the automation that looks for dead runs."""
    server = machine.server()
    assert machine.prefect("automation", "create", "--from-file", "automation.yaml").returncode == 0
    output = machine.folder / "runs"
    script = machine.script(f"output={output}", *slow(rate))
    until(lambda: machine.says("script.log", "descent: gd"))
    server.kill()
    server.wait()
    return script, output


def test_the_api_dies_and_never_comes_back(machine: Machine) -> None:
    script, output = kill_api_mid_run(machine, 0.002)
    until((output / "latest.json").exists)
    finished = time.monotonic()
    # this bound is the promise itself
    assert script.wait(30) == 0
    assert time.monotonic() - finished < 30
    assert machine.says("script.log", "published ")
    assert machine.says("script.log", "the API does not answer")
    assert staged(output) == []


def test_the_api_dies_before_a_run_fails(machine: Machine) -> None:
    machine_output = machine.folder / "runs"
    server = machine.server()
    script = machine.script(f"output={machine_output}", "method=gd", "learning_rate=0.0001", "max_iterations=2000000")
    until(lambda: machine.says("script.log", "descent: gd"))
    server.kill()
    server.wait()
    until(lambda: list((machine_output / "rejected").glob("*")))
    assert script.wait(30) == 1
    assert machine.says("script.log", "ConvergenceError: the run did not pass validation")


def test_the_api_dies_and_is_back_after_half_a_minute(machine: Machine) -> None:
    script, output = kill_api_mid_run(machine, 0.0003)
    time.sleep(25)
    machine.server()
    assert script.wait(200) == 0
    assert len(list((output / "runs").glob("*"))) == 1
    (run,) = machine.find("flow_runs")
    assert run["state_name"] == "Completed"
    assert run["state"]["message"].startswith("published ")
    assert {artifact["type"] for artifact in machine.find("artifacts")} >= {"markdown", "table"}


def test_the_api_dies_under_a_worker_and_is_back_after_half_a_minute(machine: Machine) -> None:
    """The worker goes on, its run publishes once and is completed, and the next run needs no new worker."""
    server = machine.server()
    machine.deploy()
    worker = machine.worker()
    output = machine.folder / "runs"
    run = machine.trigger("train/nightly", f"output={output}", *slow(0.0003))
    until(lambda: machine.says("worker.log", "descent: gd"))
    server.kill()
    server.wait()
    time.sleep(25)
    machine.server()
    until(lambda: machine.state(run) == "Completed", seconds=300)
    assert len(list((output / "runs").glob("*"))) == 1
    assert staged(output) == []
    assert worker.poll() is None
    done = machine.prefect("deployment", "run", "train/nightly", f"-poutput={output}", "--watch")
    assert done.returncode == 0, done.stdout
    assert len(list((output / "runs").glob("*"))) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_script_that_is_told_to_stop_leaves_nothing_behind(machine: Machine, number: signal.Signals) -> None:
    """With a temporary server of its own: a process more that could stay."""
    output = machine.folder / "runs"
    script = machine.script(f"output={output}", *slow(0.0003), PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="true")
    until(lambda: machine.says("script.log", "descent: gd"))
    assert len(machine.alive()) > 1
    script.send_signal(number)
    assert script.wait(60) == 128 + number
    assert machine.says("script.log", "\ninterrupted\n") is (number == signal.SIGINT)
    until(lambda: machine.alive() == [], seconds=20)
    assert staged(output) == []
    assert not (output / "latest.json").exists()


def test_worker_and_flow_die_together(machine: Machine) -> None:
    machine.server()
    machine.deploy()
    assert machine.prefect("automation", "create", "--from-file", "automation.yaml").returncode == 0
    worker = machine.worker()
    output = machine.folder / "runs"
    dead = machine.trigger("train/nightly", f"output={output}", *slow(0.0001))
    until(lambda: staged(output) and machine.says("worker.log", "descent: gd"))
    kill_with_children(worker.pid)
    worker.wait()
    assert staged(output)  # the lock of the half-written run

    machine.worker("worker_2.log")
    next_run = machine.prefect("deployment", "run", "train/nightly", f"-poutput={output}", "--watch")
    assert next_run.returncode == 0, next_run.stdout
    assert not machine.says("worker_2.log", "waiting: another run")
    assert staged(output) == []
    assert machine.state(dead) == "Running"
    until(lambda: machine.state(dead) == "Crashed", seconds=180)
    assert len(list((output / "runs").glob("*"))) == 1


@pytest.mark.parametrize("interrupted", [False, True])
def test_make_run_leaves_no_process_behind(machine: Machine, interrupted: bool) -> None:
    """The command of `make run`, in a terminal's process group of its own, which Ctrl-C reaches as a whole."""
    dry_run = ("make", "--no-print-directory", "-n", "-o", ".venv/run-ready", "run")
    recipe = subprocess.run(dry_run, cwd=REPO, capture_output=True, text=True, check=True).stdout
    assert all(part in recipe for part in ("-m flows.train", *FLIGHTS[:2]))
    makefile = machine.clone / "Makefile"
    makefile.write_text(f"run:\n\t{sys.executable} {recipe.split(maxsplit=1)[1]}")
    make = machine.start("make", "run", log="make.log")
    if interrupted:
        until(lambda: machine.says("make.log", "Beginning flow run"))
        os.killpg(make.pid, signal.SIGINT)
    assert (make.wait(120) == 0) is not interrupted
    until(lambda: machine.alive() == [], seconds=20)
    if not interrupted:
        assert json.loads((machine.clone / "runs" / "latest.json").read_text())["run_id"]
