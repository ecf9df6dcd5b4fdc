"""A model of something else does not take the place of the latest, unless it is asked for."""

from pathlib import Path
from typing import Any

import pytest

import gdpipe
from tests.conftest import gdpipe_cli, line_columns, published, write_parquet
from tests.runs import train


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "line.parquet", line_columns())


def test_a_second_target_in_the_same_output_is_refused_with_the_reason(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    train(source, output, run_id="first")
    before = published(output)
    with pytest.raises(gdpipe.ConfigError) as caught:
        train(source, output, target="x1")
    assert str(caught.value) == (
        f"target 'x1': the latest run in {output}, first, predicts 'y', and whoever reads the output would get another "
        "model; give another output, or set force to publish over it"
    )
    assert published(output) == before
    done = gdpipe_cli("train", source, "--target", "x1", "--output", output)
    assert (done.code, done.err) == (2, f"gdpipe: {caught.value}\n")


@pytest.mark.parametrize("asked", [{"force": True}, {"latest": False}])
def test_it_is_published_where_it_is_asked_for(asked: dict[str, Any], source: Path, tmp_path: Path) -> None:
    train(source, tmp_path / "runs", run_id="first")
    run = train(source, tmp_path / "runs", target="x1", **asked)
    assert run.manifest["target"] == "x1"
    assert gdpipe.open_run(tmp_path / "runs").run_id == (run.run_id if "force" in asked else "first")
    assert train(source, tmp_path / "other", target="x1").manifest["target"] == "x1"


def test_a_run_says_whether_it_is_new(source: Path, tmp_path: Path) -> None:
    assert train(source, tmp_path / "runs").is_new
    assert not train(source, tmp_path / "runs").is_new
