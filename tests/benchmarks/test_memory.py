"""Peak memory of `gdpipe train` by rows, files and row groups: `make bench`; GDPIPE_BENCH_ROWS=5000000 for the issue's.

At N and at 4 N rows, as 32 files or 1, with row groups of 10,000 or 2,000,000 rows; first of all N rows as 4 files.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.benchmarks import processes
from tests.benchmarks.results import machine

pytestmark = pytest.mark.benchmark
FEATURES = 20
MOST_BYTES, MARGIN = 400_000_000, 1.10
# below this, what a run holds is not yet all that it may come to hold
PROMISED_ROWS = 5_000_000
SCHEMA = pa.schema(
    [
        pa.field("rows", pa.int64(), metadata={"meaning": "of all files"}),
        pa.field("files", pa.int64(), metadata={"meaning": "of the source"}),
        pa.field("row_group_rows", pa.int64(), metadata={"meaning": "rows of the largest row group"}),
        pa.field("wall", pa.float64(), metadata={"unit": "s", "meaning": "from start to end of the process"}),
        pa.field("cpu", pa.float64(), metadata={"unit": "s", "meaning": "user and system, all threads"}),
        pa.field("peak", pa.int64(), metadata={"unit": "bytes", "meaning": "most memory of all its processes"}),
    ]
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows lie on disk."""

    rows: int
    files: int
    row_group_rows: int

    def write(self, folder: Path) -> None:
        """Row group by row group, as Arrow does it by itself: with dictionaries, which take the most to read."""
        folder.mkdir()
        weights = np.random.default_rng(0).normal(size=FEATURES)
        names = [*(f"x{j + 1}" for j in range(FEATURES)), "y"]
        schema = pa.schema([(name, pa.float64()) for name in names])
        rows = self.rows // self.files
        for number in range(self.files):
            rng = np.random.default_rng([1, number])
            with pq.ParquetWriter(folder / f"part-{number:05d}.parquet", schema, compression="zstd") as writer:
                for start in range(0, rows, self.row_group_rows):
                    x = rng.normal(size=(FEATURES, min(self.row_group_rows, rows - start)))
                    y = weights @ x + rng.normal(size=x.shape[1])
                    group = pa.Table.from_arrays([pa.array(column) for column in (*x, y)], schema=schema)
                    writer.write_table(group, row_group_size=self.row_group_rows)

    def measured(self, folder: Path) -> dict[str, float]:
        """A run on such data, which are gone afterwards."""
        with tempfile.TemporaryDirectory(dir=folder) as place:
            data, output = Path(place, "data"), Path(place, "runs")
            self.write(data)
            train = ["train", str(data), "--target", "y", "--no-report", "--output", str(output)]
            took = processes.launched([sys.executable, "-m", "gdpipe.cli", "--quiet", *train], Path(place))
        assert took["status"] == 0, self
        return took


def layouts(rows: int) -> list[Layout]:
    found = [Layout(rows, 4, 1_000_000)]
    found += [Layout(n, files, g) for n in (rows, 4 * rows) for files in (32, 1) for g in (10_000, 2_000_000)]
    return [Layout(one.rows, one.files, min(one.row_group_rows, one.rows // one.files)) for one in found]


def test_peak_memory_by_layout(tmp_path: Path) -> None:
    rows = processes.settings().rows
    runs = [(layout, layout.measured(tmp_path)) for layout in layouts(rows)]
    first = runs[0][1]["tree_peak"]
    lines = [
        f"`gdpipe train --no-report`, {FEATURES} features, float64, zstd; one run each.",
        "",
        "| rows | files | rows a row group | wall, s | CPU, s | peak memory, MB | to the first |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {layout.rows:,} | {layout.files} | {layout.row_group_rows:,} | {took['wall']:.2f} | {took['cpu']:.2f} "
            f"| {took['tree_peak'] / 1e6:.0f} | {took['tree_peak'] / first:.2f} |"
            for layout, took in runs
        ),
        "",
        "; ".join(f"{name} {value}" for name, value in machine().items()),
        "",
    ]
    table = pa.Table.from_pylist(
        [
            {
                "rows": layout.rows,
                "files": layout.files,
                "row_group_rows": layout.row_group_rows,
                "wall": took["wall"],
                "cpu": took["cpu"],
                "peak": int(took["tree_peak"]),
            }
            for layout, took in runs
        ],
        schema=SCHEMA.with_metadata(machine()),
    )
    bench = processes.REPO / "bench"
    bench.mkdir(exist_ok=True)
    pq.write_table(table, bench / "memory.parquet", compression="zstd")
    (bench / "memory.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n" + "\n".join(lines))
    if rows >= PROMISED_ROWS:
        assert first <= MOST_BYTES
        above = [layout for layout, took in runs if took["tree_peak"] > first * MARGIN]
        assert not above, f"more than {MARGIN:.0%} of the first's memory: {above}"
