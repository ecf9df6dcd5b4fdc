"""How a process ends that no error of ours describes: faults that nobody foresaw, Ctrl-C, readers that are gone."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gdpipe.exits import unforeseen
from tests.conftest import REPO, gdpipe_cli, gdpipe_command, line_columns, staged, write_parquet

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # tests that a shell runs in the background ignore Ctrl-C, and so would all that they start
    signal.signal(signal.SIGINT, signal.default_int_handler)

# the command line, with a fault in it where the run is read; FAULT is the exception's source
FAULTY = """
import sys
import gdpipe.cli.commands

def at(path):
    raise FAULT

gdpipe.cli.commands.Run.at = at
gdpipe.cli.main(sys.argv[1:])
"""


def faulty(fault: str, *args: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A command whose run cannot be read for a reason that nobody foresaw."""
    command = [sys.executable, "-c", FAULTY.replace("FAULT", fault), *map(str, args)]
    return subprocess.run(
        command, cwd=REPO, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            "ZeroDivisionError('by zero,\\nas it happens')",
            "ZeroDivisionError: by zero, as it happens (<string>, line 6)",
        ),
        ("MemoryError()", "MemoryError (<string>, line 6)"),
        ("RecursionError('too deep')", "RecursionError: too deep"),
        ("RuntimeError('s3://key:secret@bucket/a is odd')", "RuntimeError: s3://bucket/a is odd"),
        ("BrokenPipeError(32, 'of a socket')", "BrokenPipeError: [Errno 32] of a socket"),
    ],
)
def test_what_nobody_foresaw_is_70_and_one_line_that_names_the_traceback(fault: str, said: str, tmp_path: Path) -> None:
    done = faulty(fault, "show", "runs", TMPDIR=str(tmp_path))
    assert done.returncode == 70
    assert re.fullmatch(r"gdpipe: unforeseen error [^\n]+\n", done.stderr)
    assert said in done.stderr
    (file,) = tmp_path.glob("gdpipe-traceback-*.txt")
    assert str(file) in done.stderr
    text = file.read_text()
    assert text.startswith("Traceback (most recent call last):")
    assert "in show_command" in text
    assert "secret" not in text + done.stderr


def test_debug_prints_the_traceback_and_keeps_the_code(tmp_path: Path) -> None:
    done = faulty("ZeroDivisionError('x')", "show", "runs", "--debug", TMPDIR=str(tmp_path))
    assert done.returncode == 70
    assert "in show_command" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("gdpipe: unforeseen error ZeroDivisionError: x")
    assert list(tmp_path.iterdir()) == []


def test_a_traceback_that_cannot_be_written_is_had_by_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    line = unforeseen(ValueError("x"), otherwise="--debug prints it")
    assert line == "unforeseen error ValueError: x; --debug prints it"


def test_ctrl_c_is_130_and_clears_staging(tmp_path: Path) -> None:
    for part in range(200):
        write_parquet(tmp_path / "data" / f"{part}.parquet", line_columns(20, seed=part))
    output = tmp_path / "runs"
    command = gdpipe_command("train", tmp_path / "data", "--target", "y", "--output", output, "--no-report")
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not list(output.glob("moments/*")) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert (process.returncode, said) == (130, "gdpipe: interrupted\n")
    assert staged(output) == []
    assert not (output / "latest.json").exists()


@pytest.mark.parametrize("fault", ["KeyboardInterrupt()", "__import__('click').Abort()"])
def test_an_abort_is_130_wherever_it_comes_from(fault: str) -> None:
    done = faulty(fault, "show", "runs")
    assert (done.returncode, done.stderr) == (130, "gdpipe: interrupted\n")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("show", "OUTPUT"), 0),
        (("show", "OUTPUT", "--json"), 0),
        (("train", "DATA", "--target", "y", "--output", "OUTPUT", "--run-id", "unread"), 0),
        (("train", "--help"), 0),
        (("--help",), 0),
        (("--version",), 0),
        (("show", "nowhere"), 4),
        ((), 2),
    ],
)
def test_a_reader_that_is_gone_costs_no_traceback_and_no_run(
    command: tuple[str, ...], code: int, data: Path, output: Path
) -> None:
    arguments = [{"OUTPUT": output, "DATA": data}.get(arg, arg) for arg in command]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            gdpipe_command(*arguments), cwd=REPO, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.stderr or "train" in command:  # to stderr, too: `2>&1 | true`
            both = subprocess.run(gdpipe_command(*arguments), cwd=REPO, stdout=writing, stderr=writing, check=False)
            assert both.returncode == code
    finally:
        os.close(writing)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == (0 if code == 0 else 1) or not command
    if "unread" in command:
        assert gdpipe_cli("verify", output / "runs" / "unread").code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_full_disk_behind_stdout_is_4(output: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            gdpipe_command("show", output), cwd=REPO, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, "No space left on device" in done.stderr) == (4, True)
    assert len(done.stderr.splitlines()) == 1
