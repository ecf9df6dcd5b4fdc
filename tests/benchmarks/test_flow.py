"""What the training flow adds to `gdpipe train`, beside an empty Prefect flow of as many tasks: `make bench`.

The tasks are nine however many files there are: tests/flows/test_flows.py counts them on a server, and so does this.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks import processes
from tests.benchmarks.results import machine
from tests.flows.machine import FEATURES, FLIGHTS, Machine

pytestmark = pytest.mark.benchmark
RUNS = 5
COMMANDS = {
    "command line": ("-m", "gdpipe.cli", "--quiet", "train", "data/flights", "--target", "arr_delay"),
    "imports": ("-c", "import gdpipe.cli, gdpipe.pipeline"),
    "empty flow": ("-m", "tests.benchmarks.empty_flow"),
    "flow": ("-m", "flows.train", *FLIGHTS),
}


def test_the_flow_beside_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.benchmarks.empty_flow import TASKS  # not above: whoever collects this file would import Prefect

    prefect = Machine(tmp_path)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    for name, value in {**prefect.environment(**prefect.api()), "PYTHONPATH": str(processes.REPO)}.items():
        monkeypatch.setenv(name, value)
    output = tmp_path / "runs"
    times: dict[str, list[dict[str, float]]] = {name: [] for name in COMMANDS}
    try:
        prefect.server()
        for number in range(RUNS + 1):
            for name, command in COMMANDS.items():
                more: tuple[str, ...] = ()
                if name == "command line":
                    more = ("--features", FEATURES, "--output", str(output))
                elif name == "flow":
                    more = (f"output={output}",)
                took = processes.launched([sys.executable, *command, *more], tmp_path)
                assert took["status"] == 0, name
                shutil.rmtree(output, ignore_errors=True)
                if number:  # the first one imports and fills the page cache
                    times[name].append(took)
        runs = {files: task_runs(prefect, files, output) for files in ("data/flights", one_file())}
        report(times)
    finally:
        prefect.stop()
    assert set(runs.values()) == {len(TASKS)}, runs


def one_file() -> str:
    return str(min((processes.REPO / "data" / "flights").rglob("*.parquet")).relative_to(processes.REPO))


def task_runs(prefect: Machine, source: str, output: Path) -> int:
    """How many the last flow run on a source has."""
    # a single file has no month: that is in its folder's name
    arguments = (f"source={source}", "target=arr_delay", "features=dep_delay,distance", f"output={output}")
    assert processes.launched([sys.executable, "-m", "flows.train", *arguments], prefect.folder)["status"] == 0
    shutil.rmtree(output)
    [last] = prefect.find("flow_runs", sort="START_TIME_DESC", limit=1)
    assert last["parameters"]["source"] == source, json.dumps(last["parameters"])
    return len(prefect.find("task_runs", task_runs={"flow_run_id": {"any_": [last["id"]]}}))


def report(times: dict[str, list[dict[str, float]]]) -> None:
    wall, cpu = ({name: median(run[unit] for run in runs) for name, runs in times.items()} for unit in ("wall", "cpu"))
    rows: dict[str, tuple[str, str | None]] = {  # a time, or one minus another
        "`gdpipe train` on the flights": ("command line", None),
        "the flow on the flights": ("flow", None),
        "an empty flow of nine tasks": ("empty flow", None),
        "what both import: a bare interpreter with gdpipe": ("imports", None),
        "the flow adds to `gdpipe train`": ("flow", "command line"),
        "the empty flow adds to a bare interpreter with gdpipe": ("empty flow", "imports"),
    }

    def shown(times: dict[str, float], name: str, less: str | None) -> str:
        return f"{times[name] - (times[less] if less else 0.0):.2f}"

    lines = [
        f"Whole processes, a Prefect server already up; medians of {RUNS}, in turn.",
        "",
        "| | wall, s | CPU, s |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {shown(wall, *which)} | {shown(cpu, *which)} |" for name, which in rows.items()),
        "",
        "; ".join(f"{name} {value}" for name, value in machine().items()),
        "",
    ]
    bench = processes.REPO / "bench"
    bench.mkdir(exist_ok=True)
    (bench / "flow.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n" + "\n".join(lines))
