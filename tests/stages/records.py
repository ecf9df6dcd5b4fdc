"""The records that the stages hand on, of a few rows: from sums and tables, without a run."""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from gdpipe.config import TrainingConfig
from gdpipe.design import Design
from gdpipe.stages.ingest import Ingested, ingest
from gdpipe.stages.previous import PublishedFit
from gdpipe.store import catalog
from gdpipe.store.runs import Staging
from gdpipe.store.writer import write_table
from tests.conftest import write_parquet

BLANK: dict[pa.DataType, Any] = {pa.float64(): math.nan, pa.string(): "ok", pa.int64(): 0, pa.bool_(): True}
SETTINGS: dict[str, Any] = {
    "fit_intercept": True,
    "filters": None,
    "weight": None,
    "collinear": "min_norm",
    "learning_rate": "auto",
    "tolerance": 1e-8,
    "max_iterations": 100_000,
}


def summed(folder: Path, columns: Mapping[str, Any], **settings: Any) -> tuple[TrainingConfig, Ingested]:
    """Settings of a run `now` into `runs` in the folder, with the target y, and the sums of the columns."""
    source = write_parquet(folder / "data.parquet", dict(columns))
    known = {"source": source, "target": "y", "output": folder / "runs", "run_id": "now"}
    config = TrainingConfig.of({**known, **settings})
    with ThreadPoolExecutor(1) as executor:
        return config, ingest(config, executor, keep=False)


def artifact(name: str, *rows: Mapping[str, Any]) -> pa.Table:
    """An artifact as the catalog has it; columns that the rows leave out are NaN, ok, 0 or true."""
    schema = catalog.schema(name, "before")
    blank = {field.name: [] if pa.types.is_list(field.type) else BLANK[field.type] for field in schema}
    return pa.Table.from_pylist([{**blank, **row} for row in rows], schema=schema)


def parameters(**terms: tuple[float, ...]) -> pa.Table:
    """The artifact: term -> estimate, std_error, mean, scale, or the first of them; a scale of 0 is a constant's."""
    rows = []
    for term, numbers in terms.items():
        row: dict[str, Any] = dict(zip(("estimate", "std_error", "mean", "scale"), numbers, strict=False))
        # as it is published: a constant is divided by 1
        constant = {"status": "constant", "scale": 1.0} if row.get("scale") == 0 else {}
        rows.append({"term": term, **row, **constant})
    return artifact(catalog.PARAMETERS, *rows)


def metrics(rmse: float = 1.0, r2: float = 0.5, mean: float = 0.0, scale: float = 1.0, **unseen: float) -> pa.Table:
    """The artifact, of ten rows; mean and scale are the target's, `unseen` the columns about rows not fitted."""
    row = {"rmse": rmse, "r2": r2, "target_mean": mean, "target_scale": scale, "total_weight": 10.0, **unseen}
    return artifact(catalog.METRICS, row)


def fit_of(
    parameters: pa.Table, metrics: pa.Table, run_id: str = "before", design: Design | None = None, **settings: Any
) -> PublishedFit:
    """A fit of the target y, as its tables tell it."""
    settings = SETTINGS | settings
    if design is None:
        design = Design.of_numbers(parameters["term"].to_pylist()[int(settings["fit_intercept"]) :])
    return PublishedFit.of(run_id, "y", parameters, metrics, settings, design)


def publish_fit(output: Path, parameters: pa.Table, metrics: pa.Table, *, target: str = "y", **settings: Any) -> None:
    """Publish a run `before` that has these tables."""
    tables = {
        catalog.PARAMETERS: parameters,
        catalog.METRICS: metrics,
        catalog.LOSS_HISTORY: artifact(catalog.LOSS_HISTORY, {}),
        catalog.CONVERGENCE: artifact(catalog.CONVERGENCE, {}),
    }
    with Staging(output, "before") as staging:
        files = [write_table(staging.folder, f"{name}.parquet", table) for name, table in tables.items()]
        staging.publish(
            {
                "schema_version": catalog.SCHEMA_VERSION,
                "kind": "training",
                "run_id": "before",
                "created": "2026-11-23T03:00:00+00:00",
                "files": [{"path": f.path, "bytes": f.bytes, "sha256": f.sha256} for f in files],
                "versions": {},
                "settings": SETTINGS | settings,
                "features": parameters["term"].to_pylist()[int((SETTINGS | settings)["fit_intercept"]) :],
                "target": target,
                "notices": [],
                "dependencies": [],
                "inputs": [],
                "rows": {"read": 10, "used": 10, "left_out": 0, "zero_weight": 0, "null": {}},
                "verdict": {"passed": True, "reason": "by hand"},
            }
        )
