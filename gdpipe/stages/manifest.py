"""What a run says about itself."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from gdpipe.config import TrainingConfig
from gdpipe.numerics.inference.certificate import Certificate
from gdpipe.source.source import Source
from gdpipe.stages.alternatives import Forecast
from gdpipe.stages.compare import Comparison
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.published import versions
from gdpipe.stages.standardize import Standardized
from gdpipe.store.catalog import SCHEMA_VERSION
from gdpipe.store.writer import WrittenFile


def manifest(
    config: TrainingConfig,
    ingested: Ingested,
    standardized: Standardized,
    certificate: Certificate,
    comparison: Comparison,
    files: Iterable[WrittenFile],
    forecasts: Iterable[Forecast] = (),
) -> dict[str, Any]:
    """The manifest of a training run, ready for JSON; one that is not published has forecasts of other settings."""
    rows = ingested.rows
    return {
        **header("training", config.run_id or "", files),
        "settings": config.as_dict(),
        "features": list(ingested.columns.features),
        "boolean_features": _boolean(ingested.source, ingested.columns.features),
        "target": ingested.columns.target,
        "columns": list(ingested.source.schema.names),
        "notices": [*ingested.notices, *comparison.notices],
        "dependencies": list(standardized.described),
        "inputs": [
            {**entry, "sums": ingested.sums_of(f), "predicted": f in ingested.predicted}
            for f, entry in enumerate(inputs(ingested.source))
        ],
        "passed_over": list(ingested.source.passed_over),
        "rows": {
            "read": rows.read,
            "scanned": rows.scanned,
            "used": rows.used,
            "left_out": rows.left_out,
            "null": rows.missing,
            "zero_weight": rows.zero_weight,
        },
        "verdict": {"passed": certificate.passed, "reason": certificate.reason},
        **comparison.as_dict(),
        **({"forecasts": other} if (other := [asdict(forecast) for forecast in forecasts]) else {}),
    }


def _boolean(source: Source, features: Sequence[str]) -> list[str]:
    """The features that are booleans in every file, which a database must be told; nulls alone may be any type."""

    def may_be(schema: pa.Schema, name: str) -> bool:
        kind = schema.field(name).type
        return bool(pa.types.is_boolean(kind) or pa.types.is_null(kind))

    # the first file answers for nearly all columns, however many files there are
    candidates = [name for name in features if may_be(source.schema, name)]
    return [
        name
        for name in candidates
        if all(may_be(file.schema, name) for file in source.files if name in file.schema.names)
    ]


def header(kind: str, run_id: str, files: Iterable[WrittenFile]) -> dict[str, Any]:
    """What every manifest starts with."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "run_id": run_id,
        "created": datetime.datetime.now(datetime.UTC).isoformat(),
        "versions": versions(),
        "files": [asdict(file) for file in files],
    }


def inputs(source: Source) -> list[dict[str, Any]]:
    """The input files and their fingerprints."""
    return [
        {"file": file.name, **file.fingerprint, "rows": sum(file.group_rows) if file.is_opened else None}
        for file in source.files
    ]
