"""What `gdpipe plan` forecasts, beside what `gdpipe train` then takes: `make bench`, or with GDPIPE_BENCH_ROWS."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks import processes

pytestmark = pytest.mark.benchmark
ROWS_OF_FEATURES = 20  # the rows of the settings are of so many features; of fewer there are more


@pytest.mark.parametrize("features", [6, 20, 60])
def test_the_forecast_beside_the_run(features: int, tmp_path: Path) -> None:
    settings = processes.settings()
    rows = settings.rows * ROWS_OF_FEATURES // features
    bench = processes.Bench(tmp_path, processes.Size(rows, features, settings.files))
    command = [sys.executable, "-m", "gdpipe.cli", "plan", str(bench.data), "--target", "y", "--json"]
    seconds, peaks, walls, memory = [], [], [], []
    for number in range(settings.runs):
        plan = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=processes.REPO).stdout)
        run, _ = bench.gdpipe(number)
        assert run.wall is not None
        assert run.peak is not None
        seconds.append(plan["seconds"])
        memory.append(plan["memory_bytes"] / 1e6)
        walls.append(run.wall)
        peaks.append(run.peak / 1e6)
    print(
        f"\n{rows:,} x {features}, medians of {settings.runs}: {median(seconds):.2f} s planned, {median(walls):.2f} s "
        f"taken with starting Python; {median(memory):.0f} MB planned, {median(peaks):.0f} MB at the peak"
    )
