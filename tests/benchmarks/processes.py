"""The same work as whole processes, side by side: Parquet in, a linear regression, predictions out as Parquet.

    python -m tests.benchmarks.processes --rows 1000000 --runs 3 --workers 1 2 4

Makes the data with `gdpipe simulate`, runs gdpipe, gdpipe with so many workers, and every peer in `peers/` in turn
(A B C A B C ...), and writes `bench/processes.parquet` (a row a run) and `bench/processes.md` (medians). Each peer's
coefficients are held against gdpipe's exact ones, so that no speed is bought with wrong answers.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from gdpipe.config import TrainingConfig
from tests.benchmarks.results import Benchmark, Run, Terms, digits, machine, versions

HERE = Path(__file__).parent
REPO = HERE.parents[1]
WARM_UP_ROWS = 10_000
GDPIPE = "gdpipe"
LARGEST_DESIGN = 2_000_000_000  # bytes of float64; statsmodels holds several copies of its design matrix


@dataclass(frozen=True, slots=True)
class Size:
    """Of the data: float64 columns, rows, and how many files they are in."""

    rows: int
    features: int
    files: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Something to run beside gdpipe.

    Attributes:
        name: As the tables say it.
        script: Its file in `peers/`, without `.py`; it takes the data and an output folder.
        modules: What it imports; without them its row says "not here".
        programs: What it starts; likewise.
        largest_design: Skipped when the design matrix has more bytes.
        digits: Fewer correct digits in a coefficient are a failure.
    """

    name: str
    script: str
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    largest_design: float = float("inf")
    digits: float = 8.0

    def why_not(self, size: "Size") -> str:
        """What keeps it from running here, or an empty string."""
        missing = [name for name in self.modules if find_spec(name) is None]
        missing += [name for name in self.programs if shutil.which(name) is None]
        if missing:
            return f"not here: {', '.join(missing)}"
        if size.rows * (size.features + 1) * 8 > self.largest_design:
            return f"skipped: design matrix above {self.largest_design / 1e9:g} GB"
        return ""


