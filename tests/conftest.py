"""What the tests share: small data, the command line in this process, and a look at an output folder."""

import logging
import os
import pty
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, settings

from gdpipe.cli import main
from tests.databases import Postgres, postgres_server
from tests.s3 import ENVIRONMENT, Server, s3_server

# the machine may be busy
settings.register_profile("gdpipe", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gdpipe")


def pytest_configure() -> None:
    """A session that a test ends at once must not look as if it had passed.

    A flow does so where Prefect's server does not answer, with the exit code of its run, which may be 0.
    """
    session, leave = os.getpid(), os._exit

    def leave_as_failed(status: int) -> NoReturn:
        leave(status or 70 if os.getpid() == session else status)

    os._exit = leave_as_failed


REPO = Path(__file__).parents[1]
FLIGHTS = REPO / "data" / "flights"
FEATURES = ("dep_delay", "distance", "air_time", "hour", "month", "day")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


def gdpipe_cli(*args: object) -> Outcome:
    """Run a gdpipe command in this process; an exception that the command line lets through is raised here."""
    root, ours = logging.getLogger(), logging.getLogger("gdpipe")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    try:
        result = CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)
    finally:
        root.handlers[:] = handlers
        for logger, level in zip((root, ours), levels, strict=True):
            logger.setLevel(level)
    return Outcome(result.exit_code, result.stdout, result.stderr)


def gdpipe_command(*args: object, options: tuple[str, ...] = ()) -> list[str]:
    """The same command for a process of its own."""
    return [sys.executable, *options, "-m", "gdpipe.cli", *map(str, args)]


def open_terminal() -> tuple[int, int]:
    """A pseudo-terminal's two ends; skips the test on a machine that has none, such as a container without /dev/pts."""
    try:
        return pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal can be opened here ({error})")


def received_from(terminal: int) -> bytes:
    """All that a pseudo-terminal receives until its other end is closed; closes it."""
    received = b""
    try:
        while chunk := os.read(terminal, 65_536):
            received += chunk
    except OSError:  # so a terminal ends on Linux
        pass
    os.close(terminal)
    return received


def write_parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    """Write columns as one Parquet file; options go to Arrow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def line_columns(n: int = 200, seed: int = 0) -> dict[str, Any]:
    """A line with noise: y = 1 + 2·x1 - 3·x2 + noise."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(size=n), rng.normal(5.0, 2.0, size=n)
    return {"x1": x1, "x2": x2, "y": 1 + 2 * x1 - 3 * x2 + 0.1 * rng.normal(size=n)}


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, byte for byte."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def published(output: Path) -> dict[str, bytes]:
    """The same of an output folder, without the sums that a run keeps as it goes."""
    return {name: content for name, content in snapshot(output).items() if not name.startswith("moments/")}


def staged(output: Path) -> list[str]:
    """What lies in an output's staging folder."""
    return sorted(p.name for p in (output / ".staging").glob("*"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with one good file."""
    write_parquet(tmp_path / "data" / "line.parquet", line_columns())
    return tmp_path / "data"


@pytest.fixture
def output(tmp_path: Path, data: Path) -> Path:
    """An output folder with one published run, `good`."""
    folder = tmp_path / "runs"
    done = gdpipe_cli("train", data, "--target", "y", "--output", folder, "--run-id", "good", "--no-report")
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An S3 server of our own, with credentials for it in the environment."""
    with pytest.MonkeyPatch.context() as patched, s3_server(tmp_path_factory.mktemp("s3")) as server:
        for name, value in ENVIRONMENT.items():
            patched.setenv(name, value)
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of our own."""
    yield from postgres_server()


@pytest.fixture
def bucket(s3: Server) -> str:
    """A new bucket's name."""
    name = f"bucket-{uuid.uuid4().hex}"
    s3.filesystem.create_dir(name)
    return name
