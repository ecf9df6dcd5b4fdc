"""What sums by cell take: resident memory above the process before, and time a row: `make bench`."""

import json
import subprocess
import sys

import pytest

from tests.benchmarks import processes

pytestmark = pytest.mark.benchmark
CELLS = (1, 10, 100, 1_000)
BATCH_ROWS = 32_768  # what a read decodes at once
BATCHES = {21: 40, 101: 8}

MEASURED = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
from threadpoolctl import threadpool_limits
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents

k, cells, rows, batches = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
columns = list(rng.normal(size=(k, rows)))
codes = rng.integers(0, cells, rows)
grid = grid_exponents(np.array([np.abs(column).max() for column in columns]))
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
with threadpool_limits(1, user_api="blas"):
    warm_up = rng.normal(size=(3 * k, 4_096))
    warm_up @ warm_up.T
    before = resident()
    accumulator = MomentsAccumulator(grid)
    seconds = []
    for _ in range(batches):
        began = time.process_time()
        accumulator.add(columns, cells=codes if cells > 1 else 0)
        seconds.append(time.process_time() - began)
    gathered = resident() - before
    began = time.process_time()
    found = [accumulator.moments(cell) for cell in accumulator.cells]
    ended = time.process_time() - began
print(json.dumps([gathered, resident() - before, np.median(seconds) / rows * 1e9, ended / cells * 1e3]))
"""


@pytest.mark.parametrize("k", BATCHES)
def test_cells(k: int) -> None:
    print(f"\n{k} columns, batches of {BATCH_ROWS:,} rows, each row in a cell drawn at random:")
    print("| cells | memory, MB | with their integers, MB | CPU a row, ns | integers of a cell, ms |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for cells in CELLS:
        command = [sys.executable, "-c", MEASURED, *map(str, (k, cells, BATCH_ROWS, BATCHES[k]))]
        said = subprocess.run(command, check=True, cwd=processes.REPO, capture_output=True, text=True).stdout
        gathered, most, a_row, a_cell = json.loads(said)
        print(f"| {cells:,} | {gathered / 1e6:.0f} | {most / 1e6:.0f} | {a_row:,.0f} | {a_cell:.1f} |")
