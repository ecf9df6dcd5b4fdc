"""What is published of known data, as digests: `python -m tests.published_bytes FOLDER` prints them as JSON.

A process of its own, since OpenBLAS takes its kernel from the environment when it loads: another one adds in another
order, and the descent's last digits are then others.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import gdpipe
from tests.certified.nist import ALL

REPO = Path(__file__).parents[1]
FLIGHTS = REPO / "data" / "flights"
# of Parquet's bytes and of the numbers in them
MADE_BY = ("numpy", "pyarrow")
# from SciPy's functions, whose last digits its versions change: their values are kept, not the bytes
PROBABILITIES = {"p_value", "ci_lower", "ci_upper", "f_p_value", "jarque_bera_p_value", "breusch_pagan_p_value"}
ROWS, FEATURES, FILES = 200_000, 20, 4
# two of NIST's sets are here for what their names say; Filip's descent ends without a verdict that is published
NIST = sorted(set(ALL))


def made_by() -> dict[str, str]:
    """The packages that decide the bytes."""
    return {name: version(name) for name in MADE_BY}


def simulated(folder: Path) -> Path:
    """The benchmark's data, with keys, nulls and weights."""
    rng = np.random.default_rng(0)
    coef = rng.normal(0.0, 2.0, FEATURES).round(2)
    folder.mkdir(parents=True)
    for part in range(FILES):
        x = rng.uniform(0.0, 50.0, (FEATURES, ROWS // FILES))
        y = rng.normal(4.0, 1.0, ROWS // FILES)
        for weight, column in zip(coef, x, strict=True):
            y += weight * column  # in this order, whatever BLAS would do
        columns: dict[str, Any] = {f"x{j + 1}": column for j, column in enumerate(x)}
        columns["x2"] = pa.array(columns["x2"], mask=rng.random(len(y)) < 0.01)
        columns |= {"id": np.arange(len(y)), "w": rng.uniform(0.5, 2.0, len(y)), "y": y}
        pq.write_table(pa.table(columns), folder / f"part-{part}.parquet", row_group_size=30_000)
    return folder


def runs(folder: Path) -> Iterator[tuple[str, gdpipe.Run]]:
    """Each case with its run."""
    features = ["dep_delay", "distance", "air_time", "hour", "month", "day"]
    yield "flights", _train(folder, "flights", FLIGHTS, target="arr_delay", features=features)
    for name in NIST:
        reference = ALL[name]()
        frame = pd.DataFrame(reference.X, columns=[f"x{j}" for j in range(reference.X.shape[1])]).assign(y=reference.y)
        frame.to_parquet(folder / f"{name}.parquet")
        yield name, _train(folder, name, folder / f"{name}.parquet", fit_intercept=reference.fit_intercept)
    data = simulated(folder / "data")
    yield ("simulated", _train(folder, "simulated", data, key=["id"], weight="w", filters=[["x1", "<", 40.0]]))


def _train(folder: Path, run_id: str, source: Path, **settings: Any) -> gdpipe.Run:
    options = {"target": "y", "report": False, "output": str(folder / "runs"), "run_id": run_id, "latest": False}
    return gdpipe.train(source=str(source), **{**options, **settings})


def of_file(path: Path) -> dict[str, Any]:
    """The sha256 of a file; of parameters and metrics that of each column's values, or the values themselves."""
    if path.stem not in ("parameters", "metrics"):
        return {"file": _sha256(path.read_bytes())}
    columns = pq.read_table(path).to_pydict()
    return {
        name: values if name in PROBABILITIES else _sha256(json.dumps(values).encode())
        for name, values in columns.items()
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digests(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Of each artifact's file, by case."""
    found = {}
    for name, run in runs(folder):
        place = Path(run.location)
        files = [path for path in sorted(place.rglob("*.parquet")) if path.stem != "convergence"]
        found[name] = {path.relative_to(place).as_posix(): of_file(path) for path in files}
    return found


if __name__ == "__main__":
    print(json.dumps({"made_by": made_by(), "digests": digests(Path(sys.argv[1]))}, indent=1))
