"""A shard on Dask beside one on a thread, and what comes back of it: `make bench`; docs/dask.md reckons with these.

In CPU seconds, which a busy machine stretches far less than seconds on the wall.
"""

import pickle
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from gdpipe.config import TrainingConfig
from gdpipe.engine import open_executor
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents
from gdpipe.pipeline import train
from gdpipe.stages.ingest import ingest
from gdpipe.stages.simulate import Simulation, simulate
from tests.test_dask import Cluster

pytestmark = pytest.mark.benchmark
FILES, ROWS, FEATURES, CALLS, RUNS = 16, 1_600_000, 20, 1_000, 3


def test_a_shard_beside_the_thread_engine(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    simulate(Simulation(weights=tuple(range(1, FEATURES + 1)), rows=ROWS, files=FILES), data)
    config = TrainingConfig(source=str(data / "part*"), target="y", output=str(tmp_path / "runs"), report=False)
    dask = Cluster(tmp_path)

    def cpu() -> tuple[float, float]:
        """Of this process, and of the workers."""
        return time.process_time(), sum(dask.client.run(time.process_time).values())

    def spent(work: Callable[[], object]) -> tuple[float, float]:
        found = []
        for _ in range(RUNS + 1):  # the first one imports
            (here, there), _, (here_after, there_after) = cpu(), work(), cpu()
            found.append((here_after - here, there_after - there))
        return tuple(np.median(found[1:], axis=0).tolist())

    print(f"\n{ROWS:,} x {FEATURES}, {FILES} shards; CPU of the client + of two worker processes, medians of {RUNS}")
    try:
        dask.grow(2)
        for engine in ("threads", dask.address):
            settings = TrainingConfig(**{**config.as_dict(), "engine": engine})
            with threadpool_limits(1, user_api="blas"), open_executor(engine) as executor:
                here, there = spent(lambda e=executor: ingest(config, e))  # type: ignore[misc]  # mypy and lambdas
                print(f"{engine}: first scan {here:.2f} + {there:.2f} s", end="; ")
                here, there = spent(lambda e=executor: drain(e))  # type: ignore[misc]  # mypy and lambdas
                print(f"a call that does nothing {here / CALLS * 1e3:.2f} + {there / CALLS * 1e3:.2f} ms", end="; ")
            here, there = spent(lambda s=settings: train(s))  # type: ignore[misc]  # mypy and lambdas
            print(f"all stages {here:.2f} + {there:.2f} s")
        started = Path(f"/proc/{dask.scheduler.pid}/stat").read_text().split()
        print(f"scheduler, all along: {(int(started[13]) + int(started[14])) / 100:.2f} s of CPU")
    finally:
        dask.close()


def least(work: Callable[[], object]) -> float:
    """Seconds of CPU."""
    found = []
    for _ in range(7):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def drain(executor: Executor) -> None:
    for _ in executor.map(abs, range(CALLS)):
        pass


@pytest.mark.parametrize("columns", [21, 101, 257])
def test_what_comes_back_of_a_shard(columns: int) -> None:
    rows = np.random.default_rng(0).normal(size=(columns, 8_192))
    accumulator = MomentsAccumulator(grid_exponents(np.abs(rows).max(axis=1)))
    with threadpool_limits(1, user_api="blas"):
        accumulator.add(rows)
    sums = accumulator.moments()
    packed = pickle.dumps(sums)
    read, join = least(lambda: pickle.loads(packed)), least(lambda: sums + sums)  # noqa: S301  # our own
    print(
        f"\n{columns} columns: {len(packed):,} bytes a shard; {read * 1e3:.2f} ms to read, {join * 1e3:.2f} ms to add"
    )
