"""Publishing a run of a few rows, in a real staging folder."""

import dataclasses
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdpipe.errors import PublishError
from gdpipe.fit import conclude
from gdpipe.numerics.inference.certificate import Certificate
from gdpipe.stages.compare import Comparison
from gdpipe.stages.evidence import Evidence
from gdpipe.stages.fit import fit
from gdpipe.stages.held_out import HeldOut
from gdpipe.stages.predict import predict
from gdpipe.stages.publish import publish
from gdpipe.stages.standardize import standardize
from gdpipe.store.place import Place
from gdpipe.store.runs import Staging
from gdpipe.store.writer import write_table
from tests.conftest import snapshot, staged
from tests.stages.records import artifact, metrics, parameters, summed

ROWS = {"x": np.array([-1.0, -1.0, 1.0, 1.0, np.nan]), "y": np.array([0.5, -2.5, 2.5, -0.5, 1.0])}


@contextmanager
def validated(folder: Path, **settings: Any) -> Iterator[tuple[Any, ...]]:
    """What publish is called with, the staging folder last: rows predicted, tables and a certificate made by hand."""
    config, ingested = summed(folder, ROWS, **settings)
    regression = standardize(config, ingested)
    solution = fit(config, regression)
    assert config.run_id is not None
    with Staging(config.output, config.run_id) as staging:
        with ThreadPoolExecutor(1) as executor:
            predicted = predict(ingested, regression, solution, staging, executor)
        tables = {
            "parameters": parameters(intercept=(0.0,), x=(1.0,)),
            "metrics": metrics(),
            "loss_history": artifact("loss_history", {}),
            "convergence": artifact("convergence", {}),
        }
        files = tuple(write_table(staging.folder, f"{name}.parquet", table) for name, table in tables.items())
        certificate = Certificate(0.0, 0.0, 0.0, 0.0, 0.0, True, "checked by hand")
        comparison = Comparison(None, "before", None, ("x has moved",), (), ("said of the comparison",))
        found = conclude(ingested.columns.design, regression, solution)
        found = dataclasses.replace(found, certificate=certificate)
        yield config, ingested, found, predicted, Evidence(HeldOut(None, None, (), ()), comparison, (), files), staging


def published(folder: Path, **settings: Any) -> Place:
    with validated(folder, **settings) as records:
        return publish(*records)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_manifest_says_what_the_stages_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="gdpipe.stages.publish"):
        place = published(tmp_path)
    run = tmp_path / "runs" / "runs" / "now"
    assert str(place) == str(run)
    assert _said(caplog) == [f"published {run}"]
    manifest = read(run / "manifest.json")
    assert (manifest["kind"], manifest["run_id"], manifest["target"]) == ("training", "now", "y")
    assert (manifest["features"], manifest["columns"]) == (["x"], ["x", "y"])
    counts = {"read": 5, "scanned": 5, "used": 4, "held_out": 0, "left_out": 1, "zero_weight": 0}
    assert manifest["rows"] == {**counts, "null": {"x": 1}}
    assert manifest["verdict"] == {"passed": True, "reason": "checked by hand"}
    assert manifest["drift"] == {"since": "before", "largest": ["x has moved"], "differences": []}
    assert manifest["notices"] == ["said of the comparison"]
    assert not {"gate", "forecasts"} & set(manifest)
    # the files of evidence before those of predict, each as it lies there
    listed = {entry["path"]: entry["bytes"] for entry in manifest["files"]}
    assert list(listed) == [
        "parameters.parquet",
        "metrics.parquet",
        "loss_history.parquet",
        "convergence.parquet",
        "predictions/part-00000.parquet",
    ]
    there = {name: len(content) for name, content in snapshot(run).items() if name != "manifest.json"}
    assert there == listed
    pointer = read(tmp_path / "runs" / "latest.json")
    assert pointer == {"schema_version": 1, "run_id": "now", "path": "runs/now"}
    assert staged(tmp_path / "runs") == []


def test_a_run_beside_the_latest_moves_no_pointer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    published(tmp_path)
    pointer = (tmp_path / "runs" / "latest.json").read_bytes()
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="gdpipe.stages.publish"):
        published(tmp_path, run_id="beside", latest=False)
    assert _said(caplog) == [f"published {tmp_path / 'runs' / 'runs' / 'beside'}, not as the latest"]
    assert (tmp_path / "runs" / "latest.json").read_bytes() == pointer
    assert read(tmp_path / "runs" / "runs" / "beside" / "manifest.json")["settings"]["latest"] is False


def test_a_file_that_is_not_as_it_was_written_is_not_published(tmp_path: Path) -> None:
    published(tmp_path)
    before = snapshot(tmp_path / "runs")
    with validated(tmp_path, run_id="torn") as records:
        torn = Path(str(records[-1].folder)) / "metrics.parquet"
        torn.write_bytes(torn.read_bytes()[:-1])
        with pytest.raises(PublishError, match=r"metrics\.parquet is not there as written; run again"):
            publish(*records)
    assert snapshot(tmp_path / "runs") == before


def test_a_second_attempt_finds_the_run_where_the_first_has_put_it(tmp_path: Path) -> None:
    with validated(tmp_path) as records:
        first = publish(*records)
        before = snapshot(tmp_path / "runs")
        assert str(publish(*records)) == str(first)
        assert snapshot(tmp_path / "runs") == before


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The messages of the publish stage alone; where Prefect listens, those of other stages are captured, too."""
    return [record.getMessage() for record in caplog.records if record.name == "gdpipe.stages.publish"]
