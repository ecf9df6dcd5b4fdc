"""Killed at any instant, beside others: a reader always finds a whole run, and the next run cleans up.

`make kills` kills 200 times, and at every single write.
"""

import itertools
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gdpipe
from gdpipe.layout import signed
from gdpipe.store.runs import place_at
from tests.conftest import REPO, gdpipe_cli, gdpipe_command, line_columns, snapshot, staged, write_parquet
from tests.faults import KILLS, killed_at


@contextmanager
def reader(output: Path) -> Iterator[list[str]]:
    """Someone who opens the latest run and reads its tables, again and again; tells what was found."""
    found: list[str] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                run = gdpipe.open_run(output)
                assert run.table("parameters").num_rows == 3
                assert run.table("predictions").num_rows == 200
                found.append(run.run_id)
                stop.wait(0.02)  # the runs have but the same cores
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
    assert errors == []
    assert found


def unchanged(before: dict[str, bytes], output: Path) -> bool:
    after = snapshot(output)
    return all(after.get(name) == content for name, content in before.items() if name != "latest.json")


def test_kills_at_random_instants_beside_a_reader(data: Path, output: Path) -> None:
    train = gdpipe_command("train", data, "--target", "y", "--output", output, "--no-report", "--force")
    before = snapshot(output)
    began = time.perf_counter()
    subprocess.run(train, cwd=REPO, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - began
    instants = random.Random(0)  # noqa: S311  # nothing secret
    killed = 0
    with reader(output):
        for _ in range(KILLS):
            process = subprocess.Popen(train, cwd=REPO, stdout=subprocess.DEVNULL)
            try:
                # later than the start of the interpreter, mostly: nothing is written before
                process.wait(whole * instants.uniform(0.4, 1.0))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
    assert killed
    assert unchanged(before, output)
    assert gdpipe_cli("train", data, "--target", "y", "--output", output, "--run-id", "next").code == 0
    assert gdpipe.open_run(output).run_id == "next"
    assert staged(output) == []
    for folder in (output / "runs").iterdir():
        assert gdpipe_cli("verify", folder).code == 0


def test_a_run_that_is_told_to_stop_clears_up(tmp_path: Path) -> None:
    for part in range(200):
        write_parquet(tmp_path / "data" / f"{part}.parquet", line_columns(20, seed=part))
    output = tmp_path / "runs"
    command = gdpipe_command("train", tmp_path / "data", "--target", "y", "--output", output, "--no-report")
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not list(output.glob("moments/*")) and process.poll() is None:
            time.sleep(0.001)
        process.terminate()
        assert process.communicate()[1] == b""
    assert process.returncode == 128 + signal.SIGTERM
    assert staged(output) == []
    assert not (output / "latest.json").exists()


def test_a_kill_at_each_step(data: Path, output: Path) -> None:
    before = snapshot(output)
    train = ("train", data, "--target", "y", "--output", output, "--no-report", "--run-id")
    published: list[str] = []
    for n in itertools.count():
        run_id = f"killed-{n}"
        if not killed_at(n, output, *train, run_id):
            break
        assert gdpipe.open_run(output).run_id in {"good", *published, run_id}, n
        assert unchanged(before, output), n
        if (output / "runs" / run_id).exists():
            assert gdpipe_cli("verify", output / "runs" / run_id).code == 0
            published.append(gdpipe.open_run(output).run_id)
        place_at(output).clear_dead()  # as the next run does first
        assert staged(output) == [], n
    assert n >= 30
    assert "good" in published  # killed between the rename and the switch
    assert f"killed-{n - 1}" in published  # killed behind the switch
    assert gdpipe.open_run(output).run_id == run_id


def test_a_kill_at_each_step_of_clearing_up(data: Path, output: Path) -> None:
    before = snapshot(output)
    train = ("train", data, "--target", "y", "--output", output, "--no-report", "--run-id")
    for n in range(3, 10):
        assert killed_at(24, output, *train, "killed")
        assert snapshot(output / ".staging" / signed("killed"))
        assert killed_at(n, output, *train, "killed")
    assert gdpipe_cli(*train, "killed").code == 0
    assert gdpipe.open_run(output).run_id == "killed"
    assert staged(output) == []
    assert unchanged(before, output)


def test_a_kill_at_each_step_of_pruning(data: Path, output: Path) -> None:
    for n in itertools.count():
        while len(list((output / "runs").iterdir())) < 3:
            assert gdpipe_cli("train", data, "--target", "y", "--output", output, "--no-report", "--force").code == 0
        latest = gdpipe.open_run(output).run_id
        was_killed = killed_at(n, output, "prune", output, "--keep", 1)
        assert gdpipe.open_run(output).run_id == latest
        for folder in (output / "runs").iterdir():
            assert gdpipe_cli("verify", folder).code == 0
        if not was_killed:
            break
    assert n >= 4
    assert [folder.name for folder in (output / "runs").iterdir()] == [latest]
    assert staged(output) == []


def test_runs_at_once_all_complete(data: Path, output: Path) -> None:
    before, names = snapshot(output), [f"run-{i}" for i in range(4)]
    train = ("train", data, "--target", "y", "--output", output, "--no-report", "--run-id")
    with reader(output) as found:
        running = [
            subprocess.Popen(gdpipe_command(*train, name), cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for name in names
        ]
        assert [(process.communicate()[1], process.returncode) for process in running] == [(b"", 0)] * len(names)
    assert set(found) <= {"good", *names}
    parameters = [gdpipe.open_run(output / "runs" / name).table("parameters")["estimate"].to_pylist() for name in names]
    assert all(estimates == parameters[0] for estimates in parameters)
    assert gdpipe.open_run(output).run_id in names
    assert unchanged(before, output)
    assert staged(output) == []
