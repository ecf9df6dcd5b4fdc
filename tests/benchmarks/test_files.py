"""Time and memory a file, of sources of many tiny files: `make bench`.

GDPIPE_BENCH_TINY=1000,20000,100000 for other numbers of files. Each source is trained on from nothing, trained on again
with one file more, planned, and trained on where the filters leave one folder of a hundred.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.benchmarks import processes

pytestmark = pytest.mark.benchmark
FEATURES, ROWS, FOLDERS = 6, 20, 100


def write(data: Path, numbers: Iterator[int]) -> None:
    for number in numbers:
        x = np.random.default_rng(number).normal(size=(FEATURES + 1, ROWS))
        columns = {f"x{j}": column for j, column in enumerate(x[1:])} | {"y": x.sum(axis=0)}
        folder = data / f"part={number % FOLDERS:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / f"{number:06d}.parquet", compression="none")


@pytest.mark.parametrize("files", [int(n) for n in os.environ.get("GDPIPE_BENCH_TINY", "1000,10000").split(",")])
def test_time_and_memory_a_file(files: int, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write(data, iter(range(files)))
    train = ("train", "--target", "y", "--exclude", "part", "--no-report", "--output", str(tmp_path / "runs"))
    one_folder = ("--filters", '[["part", "==", 7]]', "--no-latest")

    def told(doing: str, command: str, *options: str) -> None:
        took = processes.launched(
            [sys.executable, "-m", "gdpipe.cli", "--quiet", command, str(data), *options], tmp_path
        )
        assert took["status"] == 0, doing
        cpu = f"CPU {took['cpu']:.1f} s ({1e3 * took['cpu'] / files:.2f} ms a file)"
        print(f"{files:,} files, {doing}: {took['wall']:.1f} s, {cpu}, {took['tree_peak'] / 1e6:.0f} MB")

    print()
    told("train", *train)
    write(data, iter([files]))
    told("train, one file is new, predict=new", *train, "--predict", "new")
    told("train, one folder of a hundred", *train, *one_folder)
    told("plan", "plan", "--target", "y", "--exclude", "part")
