"""A Dask cluster gives the threads' bits, whoever dies: a real scheduler and worker processes, killed by their ids."""

import contextlib
import functools
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from dask import config as settings
from distributed import Client

import gdpipe
from gdpipe import cluster
from gdpipe.design import Design
from gdpipe.engine import open_executor, worker_count
from gdpipe.errors import ConfigError, ConvergenceError, DataError, EngineError, GdpipeError, PublishError
from gdpipe.layout import signed
from gdpipe.model import Model
from gdpipe.numerics.sums.digits import GridOverflow
from gdpipe.pipeline import score_source
from gdpipe.source.budget import Budget
from gdpipe.source.scan import shards
from gdpipe.source.source import Source
from gdpipe.stages.columns import Columns
from gdpipe.stages.score import score
from gdpipe.store.runs import Staging
from tests import conftest, runs
from tests.conftest import REPO, Outcome, gdpipe_command, line_columns, staged, write_parquet
from tests.test_same_bits import bits, table
from tests.waiting import until

FILES, ROWS = 40, 3_000
SECONDS = 60.0  # nothing here takes a tenth of it


class Cluster:
    """A scheduler and workers, each a process of its own in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("dask_scheduler", "--port", "0", "--scheduler-file", str(folder / "address.json"))
        until(lambda: (folder / "address.json").is_file() and (folder / "address.json").read_text())
        self.address: str = json.loads((folder / "address.json").read_text())["address"]
        self.client = Client(self.address, set_as_default=False)

    def _start(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        (self.folder / "log").touch()
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", "--host", "127.0.0.1", "--no-dashboard", *options],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(REPO)},
                stdout=log,
                stderr=log,
            )

    def grow(self, workers: int, threads: int = 1) -> None:
        """See that so many workers are there."""
        options = ["--nthreads", str(threads), "--no-nanny", "--memory-limit", "0"]
        while len(self.workers) < workers:
            self.workers.append(self._start("dask_worker", self.address, *options))
        while len(self.workers) > workers:
            self.kill(self.workers[-1])
        until(lambda: len(self.client.nthreads()) == workers)

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        self.workers.remove(worker)
        worker.kill()
        worker.wait()

    def freeze(self, worker: subprocess.Popen[bytes], run: "Meanwhile | subprocess.Popen[str]") -> bool:
        """Stop a worker in the middle of what it does for a run; False when the run ended before that."""
        address = self.client.run(os.getpid)
        mine = next(name for name, pid in address.items() if pid == worker.pid)

        def caught() -> bool:
            return bool(self.client.processing()[mine])

        until(lambda: caught() or run.poll() is not None)
        worker.send_signal(signal.SIGSTOP)
        until(lambda: caught() or run.poll() is not None)
        if caught():
            return True
        worker.send_signal(signal.SIGCONT)
        return False

    def close(self) -> None:
        self.client.close()
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, and `runs` with what threads made of it."""
    folder = tmp_path_factory.mktemp("shared")
    rows = table(FILES * ROWS, 0)
    (folder / "data").mkdir()
    for part in range(FILES):
        pq.write_table(rows.slice(part * ROWS, ROWS), folder / "data" / f"{part:02}.parquet", row_group_size=2_000)
    train(folder, run_id="threads")
    return folder


def train(folder: Path, **settings: Any) -> gdpipe.Run:
    shutil.rmtree(folder / "runs" / "moments", ignore_errors=True)  # or nothing would be read again
    return runs.train(folder / "data", folder / "runs", **{"key": ["id"], "weight": "w", **settings})


@functools.cache
def published(run: Path) -> tuple[Any, ...]:
    """What a run says: bits, metrics, the order of its predictions, the parts they lie in."""
    opened = gdpipe.open_run(run)
    parts = [(f["path"], f["rows"]) for f in opened.manifest["files"] if f["path"].startswith("predictions/")]
    return bits(opened), opened.metrics.to_numpy(str).tolist(), opened.predictions["id"].to_list(), parts


