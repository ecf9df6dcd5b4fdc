"""The memory of a run with all its worker processes, beside what `gdpipe plan` forecasts."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.benchmarks.processes import settings
from tests.conftest import REPO, gdpipe_command
from tests.tree import peak_of_tree

pytestmark = pytest.mark.benchmark

WORKERS = (1, 2, 8, 16)
FILES = 16


def test_memory_of_all_processes(tmp_path: Path) -> None:
    rows = settings().rows
    simulate = ("simulate", tmp_path / "data", "--features", 20, "--rows", rows, "--files", FILES)
    subprocess.run(gdpipe_command(*simulate), cwd=REPO, check=True, stdout=subprocess.DEVNULL)
    print(f"\n{rows:,} rows x 20 features in {FILES} files\n\n| workers | all processes, MB | plan, MB |")
    print("| ---: | ---: | ---: |")
    for workers in WORKERS:
        options = (tmp_path / "data", "--target", "y", "--no-report", "--workers", workers)
        plan = subprocess.run(gdpipe_command("plan", *options, "--json"), cwd=REPO, check=True, capture_output=True)
        forecast = json.loads(plan.stdout)["memory_bytes"]
        output = ("--output", tmp_path / "runs", "--force")
        peak = peak_of_tree(gdpipe_command("--quiet", "train", *options, *output), REPO)
        print(f"| {workers} | {peak / 1e6:.0f} | {forecast / 1e6:.0f} |", flush=True)
        assert peak <= forecast
