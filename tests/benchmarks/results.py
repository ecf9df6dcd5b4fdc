"""What the runs of whole processes gave, as one Parquet table and one Markdown table."""

import math
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
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
        pa.field("peak", pa.int64(), metadata={"unit": "bytes", "meaning": "most memory of all its processes"}),
        pa.field("coef_difference", pa.float64(), metadata={"meaning": "largest relative one to the exact OLS"}),
        pa.field("note", pa.string(), metadata={"meaning": "why it did not run, or how it failed; else empty"}),
    ]
)


FLOAT64_DIGITS = 16.0  # no float64 has more
# below the table; launch.py measures so
HOW = """\
Wall time: from start to end of the process. CPU: user and system, all threads and processes. Memory: the peak of the
process and all its descendants together (proportional set size, from /proc ten times a second; of the largest process
alone, as the kernel counts it, where that is more). Correct digits: -log10 of the largest relative difference between a
coefficient and gdpipe's `ols_estimate`, the exact one rounded once; gdpipe's own are those of `estimate`, at which its
descent stopped.
"""


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
            "| process | wall, s | CPU, s | peak memory, MB | correct digits |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for name in dict.fromkeys(run.process for run in self.runs):
            runs = [run for run in self.runs if run.process == name]
            lines.append(f"| {name} | {_row(runs)} |")
        on = "; ".join(f"{name} {value}" for name, value in self.machine.items())
        return "\n".join([*lines, "", HOW, f"{on}.", ""])

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
    differences = [run.coef_difference for run in runs if run.coef_difference is not None]
    # of the worst run: threads add in another order each time
    fitted = f"{digits(max(differences)):.1f}" if differences else "none fitted"
    return f"{wall:.2f} | {cpu:.2f} | {peak / 1e6:.0f} | {fitted}"


def digits(difference: float) -> float:
    """Correct digits at a relative difference, at most those of a float64."""
    return min(-math.log10(difference), FLOAT64_DIGITS) if difference else FLOAT64_DIGITS


def versions(modules: Iterable[str]) -> dict[str, str]:
    """The distributions that hold these modules, with their versions."""
    holders = packages_distributions()
    return {name: version(name) for module in modules for name in holders[module][:1]}


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
