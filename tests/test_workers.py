"""Worker processes: the bits of threads, whoever dies; real ones, found and killed by their ids."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe import engine, workers
from gdpipe.engine import BYTES_A_PROCESS, cores, open_executor, processes_for, worker_count
from gdpipe.errors import DataError
from gdpipe.pipeline import score_source
from gdpipe.workers import Processes, WorkerDied
from tests.conftest import REPO, gdpipe_cli, gdpipe_command, published, staged, write_parquet
from tests.in_workers import blas_threads, pid
from tests.test_same_bits import bits, table, train
from tests.tree import alive, peak_of_tree, workers_of
from tests.waiting import until

FILES, ROWS = 9, 10_000
# a worker whose parent was killed is gone by then
SECONDS_WITHOUT_A_PARENT = 10.0
# a script without a main guard: what it starts must not run it again
SCRIPT = """
import sys
import gdpipe
with open("ran", "a") as file:
    file.write("once ")
gdpipe.train(source="data", target="y", output="from-script", report=False, workers=2)
assert "loky" in sys.modules
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, and `runs` with what threads made of it."""
    folder = tmp_path_factory.mktemp("shared")
    rows = table(FILES * ROWS, 0)
    (folder / "data").mkdir()
    for part in range(FILES):
        pq.write_table(rows.slice(part * ROWS, ROWS), folder / "data" / f"{part:02}.parquet")
    train(folder / "data", folder / "runs", workers=1, run_id="good")
    return folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many worker processes each executor starts, as they start."""
    counts: list[int] = []

    class Counted(Processes):
        def __init__(self, count: int) -> None:
            counts.append(count)
            super().__init__(count)

    monkeypatch.setattr(engine, "Processes", Counted)
    return counts


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPO)}


