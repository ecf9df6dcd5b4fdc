"""What one more category costs, in the sums of each scan and in whole runs, beside 20 numbers: `make bench`.

GDPIPE_BENCH_ROWS=5000000 GDPIPE_BENCH_RUNS=5 is what docs/features.md shows.
"""

import os
import shutil
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_limits

from gdpipe.numerics.rows.level_cells import LevelCells
from gdpipe.numerics.rows.level_scores import LevelGrids, LevelScoresAccumulator, Score
from gdpipe.numerics.sums.digits import BLOCK_ROWS
from gdpipe.numerics.sums.level_accumulator import LevelAccumulators
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents
from tests.benchmarks.processes import launched

pytestmark = pytest.mark.benchmark
BATCH_ROWS = 32_768  # what a read decodes at once
ROWS = int(os.environ.get("GDPIPE_BENCH_ROWS", "1000000"))
RUNS = int(os.environ.get("GDPIPE_BENCH_RUNS", "3"))
FILES, NUMBERS = 4, 20
LEVELS = (16, 1_000, 4_000)


def nanoseconds(levels: int, *, weighted: bool) -> float:
    """Of CPU a row, on one thread; 0 levels is without a category."""
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(21, BATCH_ROWS))
    weights = rng.uniform(1, 2, BATCH_ROWS) if weighted else None
    grid, weight_exponent = grid_exponents(np.abs(columns).max(axis=1)), -52 if weighted else None
    labels, codes = tuple(map(str, range(levels))), rng.integers(0, max(levels, 1), BATCH_ROWS)
    accumulator = MomentsAccumulator(grid, weight_exponent)
    by_level = LevelAccumulators({(0,): 1}, grid, weight_exponent)
    batches = max(ROWS // BATCH_ROWS, 1)
    with threadpool_limits(1, user_api="blas"):
        began = time.process_time()
        for _ in range(batches):
            accumulator.add(columns, weights, levels=by_level.rows([(labels, codes)]) if levels else None)
        accumulator.moments()
        if levels:
            by_level.sums()
        return (time.process_time() - began) / (batches * BATCH_ROWS) * 1e9


@pytest.mark.parametrize("weighted", [False, True])
def test_one_more_category(weighted: bool) -> None:
    alone = nanoseconds(0, weighted=weighted)
    print(f"\n{ROWS:,} rows, 21 columns{', weighted' if weighted else ''}: {alone:,.0f} ns of CPU a row")
    print("| levels of one more category | ns of CPU a row more |\n| ---: | ---: |")
    for levels in LEVELS:
        print(f"| {levels:,} | {nanoseconds(levels, weighted=weighted) - alone:,.0f} |")


def test_scores_by_level_in_the_second_scan() -> None:
    rng = np.random.default_rng(0)
    numbers, residual = rng.uniform(-1, 1, (NUMBERS, BLOCK_ROWS)), rng.uniform(-1, 1, BLOCK_ROWS)
    scores = (Score(1), Score(2), *(Score(2, (j,)) for j in range(NUMBERS)))
    print(f"\n{NUMBERS} numbers\n| levels | ns of CPU a row |\n| ---: | ---: |")
    for levels in LEVELS:
        cells = LevelCells((levels,))
        grids = LevelGrids({(0,): cells}, {(0,): tuple(sorted(scores))}, np.zeros(NUMBERS), np.ones(NUMBERS), 1.0, 1.0)
        accumulator, codes = LevelScoresAccumulator(grids, range(NUMBERS)), rng.integers(0, levels, BLOCK_ROWS)
        seconds = []
        for _ in range(max(ROWS // BLOCK_ROWS, 1)):
            began = time.process_time()
            accumulator.add(numbers, [codes], residual, None)
            seconds.append(time.process_time() - began)
        print(f"| {levels:,} | {statistics.median(seconds) / BLOCK_ROWS * 1e9:,.0f} |")


def write(folder: Path) -> None:
    """The rows, with a text column for each number of levels."""
    rng = np.random.default_rng(0)
    for file in range(FILES):
        n = ROWS // FILES
        columns = {f"x{j}": rng.uniform(0, 50, n) for j in range(NUMBERS)}
        columns["y"] = sum(columns.values()) + rng.normal(size=n)
        table = pa.table(columns)
        for levels in LEVELS:
            names = pa.array([f"level {at:04d}" for at in range(levels)])
            codes = pa.array(rng.integers(0, levels, n).astype(np.int32))
            table = table.append_column(f"of_{levels}", pa.DictionaryArray.from_arrays(codes, names).cast(pa.string()))
        pq.write_table(table, folder / f"part-{file}.parquet", row_group_size=2**17)


def test_whole_runs(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    write(data)
    numbers = [f"x{j}" for j in range(NUMBERS)]
    asked = {0: numbers, **{levels: [*numbers, f"of_{levels}"] for levels in LEVELS}}
    took: dict[int, list[dict[str, float]]] = {levels: [] for levels in asked}
    for _ in range(RUNS):
        for levels, features in asked.items():
            command = [sys.executable, "-m", "gdpipe.cli", "--quiet", "train", str(data), "--target", "y"]
            command += ["--features", ",".join(features), "--max-levels", "5000", "--no-report", "--output", str(out)]
            took[levels].append(launched(command, tmp_path))
            assert not took[levels][-1]["status"]
            shutil.rmtree(out)
    print(f"\n{ROWS:,} rows, {NUMBERS} numbers, medians of {RUNS} runs in turn")
    print("| levels of one more category | wall, s | CPU, s | peak, MB | CPU, % more |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    alone = statistics.median(run["cpu"] for run in took[0])
    for levels, runs in took.items():
        wall, cpu, peak = (statistics.median(run[name] for run in runs) for name in ("wall", "cpu", "tree_peak"))
        print(f"| {levels or 'none'} | {wall:.1f} | {cpu:.1f} | {peak / 1e6:,.0f} | {(cpu / alone - 1) * 100:.0f} |")
