"""What the runs of whole processes gave, as one Parquet table and one Markdown table."""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        pa.field("process", pa.string(), metadata={"meaning": "what ran"}),
        pa.field("run", pa.int64(), metadata={"meaning": "from 0; null if it did not run"}),
        pa.field("wall", pa.float64(), metadata={"unit": "s", "meaning": "from start to end of the process"}),
        pa.field("cpu", pa.float64(), metadata={"unit": "s", "meaning": "user and system, all threads"}),
        pa.field("peak", pa.int64(), metadata={"unit": "bytes", "meaning": "most resident memory"}),
        pa.field("coef_difference", pa.float64(), metadata={"meaning": "largest relative one to the exact OLS"}),
        pa.field("note", pa.string(), metadata={"meaning": "why it did not run, or how it failed; else empty"}),
    ]
)


@dataclass(frozen=True, slots=True)
class Run:
    """One process, from start to end; a row of the Parquet table. Without a run, all but the note is None."""

    process: str
    run: int | None = None
    wall: float | None = None
    cpu: float | None = None
    peak: int | None = None
    coef_difference: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """gdpipe's parameters, by term."""

    estimate: dict[str, float]
    ols_estimate: dict[str, float]
    std_error: dict[str, float]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All that was measured.

    Attributes:
        rows: Of the data.
        features: Likewise.
        files: Likewise.
        runs: Of every process, in the order they ran.
        machine: What it ran on; no name of a host, no path.
        truth: The coefficients behind the data.
        fitted: gdpipe's.
    """

    rows: int
    features: int
    files: int
    runs: list[Run]
    machine: dict[str, str]
    truth: dict[str, float]
    fitted: Terms

    def markdown(self) -> str:
        """The medians as a table, the machine under it."""
        data = f"{self.rows:,} rows x {self.features} features, {self.files} files, zstd"
        lines = [
            f"{data}; median of {self.rounds} run(s), in turn.",
            "",
            "| process | wall, s | CPU, s | peak memory, MB | largest relative difference to the exact coefficients |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for name in dict.fromkeys(run.process for run in self.runs):
            runs = [run for run in self.runs if run.process == name]
            lines.append(f"| {name} | {_row(runs)} |")
        return "\n".join([*lines, "", "; ".join(f"{name} {value}" for name, value in self.machine.items()), ""])

    @property
    def rounds(self) -> int:
        """How often each process ran."""
        return 1 + max(run.run or 0 for run in self.runs)

    def write(self, folder: Path) -> None:
        """Write processes.parquet and processes.md into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"rows": str(self.rows), "features": str(self.features), "files": str(self.files), **self.machine}
        rows = [{name: getattr(run, name) for name in SCHEMA.names} for run in self.runs]
        table = pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata(facts))
        pq.write_table(table, folder / "processes.parquet", compression="zstd")
        (folder / "processes.md").write_text(self.markdown(), encoding="utf-8")


def _row(runs: list[Run]) -> str:
    notes = {run.note for run in runs if run.note}
    if notes:
        return f"{', '.join(sorted(notes))} | | |"
    wall, cpu, peak = (median(getattr(run, name) for run in runs) for name in ("wall", "cpu", "peak"))
    difference = runs[0].coef_difference
    return f"{wall:.2f} | {cpu:.2f} | {peak / 1e6:.0f} | {'none fitted' if difference is None else f'{difference:.0e}'}"


def machine() -> dict[str, str]:
    """What the figures depend on: processor, cores, memory, versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    if models:
        cpu = models[0].partition(":")[2].strip()
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "CPU": cpu,
        "cores": str(cores),
        "memory": f"{memory / 1e9:.0f} GB",
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "PyArrow": pa.__version__,
    }