@contextlib.contextmanager
def at_work(folder: Path, output: str = "runs") -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """`gdpipe train` with its two workers, as soon as they are there; nothing of it is left."""
    command = gdpipe_command("train", "data", "--target", "y", "--output", output, "--no-report", "--workers", 2)
    process = subprocess.Popen(
        [*command, "--force"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    found: list[int] = []
    try:
        found = until(lambda: two if len(two := workers_of(process.pid)) == 2 else None)
        yield process, found
    finally:
        for pid in (process.pid, *found):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


# bits


@pytest.mark.parametrize("count", [2, 5])  # neither divides the files
def test_any_number_of_workers_gives_the_bits_of_threads(
    count: int, shared: Path, tmp_path: Path, started: list[int]
) -> None:
    run = train(shared / "data", tmp_path / "runs", workers=count, memory="64MiB")
    assert started == [count]  # once for both scans
    assert bits(run) == bits(gdpipe.open_run(shared / "runs"))
    assert not workers_of(os.getpid())


def test_scores_have_the_bits_of_threads(shared: Path, tmp_path: Path, started: list[int]) -> None:
    one, two = (
        score_source(
            str(shared / "data"), run=str(shared / "runs"), output=str(tmp_path / str(n)), workers=n, run_id="s"
        )
        for n in (1, 2)
    )
    assert started == [2]
    assert one.predictions.equals(two.predictions)
    same = ("files", "rows", "metrics")
    assert [one.manifest[name] for name in same] == [two.manifest[name] for name in same]


def test_bad_data_is_the_error_that_threads_give(shared: Path, tmp_path: Path) -> None:
    for part in (3, 5):
        write_parquet(tmp_path / "data" / f"{part}.parquet", {"x": [1.0, 2.0], "y": [1.0, 2.0], "w": [1.0, -1.0]})
    said = []
    for count in (1, 2):
        with pytest.raises(DataError) as refused:
            train(tmp_path / "data", tmp_path / "runs", key=None, workers=count)
        said.append(str(refused.value))
    assert said[0] == said[1]
    assert "3.parquet" in said[0]


# how many


def test_processes_are_for_those_who_have_enough_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [processes_for("auto", 16, n * BYTES_A_PROCESS) for n in (0, 1, 3, 4, 9, 100)] == [0, 0, 0, 4, 9, 16]
    # two cores gain less than sixteen
    assert [processes_for("auto", 2, n * BYTES_A_PROCESS) for n in (7, 8)] == [0, 2]
    assert [processes_for(n, min(n, 9), 0) for n in (1, 2, 16)] == [0, 2, 9]
    assert processes_for(16, 1, 100 * BYTES_A_PROCESS) == 0  # one shard, or memory for one
    assert (worker_count(), worker_count(workers=1), worker_count(workers=7)) == (cores(), cores(), 7)


def test_a_container_may_use_its_share_of_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = cores()
    monkeypatch.setattr(engine, "QUOTA", tmp_path / "cpu.max")
    for text, expected in (("50000 100000\n", 1), ("100000000 100000\n", here), ("max 100000\n", here)):
        engine.QUOTA.write_text(text)
        assert cores() == expected


def test_a_small_source_and_a_small_new_file_start_none(
    shared: Path, tmp_path: Path, started: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    for file in (shared / "data").iterdir():
        (tmp_path / "data" / file.name).symlink_to(file)
    settings = {"key": None, "weight": None, "predict": "new"}
    train(tmp_path / "data", tmp_path / "small", **settings)
    assert started == []
    monkeypatch.setattr(engine, "cores", lambda: 2)
    monkeypatch.setattr(engine, "BYTES_A_PROCESS", 3 * ROWS * 5 * 8)  # three files
    monkeypatch.setattr(engine, "BYTES_TIMES_PROCESSES", 2 * 6 * ROWS * 5 * 8)
    train(tmp_path / "data", tmp_path / "runs", **settings)
    assert started == [2]
    pq.write_table(table(ROWS, 1), tmp_path / "data" / "new.parquet")
    train(tmp_path / "data", tmp_path / "runs", **settings)
    assert started == [2]


def test_a_small_run_does_not_load_what_processes_need(data: Path, tmp_path: Path) -> None:
    script = "import sys, gdpipe; gdpipe.train(source=sys.argv[1], target='y'); assert 'loky' not in sys.modules"
    subprocess.run([sys.executable, "-c", script, data], cwd=tmp_path, check=True, env=environment())


# who starts them


@pytest.mark.parametrize("how", ["by path", "from a pipe, as a notebook has no file"])
def test_a_script_without_a_main_guard_runs_once(how: str, shared: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(shared / "data")
    (tmp_path / "script.py").write_text(SCRIPT)
    by_path = how == "by path"
    done = subprocess.run(
        [sys.executable, "script.py" if by_path else "-"],
        cwd=tmp_path,
        env=environment(),
        input=None if by_path else SCRIPT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "ran").read_text() == "once "


def _train_in_a_daemon(source: Path, output: Path) -> None:
    train(source, output, workers=2)


def test_a_process_that_may_have_no_children_works_by_threads(shared: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_train_in_a_daemon, args=(shared / "data", tmp_path / "runs"), daemon=True)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert bits(gdpipe.open_run(tmp_path / "runs")) == bits(gdpipe.open_run(shared / "runs"))


# who dies


def test_a_worker_that_is_killed_is_one_line_that_names_a_file(shared: Path) -> None:
    before = published(shared / "runs")
    with at_work(shared) as (process, [first, second]):
        # one that has nothing to do yet leaves no file to name
        until(lambda: list((shared / "runs" / ".staging").glob("*/predictions/*")))
        os.kill(first, signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 4, said
        assert said.count("\n") == 1
        assert re.match(rf"gdpipe: {re.escape(str(shared))}/data/0\d\.parquet", said), said
        assert "a worker process died" in said
        assert not alive(second)
    assert published(shared / "runs") == before
    assert staged(shared / "runs") == []


@pytest.mark.parametrize("moment", ["as they start", "as they work"])
def test_no_worker_outlives_a_parent_that_is_killed(moment: str, shared: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(shared / "data")
    with at_work(tmp_path) as (process, found):
        if moment == "as they work":
            until(lambda: list((tmp_path / "runs" / "moments").glob("*")))
        process.kill()
        until(lambda: not any(map(alive, found)), SECONDS_WITHOUT_A_PARENT)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("to_all", [True, False])
def test_a_signal_ends_the_run_and_its_workers(
    number: signal.Signals, code: int, to_all: bool, shared: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").symlink_to(shared / "data")
    with at_work(tmp_path) as (process, found):
        (os.killpg if to_all else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (code, "gdpipe: interrupted\n" if number == signal.SIGINT else "")
        assert not any(map(alive, found))
    assert staged(tmp_path / "runs") == []


def test_a_stage_that_is_tried_again_has_workers_again() -> None:
    with open_executor(workers=2) as executor:
        reading = engine.readers_of(executor, 2, 0)
        first, second = set(reading.map(pid, [0.2] * 8))
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerDied) as died:
            list(reading.map(pid, [5.0] * 8))
        assert died.value.calls in ([], [(5.0,)] * 2)
        assert not {first, second} & set(engine.readers_of(executor, 2, 0).map(pid, [0.0] * 8))


# memory


def test_all_processes_together_stay_within_the_forecast(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in range(3):
        x = rng.normal(size=(20, 60_000))
        write_parquet(
            tmp_path / "data" / f"{part}.parquet", {f"x{j}": c for j, c in enumerate(x)} | {"y": x.sum(axis=0)}
        )
    options = (tmp_path / "data", "--target", "y", "--no-report", "--workers", 3)
    forecast = json.loads(gdpipe_cli("plan", *options, "--json").out)
    assert forecast["processes"] == 3
    peak = peak_of_tree(gdpipe_command("--quiet", "train", *options, "--output", tmp_path / "runs"), REPO)
    assert forecast["memory_bytes"] / 3 < peak < forecast["memory_bytes"]


def test_a_worker_has_one_blas_thread_and_leaves_signals_to_its_parent() -> None:
    with Processes(2) as two:
        assert set(two.map(blas_threads, range(4))) == {1}
        for blocked in two.map(signal.pthread_sigmask, [signal.SIG_BLOCK] * 4, [()] * 4):
            assert {signal.SIGINT, signal.SIGTERM} <= set(blocked)


# the work of a scan


def test_a_worker_that_comes_late_asks_for_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SHARDS_A_WORKER", 1)
    with Processes(3) as three:
        # the first that is up takes all three calls that bring the work
        assert list(three.map(abs, range(-300, 0))) == list(range(300, 0, -1))
        assert len(set(three.map(pid, [0.05] * 12))) == 3
        assert three._pool.submit(workers._call, "another scan", b"", (1,)).result() is workers._Unknown


def test_results_that_wait_for_their_turn_do_not_grow_with_the_calls() -> None:
    asked: list[int] = []

    def calls() -> Iterator[int]:
        for number in range(1000):
            asked.append(number)
            yield number

    with Processes(2) as two:
        results = two.map(abs, calls())
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        assert len(asked) <= 3 + 2 * workers.SHARDS_A_WORKER
        assert list(results) == list(range(3, 1000))
