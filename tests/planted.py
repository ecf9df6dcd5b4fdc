"""A published run whose model is given: to score with categories, whatever a fit would make of them."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gdpipe
from gdpipe.design import Design, design_to_manifest
from tests.runs import train_on


def planted(folder: Path, design: Design, coef: Sequence[float], intercept: float) -> gdpipe.Run:
    """A run in `folder/runs` with this model of the target y, and the metrics of another."""
    x = np.arange(10.0)
    run = train_on(folder, {"x": x, "y": x % 3}, run_id="planted")
    path = run.folder / "parameters.parquet"
    table = pq.read_table(path)
    names, estimates = ["intercept", *design.names], [intercept, *coef]
    columns = {"term": names, "status": ["ok"] * len(names), "estimate": estimates}
    arrays = [
        pa.array(
            columns.get(field.name, [None if field.type == pa.string() else float("nan")] * len(names)), field.type
        )
        for field in table.schema
    ]
    pq.write_table(pa.Table.from_arrays(arrays, schema=table.schema), path)
    manifest = run.manifest | design_to_manifest(design)
    for entry in manifest["files"]:
        if entry["path"] == path.name:
            content = path.read_bytes()
            entry |= {"rows": len(names), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (run.folder / "manifest.json").write_text(json.dumps(manifest))
    return gdpipe.open_run(folder / "runs")