def same(folder: Path, run_id: str) -> bool:
    """Whether a run is the threads' run but for its name."""
    runs = folder / "runs" / "runs"
    return published(runs / run_id) == published(runs / "threads")


class Meanwhile:
    """A run in a thread of its own, so that something can happen to it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._result: Any = None
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except GdpipeError as error:
            self._result = error

    def poll(self) -> int | None:
        """None while it works, as a process says it."""
        return None if self._thread.is_alive() else 0

    def result(self) -> Any:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "it hangs"
        if isinstance(self._result, GdpipeError):
            raise self._result
        return self._result


def assert_same_bits(dask: Cluster, shared: Path, workers: int) -> None:
    with contextlib.chdir(shared):  # the workers are elsewhere: what they are sent must hold there too
        train(Path(), engine=dask.address, run_id=f"workers-{workers}")
    assert same(shared, f"workers-{workers}")
    assert staged(shared / "runs") == []


def test_two_workers_give_the_same_bits_as_threads(dask: Cluster, shared: Path) -> None:
    dask.grow(2)
    assert_same_bits(dask, shared, 2)


@pytest.mark.parametrize(
    "settings",
    [{}, {"penalty": "elastic_net", "alpha": "auto_1se", "weight": "w", "fit_intercept": False}],
    ids=["least squares", "penalty"],
)
def test_categories_have_the_bits_of_threads(dask: Cluster, tmp_path: Path, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    for part, shops in enumerate(["abc", "bcd", "a", "xy", "abx"]):  # no file has all levels
        x, shop, hour = rng.normal(size=2_000), rng.choice(list(shops), 2_000), rng.integers(0, 24, 2_000)
        y = x + np.array([ord(letter) for letter in shop]) + np.sqrt(hour) + rng.normal(size=2_000)
        columns = {"id": part * 2_000 + np.arange(2_000), "x": x, "shop": shop, "hour": hour, "y": y, "w": hour % 4}
        write_parquet(tmp_path / "data" / f"{part}.parquet", columns, row_group_size=500)
    dask.grow(2)
    by_threads, by_dask = (
        runs.train(
            tmp_path / "data",
            tmp_path / name,
            engine=engine,
            key=["id"],
            features=["x", "shop", "C(hour)", "x:shop", "shop:C(hour)"],
            **settings,
        )
        for name, engine in (("threads", "threads"), ("dask", dask.address))
    )
    assert by_threads.parameters["level"].nunique() > 50
    assert bits(by_dask) == bits(by_threads)
    for table_of in ("features", "levels", "folds", *(["path"] if settings else [])):
        # as text, in which NaN is NaN: with a penalty there is no F test
        assert repr(by_dask.table(table_of).to_pylist()) == repr(by_threads.table(table_of).to_pylist())


def test_bad_input_is_the_error_that_threads_give(dask: Cluster, tmp_path: Path) -> None:
    for part in range(6):
        write_parquet(tmp_path / "data" / f"{part}.parquet", line_columns(seed=part), write_page_checksum=True)
    for part in (3, 4):
        file = tmp_path / "data" / f"{part}.parquet"
        content = bytearray(file.read_bytes())
        content[60:80] = bytes(20)
        file.write_bytes(content)
    dask.grow(2)
    errors = []
    for engine in ("threads", dask.address):
        with pytest.raises(DataError, match=r"3\.parquet: row group 0") as caught:
            gdpipe.train(source=str(tmp_path / "data"), target="y", output=str(tmp_path / "runs"), engine=engine)
        errors.append((type(caught.value), str(caught.value), caught.value.transient))
    assert errors[0] == errors[1]
    assert staged(tmp_path / "runs") == []


def test_a_worker_of_another_version_is_refused(dask: Cluster, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dask.grow(2)
    monkeypatch.setattr(cluster, "_versions", lambda: {"Python": "3.11", "gdpipe": "9.9", "numpy": "1", "pyarrow": "1"})
    with pytest.raises(EngineError, match=r"gdpipe .*, not 9\.9; .*install the same") as caught:
        train(shared, engine=dask.address, run_id="versions")
    assert not caught.value.transient


def test_a_worker_has_one_blas_thread_and_its_share_of_memory(dask: Cluster) -> None:
    dask.grow(2)
    with open_executor(dask.address) as executor:
        assert worker_count(executor) == 1
        assert set(executor.map(_blas_threads, range(8))) == {1}


def _blas_threads(_: int) -> int:
    from threadpoolctl import threadpool_info

    return max(int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas")


def test_only_a_stretch_of_the_calls_is_on_its_way(dask: Cluster) -> None:
    dask.grow(2)
    taken: list[int] = []

    def calls() -> Iterator[int]:
        for i in range(1000):
            taken.append(i)
            yield i

    with open_executor(dask.address) as executor:
        results = executor.map(abs, calls())
        assert [next(results) for _ in range(5)] == list(range(5))
        assert len(taken) <= 5 + 2 * cluster.SHARDS_A_THREAD + 1
        results.close()  # type: ignore[attr-defined]  # a generator
        until(lambda: not any(dask.client.processing().values()))


def test_an_output_that_workers_do_not_see(dask: Cluster, data: Path, tmp_path: Path) -> None:
    dask.grow(2)
    source, columns = Source.open(str(data)), Columns(Design.of_numbers(["x1"]), "y", None, ())
    output = tmp_path / "unseen"
    staging = Staging(output, "r1")
    staging.folder = staging.output.below(".staging/r1")  # was never made
    model = Model(Design.of_numbers(["x1"]), np.ones(1), 0.0)
    with (
        open_executor(dask.address) as executor,
        pytest.raises(PublishError, match="all workers must share the output"),
    ):
        score(model, source, shards(source, 2), columns, staging, Budget(1024), executor)
    assert not output.exists()


def test_scores_have_the_bits_of_threads(dask: Cluster, shared: Path, tmp_path: Path) -> None:
    dask.grow(2)
    given = {"run": str(shared / "runs" / "runs" / "threads"), "run_id": "s"}
    here, there = (
        score_source(str(shared / "data"), output=str(tmp_path / name), engine=engine, **given)
        for name, engine in (("here", "threads"), ("there", dask.address))
    )
    assert here.predictions.equals(there.predictions)
    assert here.manifest["files"] == there.manifest["files"]
    assert here.manifest["metrics"] == there.manifest["metrics"]


def test_four_workers_of_different_size_too(dask: Cluster, shared: Path) -> None:
    dask.grow(4, threads=2)
    with open_executor(dask.address) as executor:
        assert worker_count(executor) == 2
    assert_same_bits(dask, shared, 4)


@pytest.mark.parametrize("scan", ["read", "predict"])
def test_a_worker_killed_in_either_scan(dask: Cluster, shared: Path, scan: str) -> None:
    dask.grow(4, threads=2)
    run, name = frozen_in(scan, dask, shared)
    dask.kill(dask.workers[0])
    folder = run.result().folder
    assert same(shared, name)
    assert list((folder / "predictions").glob(".*")) == []  # nothing half-written went along


def frozen_in(scan: str, dask: Cluster, shared: Path, attempt: int = 0) -> tuple[Meanwhile, str]:
    """A run whose first worker stands still; begun again where a busy machine looked too late."""
    name = f"killed-{scan}-{attempt}"
    run = Meanwhile(lambda: train(shared, engine=dask.address, run_id=name))
    parts = shared / "runs" / ".staging" / signed(name) / "predictions"
    until(lambda: scan == "read" or list(parts.glob("*.parquet")) or run.poll() is not None)
    if dask.freeze(dask.workers[0], run):
        return run, name
    run.result()
    return frozen_in(scan, dask, shared, attempt + 1)


def test_a_worker_that_joins_takes_over(dask: Cluster, shared: Path) -> None:
    dask.grow(1)
    run = Meanwhile(lambda: train(shared, engine=dask.address, run_id="joined"))
    assert dask.freeze(dask.workers[0], run)
    dask.grow(2)
    dask.kill(dask.workers[0])
    run.result()
    assert same(shared, "joined")


def cli(shared: Path, engine: str, run_id: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        gdpipe_command(
            "train",
            shared / "data",
            "--target",
            "y",
            "--output",
            shared / "runs",
            "--engine",
            engine,
            "--run-id",
            run_id,
            "--no-report",
        ),
        env={
            **os.environ,
            "PYTHONPATH": str(REPO),
            "DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "2s",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> Outcome:
    out, err = process.communicate(timeout=SECONDS)
    return Outcome(process.returncode, out, err)


def assert_nothing_happened(outcome: Outcome, message: str, shared: Path, before: dict[str, bytes]) -> None:
    assert outcome.code == 4, outcome
    assert len(outcome.err.splitlines()) == 1, outcome.err
    assert "distributed" not in outcome.out, outcome.out
    assert outcome.err.startswith("gdpipe: engine 'tcp://127.0.0.1:"), outcome.err
    assert message in outcome.err
    assert conftest.published(shared / "runs") == before
    assert staged(shared / "runs") == []


def test_all_workers_gone_is_an_error_some_time(dask: Cluster, shared: Path) -> None:
    dask.grow(1)
    before = conftest.published(shared / "runs")
    run = cli(shared, dask.address, "no-workers")
    assert dask.freeze(dask.workers[0], run)
    dask.kill(dask.workers[0])
    assert_nothing_happened(ended(run), "no worker for 2 s", shared, before)


def test_a_scheduler_that_waits_for_no_worker_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT", "500ms")
    dask = Cluster(tmp_path)
    try:
        with open_executor(dask.address) as executor, pytest.raises(EngineError, match="no worker") as caught:
            list(executor.map(abs, [-1]))
        assert caught.value.transient
        assert len(str(caught.value).splitlines()) == 1
    finally:
        dask.close()


def test_the_scheduler_gone(tmp_path: Path, shared: Path) -> None:
    before = conftest.published(shared / "runs")
    dask = Cluster(tmp_path)
    try:
        dask.grow(1)
        run = cli(shared, dask.address, "no-scheduler")
        assert dask.freeze(dask.workers[0], run)
        dask.scheduler.kill()
        assert_nothing_happened(ended(run), "the scheduler is gone", shared, before)
        with (
            settings.set({"distributed.comm.timeouts.connect": "500ms"}),
            pytest.raises(EngineError, match="no Dask scheduler answers there") as caught,
        ):
            train(shared, engine=dask.address, run_id="nobody")
        assert caught.value.transient
        assert conftest.published(shared / "runs") == before
    finally:
        dask.close()


def test_a_result_lost_with_its_worker_is_waited_for_no_longer_than_a_worker(dask: Cluster) -> None:
    """Done, but not fetched: Dask itself would wait for ever."""
    dask.grow(1)
    with settings.set({cluster.NO_WORKERS_SETTING: "1s"}), open_executor(dask.address) as executor:
        results = executor.map(str, [0, 1])
        assert next(results) == "0"
        until(lambda: not any(dask.client.processing().values()))  # the second is done, too
        dask.kill(dask.workers[0])
        with pytest.raises(EngineError, match="no worker for 1 s"):
            next(results)


def test_a_client_that_lost_its_scheduler_connects_again_for_any_question(dask: Cluster) -> None:
    dask.grow(1)
    executor = cluster.DaskExecutor(dask.address)
    with executor:
        executor._client.close()
        assert executor.threads == 1
        executor._client.close()
        assert list(executor.map(abs, [-1])) == [1]


def test_tls_without_a_certificate_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no certificate; set Dask's distributed\.comm\.tls"):
        open_executor("tls://127.0.0.1:9")


@pytest.mark.parametrize(
    "error",
    [
        GdpipeError("lost", transient=True),
        DataError("lost", transient=True),
        EngineError("lost", transient=True),
        ConvergenceError("far off", evidence="runs/rejected/x"),
        GridOverflow(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_processes_whole(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (type(copy), copy.args, vars(copy)) == (type(error), error.args, vars(error))


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gdpipe.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'gdpipe\[dask\]'"):
        open_executor("tcp://127.0.0.1:8786")
