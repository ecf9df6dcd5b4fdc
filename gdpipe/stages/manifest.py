"""The manifest of a run."""

import datetime
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from gdpipe.config import TrainingConfig
from gdpipe.design import design_to_manifest
from gdpipe.fit import Fit
from gdpipe.source.source import Source
from gdpipe.stages.alternatives import Forecast
from gdpipe.stages.compare import Comparison
from gdpipe.stages.held_out import HeldOut
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.published import versions
from gdpipe.stages.scan.row_sums import by_column
from gdpipe.store.catalog import SCHEMA_VERSION
from gdpipe.store.writer import WrittenFile


def manifest(
    config: TrainingConfig,
    ingested: Ingested,
    fit: Fit,
    held_out: HeldOut,
    comparison: Comparison,
    files: Iterable[WrittenFile],
    forecasts: Iterable[Forecast] = (),
) -> dict[str, Any]:
    """The manifest of a training run, ready for JSON; that of a rejected run has forecasts of other settings."""
    rows = ingested.rows
    return {
        **header("training", config.run_id or "", files),
        "settings": config.as_dict(),
        **design_to_manifest(fit.design),
        "target": ingested.columns.target,
        "columns": list(ingested.source.schema.names),
        "notices": [*held_out.leakage, *ingested.notices, *fit.rows.notices, *held_out.notices, *comparison.notices],
        "dependencies": list(fit.dependencies),
        "absorbed": fit.absorbed,
        "inputs": [
            {
                **entry,
                "sums": ingested.sums_of(f),
                "held_out": ingested.held_out_of(f),
                "predicted": f in ingested.predicted,
            }
            for f, entry in enumerate(inputs(ingested.source))
        ],
        "passed_over": list(ingested.source.passed_over),
        "rows": {
            "read": rows.read,
            "scanned": sum(ingested.scanned.values()),
            "used": rows.used,
            "held_out": rows.held_out,
            "left_out": rows.read - rows.used - rows.held_out,
            "null": by_column([of.column for of in ingested.columns.asked], rows.missing),
            "zero_weight": rows.zero_weight,
        },
        "verdict": {"passed": fit.certificate.passed, "reason": fit.certificate.reason},
        "leakage": list(held_out.leakage),
        **_checks(fit),
        **comparison.as_dict(),
        **({"forecasts": other} if (other := [asdict(forecast) for forecast in forecasts]) else {}),
    }


def _checks(fit: Fit) -> dict[str, Any]:
    """The comparison of rows that are held out with their sums; nothing where none was read."""
    found = [asdict(check) for check in fit.rows.checks if check.name.startswith("holdout_")]
    return {"holdout_checks": found} if found else {}


def header(kind: str, run_id: str, files: Iterable[WrittenFile]) -> dict[str, Any]:
    """The first entries of every manifest."""
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
