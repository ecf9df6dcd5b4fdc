"""Names are data: no run_id, column, partition value or path in a tampered file leads out of OUTPUT; no pickle."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdpipe
from tests.conftest import REPO, gdpipe_cli, line_columns, snapshot, write_parquet

NAMES = ["../x", "../../x", "..", "a/b", "/etc/x", "a\\b", "a.b", "", ".hidden", "a\0b", "ä", "x" * 101]


@pytest.mark.parametrize("run_id", NAMES)
def test_a_run_id_that_is_no_name(run_id: str, data: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    settings: dict[str, Any] = {"source": str(data), "output": str(tmp_path / "deep" / "runs"), "run_id": run_id}
    with pytest.raises(gdpipe.ConfigError, match="run_id"):
        gdpipe.train(target="y", **settings)
    with pytest.raises(gdpipe.ConfigError, match="run_id"):
        gdpipe.pipeline.score_source(run="runs", **settings)
    assert snapshot(tmp_path) == before


def test_columns_and_partitions_named_like_paths(tmp_path: Path) -> None:
    columns = line_columns()
    named = {"../x": columns["x1"], "/etc/x": columns["x2"], "y": columns["y"]}
    for value in ("..%2F..%2Fout", "%2Fetc"):
        write_parquet(tmp_path / "data" / f"key%2F..={value}" / "line.parquet", named)
    output = tmp_path / "out" / "runs"
    done = gdpipe_cli("train", tmp_path / "data", "--target", "y", "--key", "key/..", "--output", output)
    assert done.code == 0, done.err
    run = gdpipe.open_run(output)
    assert run.parameters["term"].to_list() == ["intercept", "../x", "/etc/x"]
    assert set(run.predictions["key/.."]) == {"../../out", "/etc"}
    np.testing.assert_allclose(run.parameters["estimate"], [1, 2, -3], atol=0.1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "out"]
    assert sorted(p.name for p in output.iterdir()) == [".staging", "latest.json", "moments", "runs"]


@pytest.mark.parametrize("run_id", ["..", "../..", "../../other/runs/good", "/", "good/../../..", "", None, 3])
def test_a_pointer_that_leads_out(run_id: object, output: Path) -> None:
    pointer = {"schema_version": 1, "run_id": run_id, "path": "../../other"}
    (output / "latest.json").write_text(json.dumps(pointer))
    for command in (("show", output), ("verify", output), ("prune", output, "--keep", 1)):
        done = gdpipe_cli(*command)
        assert (done.code, "latest.json" in done.err) == (4, True)


@pytest.mark.parametrize("path", ["../../../secret.parquet", "/etc/passwd", "..", "predictions/../../x", None, 3])
def test_a_manifest_that_leads_out(path: object, output: Path, tmp_path: Path) -> None:
    secret = write_parquet(tmp_path / "secret.parquet", {"x": [1.0]})
    before = secret.read_bytes()
    manifest = json.loads((output / "runs" / "good" / "manifest.json").read_text())
    manifest["files"].append({"path": path, "rows": 1, "bytes": len(before), "sha256": "0"})
    (output / "runs" / "good" / "manifest.json").write_text(json.dumps(manifest))
    for command in (("show", output), ("verify", output)):
        done = gdpipe_cli(*command)
        assert done.code == 4
        assert re.search(r"leads out|cannot be read", done.err), done.err
    assert gdpipe_cli("prune", output, "--keep", 1).code == 0
    assert secret.read_bytes() == before


def test_nothing_that_is_read_is_unpickled() -> None:
    for file in (REPO / "gdpipe").rglob("*.py"):
        # Dask and loky send work to their workers that way; no file is read so
        if file.name not in ("cluster.py", "workers.py"):
            assert not re.search(r"import (pickle|marshal|shelve|joblib)\b", file.read_text()), file
        assert not re.search(r"\b(eval|exec)\(", file.read_text()), file