PEERS = (
    Peer("bare PyArrow, its scanner: scan, then scan and write", "pyarrow_scanner"),
    Peer("bare PyArrow, a row group at a time: likewise", "pyarrow_groups"),
    Peer("DuckDB: sums in SQL, solve, predictions in SQL", "duckdb_sql", ("duckdb",)),
    Peer("Polars, streaming: sums, solve, predictions", "polars_stream", ("polars",)),
    Peer("scikit-learn-intelex IncrementalLinearRegression", "sklearnex_incremental", ("sklearnex",)),
    Peer("hdfe-stream without fixed effects", "hdfe_ols", ("hdfe_stream",)),
    Peer("pandas + scikit-learn LinearRegression", "sklearn_ols", ("pandas", "sklearn")),
    Peer("pandas + scikit-learn SGDRegressor", "sklearn_sgd", ("pandas", "sklearn"), digits=0.5),
    Peer("Polars + NumPy lstsq", "polars_lstsq", ("polars",)),
    Peer("pandas + statsmodels OLS", "statsmodels_ols", ("pandas", "statsmodels"), largest_design=LARGEST_DESIGN),
    Peer("Spark MLlib, local mode", "spark_mllib", ("pyspark",), ("java",)),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder with the data, where the processes run.

    Attributes:
        folder: Everything is in it, and nothing is kept.
        size: Of the data.
        data: The Parquet files.
    """

    folder: Path
    size: Size
    data: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", self.folder / f"{self.size.rows}-rows")
        options = {"--features": self.size.features, "--rows": self.size.rows, "--files": self.size.files}
        simulate = ["simulate", self.data, *(word for option in options.items() for word in option)]
        subprocess.run([*_gdpipe(), *map(str, simulate)], check=True)

    def truth(self) -> dict[str, float]:
        """The coefficients that the data were made from."""
        table = pq.read_table(self.data / "_true_parameters.parquet")
        return dict(zip(table["term"].to_pylist(), table["value"].to_pylist(), strict=True))

    def gdpipe(self, number: int, workers: int | None = None) -> tuple[Run, Terms]:
        """Train with gdpipe, with so many workers if they are given.

        Raises:
            RuntimeError: It did not publish.
        """
        out = self.folder / "out"
        command = [*_gdpipe(), "train", str(self.data), "--target", "y", "--no-report", "--output", str(out)]
        command += [] if workers is None else ["--workers", str(workers)]
        took = launched(command, self.folder)
        if took["status"]:
            raise RuntimeError(f"gdpipe ended with exit code {took['status']:.0f}; its own message is above")
        latest = json.loads((out / "latest.json").read_text())
        columns = pq.read_table(out / latest["path"] / "parameters.parquet").to_pydict()
        terms = Terms(
            *(
                dict(zip(columns["term"], columns[name], strict=True))
                for name in ("estimate", "ols_estimate", "std_error")
            )
        )
        shutil.rmtree(out)
        difference = largest_difference(terms.estimate, terms.ols_estimate)
        return _run(named(workers), number, took, difference), terms

    def peer(self, peer: Peer, number: int, exact: dict[str, float]) -> Run:
        """Run a peer's script, if it can run here; a failure becomes the run's note."""
        note = peer.why_not(self.size)
        if note:
            return Run(peer.name, note=note)
        out = self.folder / "out"
        out.mkdir()
        script = str(HERE / "peers" / f"{peer.script}.py")
        took = launched([sys.executable, script, str(self.data), str(out)], self.folder)
        coef, difference = out / "coef.json", None
        if took["status"]:
            note = f"failed: exit code {took['status']:.0f}"  # below zero: killed by that signal
        elif coef.exists():
            difference = largest_difference(json.loads(coef.read_text()), exact)
            if not digits(difference) >= peer.digits:  # nor is NaN
                note = f"failed: {digits(difference):.1f} correct digits"
        shutil.rmtree(out)
        return _run(peer.name, number, took, difference, note)


def launched(command: list[str], folder: Path, *, timed: bool = True) -> dict[str, float]:
    """Run a command to its end; what `launch.py` says of it, by way of a file in the folder."""
    result = folder / "took.json"
    launcher = [sys.executable, "-I", "-S", str(HERE / "launch.py"), str(result)]
    if timed:
        os.sync()  # what the process before has left to write is not this one's to wait for
    said = subprocess.run([*launcher, *command], check=True, cwd=REPO, capture_output=True, text=True)
    took: dict[str, float] = json.loads(result.read_text())
    if took["status"]:
        print(said.stderr, file=sys.stderr)
    return took


def named(workers: int | None) -> str:
    """gdpipe, as the tables say it."""
    return GDPIPE if workers is None else f"{GDPIPE}, --workers {workers}"


def _run(process: str, number: int, took: dict[str, float], difference: float | None, note: str = "") -> Run:
    return Run(process, number, took["wall"], took["cpu"], int(took["tree_peak"]), difference, note)


def _gdpipe() -> list[str]:
    return [sys.executable, "-m", "gdpipe.cli", "--quiet"]


def largest_difference(coef: dict[str, float], exact: dict[str, float]) -> float:
    """max |coef - exact| / |exact| over the terms, the intercept among them."""
    assert coef.keys() == exact.keys(), f"other terms: {sorted(coef)}"
    a, b = (np.array([terms[term] for term in exact]) for terms in (coef, exact))
    return float(np.max(np.abs(a - b) / np.abs(b)))


def measure(size: Size, rounds: int, names: list[str] | None = None, workers: Sequence[int] = ()) -> Benchmark:
    """Run gdpipe and the peers in turn, after one unmeasured round on little data.

    Args:
        size: Of the data.
        rounds: Runs of each process.
        names: Scripts of the peers to run; all if not given.
        workers: gdpipe runs with each of these numbers of workers, too.

    Raises:
        RuntimeError: gdpipe did not publish, or published other parameters with another number of workers.
    """
    has_workers = "workers" in {setting.name for setting in fields(TrainingConfig)}
    peers = [peer for peer in PEERS if names is None or peer.script in names]
    with tempfile.TemporaryDirectory() as folder:
        # the page cache then holds every library, for all alike
        warm_up = Bench(Path(folder), Size(WARM_UP_ROWS, size.features, size.files))
        _, terms = warm_up.gdpipe(0)
        for peer in peers:
            warm_up.peer(peer, 0, terms.ols_estimate)

        bench = Bench(Path(folder), size)
        runs: list[Run] = []
        for number in range(rounds):
            ours, terms = bench.gdpipe(number)
            runs.append(ours)
            for count in workers if has_workers else ():
                swept, same = bench.gdpipe(number, count)
                if same != terms:
                    raise RuntimeError(f"{count} workers gave other parameters")
                runs.append(swept)
            if number == 0 and not has_workers:
                runs += [Run(named(count), note="not here: gdpipe train has no --workers") for count in workers]
            for peer in peers:
                if number == 0 or not peer.why_not(size):
                    runs.append(bench.peer(peer, number, terms.ols_estimate))
        ran = {run.process for run in runs if run.run is not None}
        modules = [name for peer in peers if peer.name in ran for name in peer.modules]
        on = {**machine(), **versions(modules)}
        return Benchmark(size.rows, size.features, size.files, runs, on, bench.truth(), terms)


def settings() -> argparse.Namespace:
    """The options' defaults, as the environment has them, and the size they ask for."""
    return _parsed([])


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    found = _parser().parse_args(arguments)
    found.size = Size(found.rows, found.features, found.files)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.processes")
    for name, default, meaning in (
        ("rows", 1_000_000, "of the data"),
        ("features", 20, "of the data"),
        ("files", 4, "of the data"),
        ("runs", 3, "of each process"),
    ):
        variable = f"GDPIPE_BENCH_{name.upper()}"
        known = int(os.environ.get(variable, default))
        parser.add_argument(f"--{name}", type=int, default=known, help=f"{meaning}; or {variable}")
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=[peer.script for peer in PEERS],
        default=_listed("GDPIPE_BENCH_PEERS") or None,
        help="which to run, all if not given; or GDPIPE_BENCH_PEERS, as a,b",
    )
    parser.add_argument(
        "--workers",
        nargs="*",
        type=int,
        default=[int(count) for count in _listed("GDPIPE_BENCH_WORKERS")],
        help="gdpipe runs with so many workers, too; or GDPIPE_BENCH_WORKERS, as 1,2,4",
    )
    return parser


def _listed(variable: str) -> list[str]:
    return [word for word in os.environ.get(variable, "").split(",") if word]


def main() -> None:
    """Measure, write into bench/, print."""
    args = _parsed(None)
    benchmark = measure(args.size, args.runs, args.peers, args.workers)
    benchmark.write(REPO / "bench")
    print(benchmark.markdown())


if __name__ == "__main__":
    main()
