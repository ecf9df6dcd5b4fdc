"""The bar on a real terminal: the command line as a process of its own, its output a pseudo-terminal."""

import fcntl
import json
import os
import struct
import subprocess
import termios
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.stages import progress
from tests.conftest import REPO, gdpipe_cli, gdpipe_command, line_columns, open_terminal, received_from, write_parquet

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for part in range(3):
        write_parquet(tmp_path / "data" / f"{part}.parquet", line_columns(seed=part))
    return tmp_path / "data"


def on_terminal(*args: object, term: str = "xterm", columns: int = 120) -> tuple[int, str, str]:
    """Run a command with stderr on a terminal; returns its exit code, stdout, and what the terminal received."""
    ours, theirs = open_terminal()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, "TERM": term, "PYTHONPATH": str(REPO), "NO_COLOR": "1"}
    env.pop("COLUMNS", None)
    with subprocess.Popen(gdpipe_command(*args), cwd=REPO, env=env, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        received = received_from(ours)
        assert process.stdout is not None
        out = process.stdout.read().decode()
    return process.returncode, out, received.decode()


def test_rows_speed_and_time_left_are_drawn_and_taken_back(data: Path, tmp_path: Path) -> None:
    code, out, drawn = on_terminal("train", data, "--target", "y", "--output", tmp_path / "runs")
    assert code == 0
    for doing in ("read", "predicted"):
        assert f"{doing} 600 of 600 rows, " in drawn
    assert " rows/s, 0:00:00 left" in drawn
    assert "━━━" in drawn
    assert drawn.endswith("\x1b[2K")  # the last line is cleared
    assert drawn.count(HIDE_CURSOR) == drawn.count(SHOW_CURSOR) == 3
    # what goes to a pipe is what goes there without a terminal
    assert "\x1b" not in out
    assert "━" not in out
    assert "600 read, 600 used" in out


def test_a_slow_descent_shows_its_step_against_the_forecast(data: Path, tmp_path: Path) -> None:
    settings = ("--method", "gd", "--learning-rate", "1e-4", "--max-iterations", "1000000")
    code, out, drawn = on_terminal("train", data, "--target", "y", "--output", tmp_path / "runs", *settings)
    forecast = gdpipe.open_run(tmp_path / "runs").convergence["forecast_iterations"][0]
    assert code == 0, out
    assert forecast > 100_000
    assert f" of forecast {forecast:,} steps, " in drawn
    assert " steps/s, 0:00:0" in drawn
    assert "left, gradient norm " in drawn


@pytest.mark.parametrize(("options", "term"), [(["--quiet"], "xterm"), ([], "dumb")])
def test_nothing_is_drawn(options: list[str], term: str, data: Path, tmp_path: Path) -> None:
    arguments = (*options, "train", data, "--target", "y", "--output", tmp_path / "runs")
    assert on_terminal(*arguments, term=term)[::2] == (0, "")


def test_a_plan_in_json_stays_json(data: Path) -> None:
    code, out, drawn = on_terminal("plan", data, "--target", "y", "--json")
    assert (code, drawn) == (0, "")
    assert json.loads(out)["rows"] == 600


def test_an_error_stands_on_a_line_of_its_own(data: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(data / "0.parquet"), data / "3.parquet", write_page_checksum=True)
    damaged = bytearray((data / "3.parquet").read_bytes())
    damaged[200] ^= 0xFF
    (data / "3.parquet").write_bytes(damaged)
    code, _, drawn = on_terminal("train", data, "--target", "y", "--output", tmp_path / "runs")
    assert code == 3
    shown, _, error = drawn.rpartition("\x1b[2K")
    assert error.startswith("gdpipe: ")
    assert error.count("\n") == 1
    assert shown.rfind(SHOW_CURSOR) > shown.rfind(HIDE_CURSOR) >= 0


def test_words_are_cut_where_the_terminal_is_narrow(data: Path, tmp_path: Path) -> None:
    _, _, drawn = on_terminal("train", data, "--target", "y", "--output", tmp_path / "runs", columns=30)
    assert "━ read 600 of 600 rows" in drawn
    assert "…" in drawn


def test_lines_in_the_log_where_there_is_no_terminal(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    arguments = ("train", data, "--target", "y", "--output")
    done = gdpipe_cli(*arguments, tmp_path / "runs")
    assert done.err == ""
    assert "read 200 of 600 rows, " in done.out
    assert "predicted 400 of 600 rows, " in done.out
    assert gdpipe_cli("--quiet", *arguments, tmp_path / "quiet").out == ""
