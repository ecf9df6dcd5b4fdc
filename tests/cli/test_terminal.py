"""The command line beside its results: JSON for programs, tables that fit, help to try, completion, the bar."""

import fcntl
import json
import math
import os
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

import gdpipe
from gdpipe.cli import main
from gdpipe.cli.terminal import print_json
from gdpipe.report.summary import table_lines
from gdpipe.stages import progress
from tests.conftest import (
    REPO,
    Outcome,
    gdpipe_cli,
    gdpipe_command,
    line_columns,
    open_terminal,
    received_from,
    write_parquet,
)


def strict_json(text: str) -> dict[str, Any]:
    """As a parser reads it that knows no NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    value: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return value


# --json


def test_train_prints_one_document_and_logs_beside_it(data: Path, tmp_path: Path) -> None:
    done = gdpipe_cli("train", data, "--target", "y", "--output", tmp_path / "runs", "--json")
    assert done.code == 0
    assert "validated" in done.err
    printed = strict_json(done.out)
    run = gdpipe.open_run(tmp_path / "runs")
    assert (printed["run_id"], printed["folder"]) == (run.run_id, str(run.folder))
    assert printed["verdict"]["passed"] is True
    assert printed["verdict"]["coef_gap"] == run.convergence["coef_gap"][0]
    assert printed["metrics"]["r2"] == run.metrics["r2"][0]
    assert [row["estimate"] for row in printed["parameters"]] == run.parameters["estimate"].to_list()
    assert printed["parameters"][0]["vif"] is None
    assert math.isnan(run.parameters["vif"][0])


def test_quiet_json_is_the_document_alone(data: Path, tmp_path: Path) -> None:
    done = gdpipe_cli("--quiet", "train", data, "--target", "y", "--output", tmp_path / "runs", "--json")
    assert done.err == ""
    assert strict_json(done.out)["run_id"]


def test_a_rejected_run_is_printed_too(data: Path, tmp_path: Path) -> None:
    slow = ("--learning-rate", "1e-9", "--max-iterations", "5", "--run-id", "slow")
    done = gdpipe_cli("train", data, "--target", "y", "--output", tmp_path / "runs", *slow, "--json")
    assert done.code == 1
    printed = strict_json(done.out)
    assert printed["verdict"]["passed"] is False
    assert printed["folder"] == str(tmp_path / "runs" / "rejected" / "slow")
    assert printed["verdict"]["reason"] in " ".join(done.err.split())


def test_without_a_run_there_is_no_document(data: Path, tmp_path: Path) -> None:
    done = gdpipe_cli("train", data, "--target", "z", "--output", tmp_path / "runs", "--json")
    assert (done.code, done.out) == (3, "")


def test_show_prints_what_train_printed(data: Path, tmp_path: Path) -> None:
    trained = gdpipe_cli("train", data, "--target", "y", "--output", tmp_path / "runs", "--json")
    assert gdpipe_cli("show", tmp_path / "runs", "--json") == Outcome(0, trained.out, "")


def test_verify_names_what_is_damaged(output: Path) -> None:
    done = gdpipe_cli("verify", output, "--json")
    assert (done.code, done.err) == (0, "")
    whole = strict_json(done.out)
    assert (whole["run_id"], whole["damaged"]) == ("good", [])
    (output / "runs" / "good" / "metrics.parquet").unlink()
    done = gdpipe_cli("verify", output, "--json")
    assert done.code == 4
    damaged = strict_json(done.out)
    assert damaged["files"] == whole["files"]
    assert len(damaged["damaged"]) == 1
    assert "metrics.parquet" in damaged["damaged"][0]


def test_plan_keeps_warnings_out_of_its_document(data: Path) -> None:
    done = gdpipe_cli("--quiet", "plan", data, "--target", "y", "--json")
    assert strict_json(done.out)["rows"] == 200


def test_what_json_cannot_say_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [math.nan, 1.5], "b": {"c": math.inf}, "d": (-math.inf,)})
    assert strict_json(capsys.readouterr().out) == {"a": [None, 1.5], "b": {"c": None}, "d": [None]}


# tables

ROWS = [
    {"term": "intercept", "estimate": -16.71834, "std_error": 0.12395, "vif": math.nan, "status": "ok"},
    {"term": "a_name_of_some_length", "estimate": 1.020991, "std_error": 0.000695, "vif": 1.04, "status": "ok"},
]


@pytest.mark.parametrize("width", range(12, 80))
def test_a_table_is_no_wider_than_the_terminal(width: int) -> None:
    lines = table_lines(ROWS, width)
    assert max(map(len, lines[:3])) <= width
    assert "estimate" in lines[0]
    assert "-16.7183" in lines[1]
    shown = set(lines[0].split()) - {"term"}
    left_out = set(re.findall(r"[a-z_]+", " ".join(lines[3:]))) & set(ROWS[0])
    assert shown | left_out >= set(ROWS[0]) - {"term"}
    assert not shown & left_out


@pytest.mark.parametrize("width", [16, 24, 30])
def test_characters_of_two_columns_fit_too(width: int) -> None:
    rows = [
        {"term": "列名称很长很长很长", "estimate": 1.5, "status": "ok"},
        {"term": "[bold]x[/] :smile:", "estimate": -22.25, "status": "ok"},
    ]
    lines = table_lines(rows, width)[:3]
    assert max(map(cell_len, lines)) <= width
    assert len({cell_len(line) for line in lines}) == 1  # numbers end where their heading does
    assert "[bold" in lines[2]  # a name is not markup


def test_a_table_for_a_file_has_every_column() -> None:
    assert table_lines(ROWS) == table_lines(ROWS, 200)
    assert table_lines(ROWS)[0].split() == list(ROWS[0])


def in_a_terminal(columns: int, *args: object) -> list[str]:
    """The lines a command prints where stdout is a terminal of so many columns."""
    for end in open_terminal():  # the script opens its own
        os.close(end)
    script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    environment = {**os.environ, "COLUMNS": str(columns), "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-c", script, *gdpipe_command(*args)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.splitlines()


def test_show_fits_the_terminal(output: Path) -> None:
    run = os.path.relpath(output, Path.cwd())
    lines = [line for line in in_a_terminal(60, "show", run) if not line.endswith("/good")]
    assert max(map(len, lines)) <= 60
    assert any(line.startswith("not shown   vif") for line in lines)
    assert any(line.startswith("intercept") for line in lines)


# help


def examples(text: str) -> list[list[str]]:
    lines = [line.partition("  #")[0].strip() for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("gdpipe ")]


def test_every_example_of_the_help_works_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = examples(gdpipe_cli("--help").out)
    assert {"simulate", "plan", "train", "show", "runs", "verify", "predict"} == {example[0] for example in shown}
    for example in [*shown, *examples(gdpipe_cli("train", "--help").out)]:
        done = gdpipe_cli(*example)
        assert done.code == 0, (example, done.err)


@pytest.mark.parametrize(
    ("typed", "meant"), [(["trian", "data"], "'train'"), (["train", "data", "--taget", "y"], "'--target'")]
)
def test_a_misspelt_name_is_answered_with_the_near_one(typed: list[str], meant: str) -> None:
    done = gdpipe_cli(*typed)
    assert done.code == 2
    assert f"Did you mean {meant}" in done.err


def test_a_misspelt_path_is_answered_with_the_near_one(data: Path) -> None:
    done = gdpipe_cli("train", data.with_name("dtaa"), "--target", "y")
    assert done.code == 3
    assert done.err.endswith("no such file or folder; did you mean 'data'?\n")


# completion


def asked_by_bash(words: str) -> dict[str, str]:
    """The variables by which bash asks for the last of these words."""
    return {"_GDPIPE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}


def completed(words: str) -> list[str]:
    """The completions that bash gets for the last of these words, with the type of each."""
    done = CliRunner().invoke(main, [], prog_name="gdpipe", env=asked_by_bash(words), catch_exceptions=False)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def test_the_shell_completes_by_the_name_that_is_installed(tmp_path: Path) -> None:
    script = tmp_path / "gdpipe"
    script.write_text("from gdpipe.cli import main\nmain()\n")
    environment = {**os.environ, "PYTHONPATH": str(REPO), **asked_by_bash("gdpipe si")}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("plain,simulate\n", "")


def test_the_shell_completes_options_and_values() -> None:
    assert completed("gdpipe train data --max-i") == ["plain,--max-iterations"]
    assert completed("gdpipe train data --method a") == ["plain,auto", "plain,accelerated"]


# the bar on a real terminal: the command line as a process of its own, its output a pseudo-terminal

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def three_files(tmp_path: Path) -> Path:
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


def test_rows_speed_and_time_left_are_drawn_and_taken_back(three_files: Path, tmp_path: Path) -> None:
    code, out, drawn = on_terminal("train", three_files, "--target", "y", "--output", tmp_path / "runs")
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


def test_a_slow_descent_shows_its_step_against_the_forecast(three_files: Path, tmp_path: Path) -> None:
    settings = ("--method", "gd", "--learning-rate", "1e-4", "--max-iterations", "1000000")
    code, out, drawn = on_terminal("train", three_files, "--target", "y", "--output", tmp_path / "runs", *settings)
    forecast = gdpipe.open_run(tmp_path / "runs").convergence["forecast_iterations"][0]
    assert code == 0, out
    assert forecast > 100_000
    assert f" of forecast {forecast:,} steps, " in drawn
    assert " steps/s, 0:00:0" in drawn
    assert "left, gradient norm " in drawn


@pytest.mark.parametrize(("options", "term"), [(["--quiet"], "xterm"), ([], "dumb")])
def test_nothing_is_drawn(options: list[str], term: str, three_files: Path, tmp_path: Path) -> None:
    arguments = (*options, "train", three_files, "--target", "y", "--output", tmp_path / "runs")
    assert on_terminal(*arguments, term=term)[::2] == (0, "")


def test_a_plan_in_json_stays_json(three_files: Path) -> None:
    code, out, drawn = on_terminal("plan", three_files, "--target", "y", "--json")
    assert (code, drawn) == (0, "")
    assert json.loads(out)["rows"] == 600


def test_an_error_stands_on_a_line_of_its_own(three_files: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(three_files / "0.parquet"), three_files / "3.parquet", write_page_checksum=True)
    damaged = bytearray((three_files / "3.parquet").read_bytes())
    damaged[200] ^= 0xFF
    (three_files / "3.parquet").write_bytes(damaged)
    code, _, drawn = on_terminal("train", three_files, "--target", "y", "--output", tmp_path / "runs")
    assert code == 3
    shown, _, error = drawn.rpartition("\x1b[2K")
    assert error.startswith("gdpipe: ")
    assert error.count("\n") == 1
    assert shown.rfind(SHOW_CURSOR) > shown.rfind(HIDE_CURSOR) >= 0


def test_words_are_cut_where_the_terminal_is_narrow(three_files: Path, tmp_path: Path) -> None:
    _, _, drawn = on_terminal("train", three_files, "--target", "y", "--output", tmp_path / "runs", columns=30)
    assert "━ read 600 of 600 rows" in drawn
    assert "…" in drawn


def test_lines_in_the_log_where_there_is_no_terminal(
    three_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    arguments = ("train", three_files, "--target", "y", "--output")
    done = gdpipe_cli(*arguments, tmp_path / "runs")
    assert done.err == ""
    assert "read 200 of 600 rows, " in done.out
    assert "predicted 400 of 600 rows, " in done.out
    assert gdpipe_cli("--quiet", *arguments, tmp_path / "quiet").out == ""


def test_work_in_processes_is_seen_while_it_goes_on(three_files: Path, tmp_path: Path) -> None:
    """Rows of unfinished shards are counted where they are read, and sent through a pipe."""
    arguments = ("train", three_files, "--target", "y", "--output", tmp_path / "runs", "--workers", "2")
    code, _, drawn = on_terminal(*arguments)
    assert code == 0
    for doing in ("read", "predicted"):
        assert f"{doing} 600 of 600 rows, " in drawn


def test_simulate_shows_how_far_it_is(tmp_path: Path) -> None:
    code, out, drawn = on_terminal("simulate", tmp_path / "demo", "--rows", "2001", "--files", "3")
    assert code == 0
    assert "written 2,001 of 2,001 rows, " in drawn
    assert out.startswith("2,001 rows in 3 files in ")


@pytest.mark.parametrize(("rows", "said"), [("1", "1 row in 1 file in "), ("2", "2 rows in 1 file in ")])
def test_counts_agree(rows: str, said: str, tmp_path: Path) -> None:
    done = gdpipe_cli("simulate", tmp_path / "demo", "--rows", rows, "--files", "1")
    assert done.out.startswith(said)


# completion of files and columns


@pytest.fixture
def partitioned(tmp_path: Path) -> Path:
    columns = {**line_columns(), "a b": line_columns()["y"], "$(x)": line_columns()["y"]}
    return write_parquet(tmp_path / "parts" / "month=1" / "a.parquet", columns).parents[1]


@pytest.mark.parametrize(
    "words", ["train ", "show ", "runs ", "verify ", "sql ", "predict ", "predict x --run ", "plan da"]
)
def test_the_shell_completes_paths_itself(words: str) -> None:
    assert completed(f"gdpipe {words}") == [f"file,{words.rsplit(' ', maxsplit=1)[-1]}"]


def test_the_shell_completes_columns_of_the_source(partitioned: Path) -> None:
    for command, found in {
        f"train {partitioned} --target ": ["x1", "x2", "y", "month"],
        f"train {partitioned} --target y --features x": ["x1", "x2"],
        f"train {partitioned} --target y --features x1,": ["x1,x2", "x1,month"],
        f"plan {partitioned} --weight m": ["month"],
        f"predict {partitioned} --key x1,m": ["x1,month"],
    }.items():
        assert completed(f"gdpipe {command}") == [f"plain,{name}" for name in found], command


@pytest.mark.parametrize("source", ["nowhere", "broken.parquet", "s3://bucket/x", ""])
def test_completion_is_silent_about_what_cannot_be_read(source: str, tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    path = tmp_path / source if source and "://" not in source else source
    assert completed(f"gdpipe train {path} --target y".replace("  ", " ")) == []


def test_a_name_with_blanks_around_it_is_hinted_at_as_it_is_typed(tmp_path: Path) -> None:
    columns = line_columns()
    source = write_parquet(tmp_path / "a.parquet", {" x": columns["x1"], "a,b": columns["x2"], "y": columns["y"]})
    arguments = ("train", source, "--target", "y", "--output", tmp_path / "runs", "--no-report", "--features")
    for typed, hinted in ((" x", "` x`"), ("`a,c`", "`a,b`")):
        done = gdpipe_cli(*arguments, typed)
        assert done.code in {2, 3}
        hint = done.err.rpartition("did you mean ")[2].rstrip("?\n").strip("'")
        assert hint == hinted
        assert gdpipe_cli(*arguments, hint).code == 0
