"""Which windows there are, and which are done; the runs themselves are in test_deployments.py."""

from pathlib import Path
from typing import Any

import pytest

import gdpipe
from flows.backfill import identity, main, published, windows
from tests.conftest import line_columns, write_parquet


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("3", [3]),
        ("1..3", [1, 2, 3]),
        ("2026-01-30..2026-02-01", ["2026-01-30", "2026-01-31", "2026-02-01"]),
        ("JFK,LGA,JFK", ["JFK", "LGA"]),
        ("1,3", [1, 3]),
    ],
)
def test_windows(text: str, values: list[Any]) -> None:
    assert windows(text) == values


@pytest.mark.parametrize("text", ["3..1", "a..b", "2026-01-02..2026-01-01", "1..", "2026-1-1..2026-02-01"])
def test_a_range_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        windows(text)


def test_a_window_is_known_again_by_its_settings(tmp_path: Path) -> None:
    for month in (1, 2):
        write_parquet(tmp_path / "data" / f"month={month}" / "a.parquet", line_columns())
    settings: dict[str, Any] = {"source": str(tmp_path / "data"), "target": "y", "output": str(tmp_path / "runs")}
    run = gdpipe.train(**settings, filters=[["month", "=", 1]], report=False, memory="64MiB")
    done = published(str(tmp_path / "runs"))
    # as a deployment's parameters have it: lists, and null where nothing is set
    window = {**settings, "filters": [["month", "=", 1]], "key": None, "credentials": None}
    assert done[identity(window)] == str(run.folder)
    assert done[identity({**window, "latest": False})] == str(run.folder)
    assert identity({**window, "filters": [["month", "=", 2]]}) not in done
    assert identity({**window, "tolerance": 1e-6}) not in done


def test_a_wrong_command_is_refused_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["month", "3..1"]) == 2
    assert "ends before it begins" in capsys.readouterr().err
    assert main(["month", "1..3", "latest=true"]) == 2
    assert "a window never becomes the latest run" in capsys.readouterr().err
