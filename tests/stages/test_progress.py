"""Progress: what stages tell, who hears it, and the log lines."""

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.engine import open_executor
from gdpipe.stages import progress
from gdpipe.stages.plan import plan
from gdpipe.stages.progress import Activity, listening, silence


@pytest.fixture
def source(tmp_path: Path) -> str:
    for part in range(3):
        rng = np.random.default_rng(part)
        x = rng.normal(size=100)
        table = pa.table({"x": x, "y": 2 * x + part + rng.normal(size=100)})
        pq.write_table(table, tmp_path / f"{part}.parquet", write_page_checksum=True)
    return str(tmp_path)


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.activities: list[Activity] = []
        self.done: list[list[int]] = []
        self.over = 0

    @contextlib.contextmanager
    def __call__(self, activity: Activity) -> Iterator[Callable[[], None]]:
        self.activities.append(activity)
        self.done.append([])
        try:
            yield lambda: self.done[-1].append(activity.done)
        finally:
            self.over += 1


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == progress.__name__]


def test_both_scans_and_the_descent_say_how_far_they_are(
    source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    settings = {"method": "gd", "learning_rate": 0.01, "tolerance": 1e-6}
    with caplog.at_level(logging.INFO, logger="gdpipe"):
        run = gdpipe.train(source=source, target="y", output=str(tmp_path / "runs"), **settings)
    said = lines(caplog)
    forecast = run.convergence["forecast_iterations"][0]
    assert [line.split(", ")[0] for line in said] == [
        "read 100 of 300 rows",
        "read 200 of 300 rows",
        *(f"descended {step:,} of forecast {forecast:,} steps" for step in range(0, forecast, 256)),
        "predicted 100 of 300 rows",
        "predicted 200 of 300 rows",
    ]
    assert all(re.search(r", [\d,]+ (rows|steps)/s, \d:\d\d:\d\d left", line) for line in said if " 0 of " not in line)
    assert ", gradient norm " in said[3]


def test_what_is_soon_done_says_nothing(source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="gdpipe"):
        gdpipe.train(source=source, target="y", output=str(tmp_path / "runs"))
    assert lines(caplog) == []


def test_a_listener_hears_each_activity_to_its_end(source: str, tmp_path: Path) -> None:
    heard = Heard()
    with listening(heard):
        run = gdpipe.train(source=source, target="y", output=str(tmp_path / "runs"))
    steps = run.convergence["iterations"][0]
    assert [a.doing for a in heard.activities] == ["read", "descended", "predicted"]
    assert [heard.done[0], heard.done[1][-1], heard.done[2]] == [[100, 200, 300], steps, [100, 200, 300]]
    assert [a.share for a in heard.activities] == [1.0, 1.0, 1.0]
    assert heard.over == 3


def test_a_forecast_beyond_the_allowed_steps_is_not_the_total(source: str, tmp_path: Path) -> None:
    heard = Heard()
    with listening(heard), pytest.raises(gdpipe.ConvergenceError):
        gdpipe.train(
            source=source,
            target="y",
            output=str(tmp_path / "runs"),
            method="gd",
            learning_rate=1e-6,
            max_iterations=300,
        )
    assert str(heard.activities[1]).startswith("descended 300 of at most 300 steps, ")


def test_a_descent_that_ran_out_of_time_is_not_shown_as_done(source: str, tmp_path: Path) -> None:
    heard = Heard()
    settings = {"method": "gd", "learning_rate": 1e-9, "max_iterations": 10**9, "max_seconds": 0.01}
    with listening(heard), pytest.raises(gdpipe.ConvergenceError):
        gdpipe.train(source=source, target="y", output=str(tmp_path / "runs"), **settings)
    assert heard.activities[1].share < 0.01


def test_two_runs_at_once_are_heard_apart(source: str, tmp_path: Path) -> None:
    heard = [Heard(), Heard()]

    def run(n: int) -> None:
        with listening(heard[n]):
            gdpipe.train(source=f"{source}/{n}.parquet", target="y", output=str(tmp_path / f"runs{n}"))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in heard:
        assert [a.doing for a in one.activities] == ["read", "descended", "predicted"]


def test_an_activity_that_fails_is_over(source: str, tmp_path: Path) -> None:
    damaged = bytearray(Path(f"{source}/1.parquet").read_bytes())
    damaged[100] ^= 0xFF
    Path(f"{source}/1.parquet").write_bytes(damaged)
    heard = Heard()
    with listening(heard), pytest.raises(gdpipe.DataError):
        gdpipe.train(source=source, target="y", output=str(tmp_path / "runs"))
    assert [a.doing for a in heard.activities] == ["read"]
    assert heard.over == 1


def test_a_plan_tells_nobody(source: str) -> None:
    heard = Heard()
    with listening(heard), open_executor() as executor:
        plan(gdpipe.TrainingConfig(source=source, target="y"), executor)
    assert heard.activities == []


def test_silence_has_no_lines(
    source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with listening(silence), caplog.at_level(logging.INFO, logger="gdpipe"):
        gdpipe.train(source=source, target="y", output=str(tmp_path / "runs"))
    assert lines(caplog) == []


def test_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    activity = Activity("read", 1_000_000, "row", began=now)
    assert str(activity) == "read 0 of 1,000,000 rows"
    now += 10
    activity.at(250_000)
    assert str(activity) == "read 250,000 of 1,000,000 rows, 25,000 rows/s, 0:00:30 left"
    now += 20  # nothing new is known, but the time has passed
    assert str(activity) == "read 250,000 of 1,000,000 rows, 25,000 rows/s, 0:00:10 left"
    now += 3_600
    assert str(activity).endswith(" 0:00:00 left")
    assert activity.share == 0.25
    activity.at(1_100_000, "a note")
    assert activity.share == 1.0
    assert str(activity).endswith(" left, a note")
    assert Activity("read", 0, "row").share == 1.0
