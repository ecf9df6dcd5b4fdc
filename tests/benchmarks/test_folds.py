"""Cost of folds in whole runs: `gdpipe train` with five folds and without, in turn: `make bench`."""

import os
import shutil
import statistics
import sys
from pathlib import Path

import pytest

from tests.benchmarks.processes import launched
from tests.conftest import gdpipe_cli

pytestmark = pytest.mark.benchmark
ROWS = int(os.environ.get("GDPIPE_BENCH_ROWS", "1000000"))
RUNS = int(os.environ.get("GDPIPE_BENCH_RUNS", "3"))


def test_folds(tmp_path: Path) -> None:
    made = gdpipe_cli("simulate", tmp_path / "data", "--rows", ROWS, "--features", 20, "--files", 4)
    assert not made.code, made.err
    command = [sys.executable, "-m", "gdpipe.cli", "--quiet", "train", str(tmp_path / "data"), "--target", "y"]
    command += ["--no-report", "--output", str(tmp_path / "out"), "--folds"]
    took: dict[str, list[dict[str, float]]] = {"0": [], "5": []}
    for _ in range(RUNS):
        for folds, runs in took.items():
            runs.append(launched([*command, folds], tmp_path))
            assert not runs[-1]["status"]
            shutil.rmtree(tmp_path / "out")
    print(f"\n{ROWS:,} rows, 20 numbers, medians of {RUNS} runs in turn")
    print("| folds | wall, s | CPU, s |\n| ---: | ---: | ---: |")
    for folds, runs in took.items():
        wall, cpu = (statistics.median(run[unit] for run in runs) for unit in ("wall", "cpu"))
        print(f"| {folds} | {wall:.2f} | {cpu:.2f} |")
