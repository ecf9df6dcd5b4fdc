"""What a retrain costs where one file of a hundred is new: `make bench`, or with GDPIPE_BENCH_ROWS."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from gdpipe.config import TrainingConfig
from gdpipe.engine import open_executor
from gdpipe.stages.ingest import Ingested, ingest
from gdpipe.stages.simulate import Simulation, simulate
from tests.benchmarks import processes

pytestmark = pytest.mark.benchmark
FILES = 100


def timed(config: TrainingConfig) -> tuple[tuple[float, float], Ingested]:
    """Wall and CPU seconds of the first scan, footers and all, and what it found."""
    with threadpool_limits(1, user_api="blas"), open_executor() as executor:
        wall, cpu = time.perf_counter(), time.process_time()
        ingested = ingest(config, executor)
        return (time.perf_counter() - wall, time.process_time() - cpu), ingested


def test_one_new_file_of_a_hundred(tmp_path: Path) -> None:
    settings = processes.settings()
    rows, runs = settings.rows, settings.runs
    weights = np.random.default_rng(0).normal(size=settings.features).tolist()
    simulate(Simulation(weights=weights, rows=rows, files=FILES), tmp_path / "data")
    newest = sorted((tmp_path / "data").glob("[!_]*.parquet"))[-1]
    aside = newest.rename(tmp_path / newest.name)
    config = TrainingConfig(source=str(tmp_path / "data"), target="y", output=str(tmp_path / "runs"))
    timed(config)
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "runs" / "moments", before)
    aside.rename(newest)
    full, new, none = [], [], []
    for _ in range(runs):
        shutil.rmtree(tmp_path / "runs" / "moments")
        seconds, every = timed(config)
        full.append(seconds)
        shutil.rmtree(tmp_path / "runs" / "moments")
        shutil.copytree(before, tmp_path / "runs" / "moments")
        seconds, one_read = timed(config)
        new.append(seconds)
        seconds, _ = timed(config)
        none.append(seconds)
        assert len(every.scanned) == FILES
        assert len(one_read.scanned) == 1
        assert one_read.moments == every.moments
    everything, one, nothing = (np.median(times, axis=0) for times in (full, new, none))
    print(f"\n{rows:,} rows x {settings.features} features in {FILES} files, reading, medians of {runs}:")
    for unit, all_read, one_new, none_new in zip(("wall", "CPU"), everything, one, nothing, strict=True):
        share = f"{one_new / all_read:.1%}"
        print(f"{unit}: all {all_read:.3f} s, one new {one_new:.3f} s = {share}, none new {none_new:.3f} s")
