"""Memory is flat: whole processes, as the system counts them. `make bench` measures the same on the issue's sizes."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.engine import worker_count
from tests.benchmarks.processes import launched
from tests.conftest import gdpipe_command

ROWS, FEATURES = 200_000, 20  # of each of two files: two workers, whatever the machine
WIDE_ROWS, WIDE_FEATURES = 40_000, 100  # four times as many are still one shard, and so one worker
BROAD_ROWS = 140_000  # a whole page of each column
PIECE = 10_000  # rows of a small row group
# what a peak may lie above another; the same run differs by 3 % from one time to the next
MARGIN = 1.10


def table(rows: int, features: int) -> pa.Table:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(features, rows))
    columns = {f"x{j}": column for j, column in enumerate(x)} | {"y": x.sum(axis=0) + rng.normal(size=rows)}
    return pa.table(columns)


def write(folder: Path, rows: pa.Table, row_group_rows: int, files: int = 2, **options: Any) -> Path:
    folder.mkdir()
    for number in range(files):
        # random values: nothing is gained by compression, and pages are as large as they get
        pq.write_table(rows, folder / f"{number}.parquet", row_group_size=row_group_rows, compression="none", **options)
    return folder


def peak(data: Path, *options: str) -> float:
    """The most memory that `gdpipe train` held in one process, in bytes; of several see tests/test_workers.py."""
    with tempfile.TemporaryDirectory(dir=data.parent) as folder:
        train = gdpipe_command("--quiet", "train", data, "--target", "y", "--no-report", "--workers", 1, *options)
        took = launched([*train, "--output", f"{folder}/runs"], Path(folder), timed=False)
    assert took["status"] == 0
    return took["peak"]


@pytest.fixture(scope="module")
def longer() -> pa.Table:
    """Four times as many rows; none twice, which pages would hold in another way."""
    return table(4 * ROWS, FEATURES)


@pytest.fixture(scope="module")
def peak_of_longer(longer: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> float:
    return peak(write(tmp_path_factory.mktemp("memory") / "longer", longer, 4 * ROWS))


def test_neither_row_groups_nor_rows_nor_a_low_ceiling_raise_the_peak(tmp_path: Path, peak_of_longer: float) -> None:
    rows = table(ROWS, FEATURES)
    base = peak(write(tmp_path / "whole", rows, ROWS))
    assert peak(write(tmp_path / "pieces", rows, PIECE), "--memory", "64MiB") < base * MARGIN
    assert peak_of_longer < base * MARGIN


def test_predictions_that_wait_to_be_written_do_not_hold_the_features(tmp_path: Path) -> None:
    rows = table(WIDE_ROWS, WIDE_FEATURES)
    base = peak(write(tmp_path / "wide", rows, PIECE, files=1), "--arithmetic", "float64")
    longer = pa.concat_tables([rows] * 4)
    assert peak(write(tmp_path / "longer", longer, PIECE, files=1), "--arithmetic", "float64") < base * MARGIN


def test_footers_without_statistics_are_made_good_for_in_little_memory(
    tmp_path: Path, longer: pa.Table, peak_of_longer: float
) -> None:
    silent = write(tmp_path / "silent", longer, 4 * ROWS, write_statistics=False)
    assert peak(silent) < peak_of_longer * MARGIN


def test_wide_keys_do_not_wait_to_be_written(tmp_path: Path) -> None:
    rows = table(ROWS, 2).append_column("name", pa.array([f"{i:01000d}" for i in range(ROWS)]))
    data = write(tmp_path / "named", rows, PIECE, files=1)
    assert peak(data, "--key", "name") < peak(data) + 150e6  # 200 MB of names


@pytest.mark.skipif(worker_count() < 2, reason="a single core reads alone in any case")
def test_where_memory_has_room_for_one_only_one_reads(tmp_path: Path) -> None:
    rows = table(BROAD_ROWS, WIDE_FEATURES)
    data = write(tmp_path / "broad", rows, BROAD_ROWS)
    options = ("--arithmetic", "float64")
    # two that read in so little memory take smaller blocks, and only 1.2 of this less than two without a ceiling
    a_page_of_each_column = WIDE_FEATURES * 2**20
    room_for_two = peak(data, *options, "--memory", "1GiB")
    assert peak(data, *options, "--memory", "160MiB") < room_for_two - 1.7 * a_page_of_each_column


def test_a_ceiling_below_what_one_read_takes_is_said(tmp_path: Path) -> None:
    data = write(tmp_path / "data", table(30_000, FEATURES), 30_000, files=1)
    said = {
        memory: gdpipe.train(
            source=str(data), target="y", output=str(tmp_path / memory), memory=memory, report=False
        ).manifest["notices"]
        for memory in ("8MiB", "64MiB")
    }
    assert said["64MiB"] == []
    [notice] = said["8MiB"]
    assert "less than one read" in notice
