"""A flow as a script: how it ends; real signals are in test_deaths.py."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows import backfill
from flows import train as train_module
from flows.script import exit_codes, parameters_of, run_as_script
from flows.train import train
from gdpipe import pipeline
from tests.conftest import REPO, line_columns, write_parquet
from tests.flows.machine import free_port


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the training script with these parameters; its exit code."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*parameters: str) -> object:
        monkeypatch.setattr(sys, "argv", ["train", *parameters])
        try:
            run_as_script(train)
        except SystemExit as end:
            return end.code
        finally:
            signal.signal(signal.SIGTERM, before)
        return 0

    return run


def test_features_are_split_at_commas_outside_of_them() -> None:
    given = parameters_of(['features=x,C(carrier, ref="UA"),`a,b`:x', "key=a,b", 'exclude=["c,d"]'])
    assert given == {"features": ["x", 'C(carrier, ref="UA")', "`a,b`:x"], "key": ["a", "b"], "exclude": ["c,d"]}


@pytest.mark.usefixtures("server")
def test_a_failure_is_1_and_what_nobody_foresaw_is_70(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = ("target=y", f"output={tmp_path / 'runs'}", "report=false")
    file = write_parquet(tmp_path / "d.parquet", line_columns())
    assert script(f"source={file}", *settings) == 0
    assert script("source=/nowhere", *settings) == 1
    assert "DataError: /nowhere" in capfd.readouterr().err

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(train_module, "STEPS", pipeline.Steps(ingest=broken))
    assert script(f"source={file}", *settings, "force=true") == 70
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("unforeseen error ZeroDivisionError: by zero (test_script.py, line ")
    assert last.endswith("the log above")


def test_a_wrong_parameter_is_2(script: Any) -> None:
    assert script("sauce=data") == 2


@pytest.mark.parametrize(
    "command", [("flows.train", "source=a", "target=y"), ("flows.backfill", "month", "1..2")], ids=["train", "backfill"]
)
def test_an_api_that_does_not_answer_is_1_and_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "PREFECT_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("Prefect's API does not answer (")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (RecursionError(), 70), (SystemExit(3), 3)])
def test_the_codes_of_what_no_parameter_explains(
    error: BaseException, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as end, exit_codes():
        raise error
    assert end.value.code == code
    said = capfd.readouterr().err
    assert len(said.splitlines()) == (0 if code == 3 else 1)
    assert [str(file) in said for file in tmp_path.iterdir()] == [True] * (code == 70)


# a server that does not answer would make it exit code 1: with 2, nobody was asked
@pytest.mark.parametrize(
    "command",
    [
        ("flows.train", "source=s3://KEY:SECRET@bucket/data", "target=y"),
        ("flows.score", "source=data", 'run="s3://KEY:SEC/SECRET@bucket/runs"'),
        ("flows.backfill", "month", "1..2", "output=s3://bucket/runs?session_token=SECRET"),
    ],
)
def test_credentials_on_the_command_line_are_refused_in_one_line_before_prefect_knows(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    environment = {**os.environ, "PREFECT_API_URL": url, "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "SECRET" not in done.stdout + done.stderr
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"SECRET" in file.read_bytes()]


@pytest.mark.parametrize(
    "parameters",
    [
        ("source=data", "target=y", "output=s3:/KEY:SECRET@bucket/runs"),
        ("source=data", "target=y", "engine=tcp://key:SECRET@host:8786"),
        ("s3://KEY:SECRET@bucket/data", "target=y"),
        ("s3://KEY:SECRET@bucket/data?region=eu", "target=y"),
        ('source=["s3://KEY:SECRET@bucket/data"]', "target=y"),
        ("sauce=s3://KEY:SECRET@bucket/data", "target=y"),
        ("source=data", "target=y", "credentials=SECRET"),
    ],
)
def test_no_credentials_are_repeated_wherever_they_stand(
    parameters: tuple[str, ...], script: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert script(*parameters) == 2
    printed = "".join(capfd.readouterr())
    assert printed.count("\n") == 1, printed
    assert "SECRET" not in printed


@pytest.mark.parametrize(
    "arguments",
    [
        ("month", "1..2", "source=s3:/KEY:SECRET@bucket/data"),
        ("month", "1..2", "--source=s3://KEY:SECRET@bucket"),
        ("source=s3://KEY:SECRET@bucket", "1..2"),
        ("month", "s3://KEY:SECRET@bucket"),
    ],
)
def test_nor_by_a_backfill(arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = backfill.main(arguments)
    except SystemExit as end:
        code = end.code
    printed = "".join(capfd.readouterr())
    assert (code, printed.count("\n")) == (2, 1), printed
    assert "SECRET" not in printed
