"""Credentials come from a block, reach the storage, and are found nowhere else."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from pydantic import SecretStr

import gdpipe
from flows.credentials import credentials_of
from flows.outcome import settled
from flows.score import score
from flows.train import train
from gdpipe.errors import ConfigError, ConvergenceError
from gdpipe.run import Run
from tests.conftest import line_columns, write_parquet
from tests.flows.machine import until
from tests.flows.states import run_flow
from tests.s3 import ENVIRONMENT, Server

pytestmark = pytest.mark.usefixtures("server")

PLANTED = "pLaNtEdSeCrEt0123456789abcdefghijklmnop"
VARIABLES = {"AWS_ACCESS_KEY_ID": "AKIAPLANTEDKEY000001", "AWS_SECRET_ACCESS_KEY": PLANTED}


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The S3 server of other tests has put its own there."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def block(server: None) -> str:
    Secret(value=SecretStr(json.dumps(VARIABLES))).save("storage", overwrite=True, _sync=True)  # type: ignore[call-arg]  # _sync
    return "storage"


@pytest.fixture
def storage() -> Iterator[tuple[str, list[str]]]:
    """An object store that lets nobody in, and who asked."""
    asked: list[str] = []

    class Closed(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization", "nobody"))
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815  # the library asks for that name

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Closed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()


def everything_known() -> str:
    """All that the server would show to anybody: runs, parameters, states, logs, artifacts, events."""
    with get_client(sync_client=True) as client:
        tables = ("flow_runs", "task_runs", "logs", "artifacts", "events")
        return "".join(
            httpx.post(f"{str(client.api_url).rstrip('/')}/{table}/filter", json={}).text for table in tables
        )


def test_a_published_run_names_the_block_and_never_the_secret(
    tmp_path: Path, block: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_parquet(tmp_path / "data" / "line.parquet", line_columns())
    output, scores = tmp_path / "runs", tmp_path / "scores"
    state = run_flow(train, source=str(tmp_path / "data"), target="y", output=str(output), credentials=block)
    assert state.is_completed()
    assert run_flow(
        score, source=str(tmp_path / "data"), run=str(output), output=str(scores), credentials=block
    ).is_completed()
    assert not set(VARIABLES) & set(os.environ)
    known = until(lambda: (text := everything_known()) and "published" in text and text)
    assert block in known
    files = b"".join(p.read_bytes() for folder in (output, scores) for p in folder.rglob("*") if p.is_file())
    printed = "".join(capfd.readouterr())
    for variable in VARIABLES.values():
        assert variable not in known
        assert variable.encode() not in files
        assert variable not in printed


def test_a_flow_from_bucket_to_bucket_leaves_no_secret(
    s3: Server, bucket: str, block: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as allowed:
        for name, value in ENVIRONMENT.items():
            allowed.setenv(name, value)
        with s3.filesystem.open_output_stream(f"{bucket}/data/line.parquet") as stream:
            pq.write_table(pa.table(line_columns()), stream)
    settings = {"target": "y", "output": s3.uri(f"{bucket}/runs"), "credentials": block}
    state = run_flow(train, source=s3.uri(f"{bucket}/data"), **settings)
    assert state.is_completed()
    for name, value in ENVIRONMENT.items():  # to look at it
        monkeypatch.setenv(name, value)
    assert gdpipe.open_run(s3.uri(f"{bucket}/runs")).convergence["passed"][0]
    seen = everything_known() + "".join(capfd.readouterr())
    kept = b"".join(s3.snapshot(bucket).values())
    for variable in VARIABLES.values():
        assert variable not in seen
        assert variable.encode() not in kept


def test_the_storage_is_asked_with_the_credentials_of_the_block(
    tmp_path: Path, block: str, storage: tuple[str, list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    endpoint, asked = storage
    source = f"s3://bucket/data?region=us-east-1&scheme=http&endpoint_override={endpoint}"
    state = run_flow(train, source=source, target="y", output=str(tmp_path / "runs"), credentials=block)
    assert state.is_failed()
    assert asked
    assert all(VARIABLES["AWS_ACCESS_KEY_ID"] in one for one in asked)
    shown = str(state.message) + everything_known() + "".join(capfd.readouterr())
    assert PLANTED not in shown


def test_what_a_run_left_is_looked_at_with_the_same_credentials(block: str, storage: tuple[str, list[str]]) -> None:
    endpoint, asked = storage
    evidence = f"s3://bucket/runs/rejected/a?region=us-east-1&scheme=http&endpoint_override={endpoint}"

    def work() -> Run:
        raise ConvergenceError("not there yet", evidence=evidence)

    state = settled(work, block)
    # though it cannot be read
    assert state.message == f"ConvergenceError: not there yet (evidence: {evidence})"
    assert asked
    assert all(VARIABLES["AWS_ACCESS_KEY_ID"] in one for one in asked)
    assert not set(VARIABLES) & set(os.environ)


@pytest.mark.parametrize("held", ["no json", '{"PATH": "x"}', '{"AWS_REGION": 3}', "[1]"])
def test_a_block_of_something_else_is_refused_without_a_word_of_it(server: None, held: str) -> None:
    Secret(value=SecretStr(held)).save("odd", overwrite=True, _sync=True)  # type: ignore[call-arg]  # _sync
    with (
        pytest.raises(ConfigError, match=r"^credentials 'odd': the block must hold a JSON object") as caught,
        credentials_of("odd"),
    ):
        pass
    assert held not in str(caught.value)


def test_a_block_that_is_not_there_is_named(server: None) -> None:
    with pytest.raises(ConfigError, match=r"^credentials 'gone': there is no Secret block"), credentials_of("gone"):
        pass
