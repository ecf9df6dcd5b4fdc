"""Progress of a scan."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.stages import progress


@pytest.fixture
def source(tmp_path: Path) -> str:
    for part in range(3):
        x = np.random.default_rng(part).normal(size=100)
        pq.write_table(pa.table({"x": x, "y": 2 * x + part}), tmp_path / f"{part}.parquet")
    return str(tmp_path)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == progress.__name__]


def test_both_scans_say_how_far_they_are(
    source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO, logger="gdpipe"):
        gdpipe.train(source=source, target="y", output=str(tmp_path / "runs"))
    said = lines(caplog)
    assert [line.split(" rows, ")[0] for line in said] == [
        "read 100 of 300",
        "read 200 of 300",
        "predicted 100 of 300",
        "predicted 200 of 300",
    ]
    assert all(line.endswith(" s left") for line in said)


def test_a_short_scan_says_nothing(source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="gdpipe"):
        gdpipe.train(source=source, target="y", output=str(tmp_path / "runs"))
    assert lines(caplog) == []
