"""The peers' scripts on little data, and the memory of several processes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.benchmarks.processes import HERE, PEERS, Peer, Size, largest_difference, launched
from tests.benchmarks.results import digits
from tests.runs import train

ROWS, FEATURES = 2_000, ("x1", "x2", "x3")
FITTING = [peer for peer in PEERS if not peer.script.startswith("pyarrow")]
QUICK = ("duckdb_sql", "polars_stream")  # the others load for seconds

HELD = 80_000_000  # bytes
HOLD = f"held = bytearray(b'1') * {HELD}; print(flush=True); input()"
THREE_HOLD = f"""
import subprocess, sys, time
command = [sys.executable, "-I", "-S", "-c", {HOLD!r}]
holders = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
for holder in holders:
    holder.stdout.readline()
time.sleep(0.6)  # several looks
for holder in holders:
    holder.communicate(b"\\n")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for number in range(2):
        x = rng.uniform(0, 50, size=(len(FEATURES), ROWS // 2))  # as `gdpipe simulate` draws
        y = 3 + x.T @ [0.5, -2, 7] + rng.normal(size=ROWS // 2)
        table = pa.table({**dict(zip(FEATURES, x, strict=True)), "y": y})
        pq.write_table(table, folder / f"part-{number:05d}.parquet")
    return folder


@pytest.fixture(scope="module")
def exact(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    parameters = train(data, tmp_path_factory.mktemp("runs")).parameters
    return {str(term): float(value) for term, value in zip(parameters.term, parameters.ols_estimate, strict=True)}


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(peer, id=peer.script, marks=[] if peer.script in QUICK else pytest.mark.benchmark)
        for peer in FITTING
    ],
)
def test_coefficients_are_right_and_predictions_are_theirs(
    peer: Peer, data: Path, exact: dict[str, float], tmp_path: Path
) -> None:
    if missing := peer.why_not(Size(ROWS, len(FEATURES), files=2)):
        pytest.skip(missing)
    subprocess.run([sys.executable, HERE / "peers" / f"{peer.script}.py", data, tmp_path], check=True)
    coef = json.loads((tmp_path / "coef.json").read_text())
    assert digits(largest_difference(coef, exact)) >= peer.digits

    rows, [place] = pq.read_table(data), tmp_path.glob("predictions*")
    residuals = rows["y"].to_numpy() - coef["intercept"] - sum(coef[name] * rows[name].to_numpy() for name in FEATURES)
    written = pq.read_table(place)
    assert written.num_rows == ROWS
    target, prediction, residual = (written[name].to_numpy() for name in ("target", "prediction", "residual"))
    np.testing.assert_allclose(target - prediction, residual, atol=1e-9)
    np.testing.assert_allclose(np.sort(residual), np.sort(residuals), atol=1e-8)  # in whatever order


@pytest.mark.skipif(sys.platform != "linux", reason="the processes' memory is read from /proc")
def test_the_memory_of_all_processes_counts(tmp_path: Path) -> None:
    took = launched([sys.executable, "-c", THREE_HOLD], tmp_path, timed=False)
    assert took["status"] == 0
    assert HELD < took["peak"] < 2 * HELD
    assert 3 * HELD < took["tree_peak"] < 4 * HELD
