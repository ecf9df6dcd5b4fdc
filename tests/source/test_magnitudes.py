"""Magnitudes that had to be read are kept, as JSON, and looked at before they are believed."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdpipe.source.formats import is_run
from gdpipe.source.source import Source
from gdpipe.store.cache import Cache
from gdpipe.store.runs import place_at
from tests.conftest import write_parquet

COLUMNS = {"x": np.array([1.0, -7.5, np.nan]), "y": np.array([0.1, -np.inf, 3.0])}


def largest(folder: Path) -> list[float]:
    found: list[float] = (
        Source.open(str(folder / "data")).largest(["y", "x"], Cache(place_at(folder / "runs"))).tolist()
    )
    return found


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A file without statistics, and what was read of it."""
    write_parquet(tmp_path / "data" / "a.parquet", COLUMNS, write_statistics=False)
    assert largest(tmp_path) == [np.inf, 7.5]
    return tmp_path


def entry_of(folder: Path) -> Path:
    [entry] = (folder / "runs" / "moments").iterdir()
    return entry


def test_an_infinity_is_kept_in_json_that_everybody_reads(kept: Path) -> None:
    def refused(constant: str) -> None:
        raise AssertionError(constant)

    entry = json.loads(entry_of(kept).read_text(), parse_constant=refused)
    assert entry["largest"] == {"y": None, "x": 7.5}
    # believed, for the file's rows are not read again
    entry["largest"]["x"] = 8.0
    entry_of(kept).unlink()
    Cache(place_at(kept / "runs")).store(entry.pop("of"), entry)
    assert largest(kept) == [np.inf, 8.0]


@pytest.mark.parametrize(
    "sizes",
    [
        {"x": 1.0},
        {"x": 1.0, "y": -1.0},
        {"x": "z", "y": 1.0},
        {"x": float("nan"), "y": 1.0},
        {"x": 10**400, "y": 1.0},
        7,
    ],
)
def test_magnitudes_that_no_columns_have_are_read_anew(
    sizes: Any, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = entry_of(kept).read_bytes()
    of = json.loads(before)["of"]
    for entry in ({"largest": sizes}, {}):
        entry_of(kept).unlink()
        Cache(place_at(kept / "runs")).store(of, entry)
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="gdpipe"):
            assert largest(kept) == [np.inf, 7.5]
        assert ["made anew" in line for line in caplog.messages] == [True]
        assert entry_of(kept).read_bytes() == before


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_a_folder_of_what_is_kept_is_no_data(suffix: str) -> None:
    entry = f"{'a' * 64}-{'0' * 64}.{suffix}"
    assert is_run([entry])
    assert not is_run([entry, "b.parquet"])
