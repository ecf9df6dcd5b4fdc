"""Runs for the tests, and what they leave in an output."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gdpipe
from gdpipe.store.writer import WrittenFile
from tests.conftest import Outcome, gdpipe_cli, write_parquet


def train(source: object, output: object, **settings: Any) -> gdpipe.Run:
    """A run from source to output: of the column y and without a report, where the settings do not say otherwise."""
    return gdpipe.train(**{"source": source, "output": output, "target": "y", "report": False, **settings})


def train_on(folder: Path, columns: Mapping[str, Any], **settings: Any) -> gdpipe.Run:
    """The same of columns, written as a file into the folder; the output is `runs` in it."""
    return train(write_parquet(folder / "data.parquet", dict(columns)), folder / "runs", **settings)


def gdpipe_train(source: object, output: object, *more: object) -> Outcome:
    """`gdpipe train` of the column y."""
    return gdpipe_cli("train", source, "--target", "y", "--output", output, *more)


def gdpipe_retrain(source: object, output: object, *more: object) -> Outcome:
    """The same without a report, and also where nothing has changed."""
    return gdpipe_train(source, output, "--no-report", "--force", *more)


def entries(output: Path) -> list[Path]:
    """The files in an output that keep the sums of the input's files."""
    return sorted((output / "moments").glob("*.json"))


def scores_manifest(run_id: str, *files: WrittenFile) -> dict[str, Any]:
    """The least manifest: of scores, which need no model."""
    return {
        "schema_version": 1,
        "kind": "scores",
        "run_id": run_id,
        "created": datetime.datetime.now(datetime.UTC).isoformat(),
        "files": [{"path": f.path, "rows": f.rows, "bytes": f.bytes, "sha256": f.sha256} for f in files],
        "settings": {},
        "scored_with": "r0",
        "rows": {"read": 0},
    }
