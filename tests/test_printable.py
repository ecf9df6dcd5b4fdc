"""Names that hold line breaks, terminal commands and changes of direction: shown escaped, wherever people read them."""

import contextlib
import io
import json
import logging
import os
import re
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gdpipe
from gdpipe.errors import ConvergenceError, GdpipeError
from gdpipe.exits import tell
from gdpipe.printable import abridged, logger_named, printable
from tests.conftest import REPO, gdpipe_cli, gdpipe_command, line_columns, open_terminal, received_from, write_parquet

# a forged line, a terminal's title, a colour, C1's own escape, right to left, a line of Unicode, a blank of its own
FORGED = "x\nverdict     PASSED: forged"
HOSTILE = (FORGED, "\x1b]0;owned\x07", "\x1b[31mred\x9b1m", "right\u202eleft\u2066", "a\u2028b\r\x7f\u061c")


def columns() -> dict[str, Any]:
    """A line on hostile features, one of which depends on another, with a null in one."""
    rng = np.random.default_rng(0)
    x = dict(zip(HOSTILE, rng.normal(size=(len(HOSTILE), 60)), strict=True))
    target = sum(x.values()) + rng.normal(size=60)
    return {**x, "twice\n": 2 * x[FORGED], "gaps\x1b[1m": [None, *target[1:] ** 2], "y\x1b[2J\n": target}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run on them, in a folder that is as hostile, and its source beside it."""
    folder = tmp_path_factory.mktemp("names") / "fol\nder\x1b[5m"
    write_parquet(folder / "data" / "a.parquet", columns())
    settings: dict[str, Any] = {"source": str(folder / "data"), "target": "y\x1b[2J\n", "output": str(folder / "runs")}
    gdpipe.train(**settings, run_id="first")
    gdpipe.pipeline.score_source(settings["source"], run=settings["output"], output=str(folder / "scores"))
    return folder


def assert_harmless(text: str) -> None:
    wrong = [c for c in text if c != "\n" and not c.isprintable() and unicodedata.category(c) != "Zs"]
    assert wrong == [], text
    assert "\nverdict     PASSED: forged" not in text


def commands(folder: Path) -> list[list[str]]:
    data, output = str(folder / "data"), str(folder / "runs")
    train = ["train", data, "--target", "y\x1b[2J\n", "--output", output, "--max-iterations", "2", "--no-report"]
    return [
        ["show", output],
        ["show", str(folder / "scores")],
        ["verify", output],
        ["plan", data, "--target", "y\x1b[2J\n"],
        [*train, "--weight", FORGED],
        [*train, "--method", "gd", "--run-id", "slow"],
        ["--debug", *train, "--exclude", "a\x1b]0;b\n", "--features", "z\n"],
        ["predict", data, "--run", str(folder / "no\x1bwhere")],
        ["show", "a", "b\x1b[1m\nc"],
        ["show", "--o\x1b[1m\nc"],
        ["tr\x1b[1m\nain"],
    ]


def test_no_name_is_more_than_a_name(trained: Path) -> None:
    before = len(list((trained / "runs" / "rejected").glob("*")))
    for command in commands(trained):
        done = gdpipe_cli(*command)
        assert_harmless(done.out)
        assert_harmless(done.err)
        assert done.out or done.err
        assert done.err.count("\n") <= 1 or "--debug" in command, done.err
    assert len(list((trained / "runs" / "rejected").glob("*"))) == before + 1


def test_no_name_is_more_than_a_name_in_a_pipe(trained: Path) -> None:
    command = [
        "train",
        trained / "data",
        "--target",
        "y\x1b[2J\n",
        "--output",
        trained / "runs",
        "--force",
        "--no-latest",
    ]
    done = subprocess.run(gdpipe_command(*command), cwd=REPO, capture_output=True, check=True)
    assert_harmless(done.stdout.decode())
    assert rb"\x1b]0;owned\x07" in done.stdout
    assert done.stderr == b""


def test_no_name_is_more_than_a_name_on_a_terminal(trained: Path) -> None:
    for command in (commands(trained)[i] for i in (0, 5)):
        ours, theirs = open_terminal()
        env = {**os.environ, "TERM": "dumb", "PYTHONPATH": str(REPO)}
        with subprocess.Popen(gdpipe_command(*command), cwd=REPO, env=env, stdout=theirs, stderr=theirs):
            os.close(theirs)
            received = received_from(ours)
        assert_harmless(received.decode().replace("\r\n", "\n"))
        assert r"\x1b]0;owned\x07" in received.decode() or command[0] != "show"


def test_a_summary_has_each_name_in_its_line(trained: Path) -> None:
    lines = gdpipe_cli("show", trained / "runs").out.splitlines()
    assert [line.split()[0] for line in lines].count("verdict") == 1
    assert any(line.startswith(r"x\nverdict     PASSED: forged ") for line in lines)
    assert any(line.startswith(r"dependent   x\nverdict") or r"twice\n" in line for line in lines)
    assert lines[-1] == "files       " + printable(str(trained / "runs" / "runs" / "first"))
    assert r"\nder\x1b[5m" in lines[-1]


def test_json_has_the_names_as_they_are_in_ascii(trained: Path) -> None:
    out = gdpipe_cli("show", trained / "runs", "--json").out
    assert out.isascii()
    assert "\x7f" not in out
    assert {row["term"] for row in json.loads(out)["parameters"]} >= set(HOSTILE)
    manifest = (trained / "runs" / "runs" / "first" / "manifest.json").read_text()
    assert manifest.isascii()
    assert set(json.loads(manifest)["features"]) >= set(HOSTILE)
    assert set(gdpipe.open_run(trained / "runs").parameters["term"]) >= set(HOSTILE)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_sql_keeps_the_bytes_of_a_name_in_a_pipe(trained: Path, encoding: str) -> None:
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    source = str(trained / "data" / "a.parquet").replace("'", "''")
    command = gdpipe_command("sql", trained / "runs", "--table", f"read_parquet('{source}')")
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, check=True)
    table: Any = duckdb.query(done.stdout.decode())
    expected = gdpipe.open_run(trained / "runs").predictions["prediction"]
    np.testing.assert_array_equal(table.to_arrow_table()["prediction"].to_numpy(), expected)


def test_sql_keeps_the_bytes_of_a_name_on_a_terminal(trained: Path) -> None:
    ours, theirs = open_terminal()
    with subprocess.Popen(gdpipe_command("sql", trained / "runs"), cwd=REPO, stdout=theirs) as process:
        os.close(theirs)
        received = received_from(ours)
    assert process.returncode == 0
    assert b'"\x1b]0;owned\x07"' in received


@pytest.mark.parametrize(
    ("dialect", "name", "refused"),
    [
        ("duckdb", "prediction", True),
        ("duckdb", "Prediction", True),
        ("spark", "PREDICTION", True),
        ("postgres", "prediction", True),
        ("postgres", "Prediction", False),
        ("duckdb", "predictions", False),
    ],
)
def test_a_table_with_a_prediction_of_its_own_is_refused(
    dialect: str, name: str, refused: bool, output: Path, tmp_path: Path
) -> None:
    table = write_parquet(tmp_path / "t.parquet", {**line_columns(), name: np.zeros(200)})
    named = f'"{table}"' if dialect != "spark" else f"`{table}`"
    done = gdpipe_cli("sql", output, "--dialect", dialect, "--table", named)
    assert done.code == (2 if refused else 0), done.err
    assert (f"has a column {name!r} itself" in done.err) is refused
    assert gdpipe_cli("sql", output, "--dialect", dialect).code == 0


def test_errors_are_one_printable_line_in_python_too() -> None:
    for kind in (gdpipe.DataError, gdpipe.ConfigError, GdpipeError):
        assert str(kind("a\x1b[1m\nb")) == r"a\x1b[1m\nb"
    error = ConvergenceError("a\nb", evidence="c\nd")
    assert (str(error), error.evidence) == (r"a\nb", "c\nd")


def test_a_log_line_is_printable_whoever_handles_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logger_named("gdpipe.test").info("%s of %d", "a\nb\u202e", 3)
    assert caplog.messages == [r"a\nb\u202e of 3"]
    loggers = [name for name in logging.root.manager.loggerDict if re.match(r"(gdpipe|flows)\.", name)]
    speaking = [name for name in loggers if isinstance(logging.root.manager.loggerDict[name], logging.Logger)]
    assert len(speaking) > 5
    assert [name for name in speaking if not logging.getLogger(name).filters] == []


def test_a_stdout_that_is_closed_or_no_file_is_printed_to(output: Path) -> None:
    command = " ".join([*gdpipe_command("verify", output), ">&-"])
    assert subprocess.run(["/bin/sh", "-c", command], cwd=REPO, check=False).returncode == 0
    with contextlib.redirect_stdout(io.StringIO()) as text:
        tell("a\nb")
    assert text.getvalue() == "a\nb\n"


@given(st.text(st.characters() | st.sampled_from("\n\r\t\x1b\x9b\u202e\u2028\ud800\ufffe\\`"), max_size=12))
def test_any_text_is_one_line_and_its_own_answer(text: str) -> None:
    said = printable(text)
    assert_harmless(said)
    assert len(said.splitlines()) <= 1
    assert printable(said) == said
    said.encode()
    kept = "".join(c for c in text if c.isprintable())
    assert all(c in said for c in kept)
    if text.isprintable():
        assert said == text


def test_of_many_names_the_first_are_shown_and_the_others_counted() -> None:
    assert abridged(["a", "b", "c"], 3) == "a, b, c"
    assert abridged(["a", "b", "c"], 2, "; ") == "a; b and 1 more"
    assert abridged([str(i) for i in range(1200)]) == "0, 1, 2, 3, 4 and 1,195 more"
