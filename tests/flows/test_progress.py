"""Progress artifacts: updated as a run goes on, and no burden where the server does not answer."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prefect.artifacts import update_progress_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

import gdpipe
from flows import page, progress
from flows.train import train
from tests.flows.states import PROGRESS, STAGES, artifacts, assert_tasks, run_flow
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
def source(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    pq.write_table(pa.table({"x": x, "y": 2 * x + rng.normal(size=300)}), tmp_path / "line.parquet")
    return str(tmp_path / "line.parquet")


class Gate:
    """Passes every connection on to the server, but answers no request about artifacts."""

    def __init__(self, server: str) -> None:
        host, _, port = server.removeprefix("http://").removesuffix("/api").partition(":")
        self._server = (host, int(port))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/api"
        self.unanswered = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self._server)
            threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, asked: bool) -> None:
        with source, contextlib.suppress(OSError):  # the other end is gone
            while data := source.recv(65_536):
                if asked and b" /api/artifacts/" in data.partition(b"\r\n")[0]:
                    self.unanswered += 1
                else:
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no new connection; Prefect still sends events over those that there are, until the server ends them."""
        self._socket.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    opened = Gate(PREFECT_API_URL.value())
    yield opened
    opened.close()


def test_a_server_that_does_not_answer_holds_nothing_up(
    source: str, tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "SHOW_SECONDS", 0.5)
    # a request would be given up after a minute, and then tried again
    with temporary_settings({PREFECT_API_URL: gate.url}):
        state = run_flow(train, source=source, target="y", output=str(tmp_path / "runs"))
        waiting = [t for t in threading.enumerate() if t.name.startswith(progress.THREAD)]
    assert state.is_completed()
    assert gdpipe.open_run(tmp_path / "runs").convergence["passed"][0]
    until(lambda: gate.unanswered > len(PROGRESS))  # and what is shown at the end
    assert len(waiting) == len(PROGRESS)
    assert all(thread.daemon for thread in waiting)
    assert_tasks(state, dict.fromkeys(STAGES, "Completed"))
    assert artifacts(state) == {}


def test_an_artifact_is_updated_while_a_descent_goes_on(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", 0.05)
    settings: dict[str, Any] = {"method": "gd", "learning_rate": 1e-4, "max_iterations": 10**6}
    seen: list[float] = []

    def update(artifact: Any, percent: float, text: str) -> Any:
        answer = update_progress_artifact(artifact, percent, text)
        with get_client(sync_client=True) as client:
            assert isinstance(client, SyncPrefectClient)
            [stored] = [a for a in client.read_artifacts() if a.id == artifact]
        assert str(stored.description) == text
        seen.append(float(str(stored.data)))
        return answer

    monkeypatch.setattr(progress, "update_progress_artifact", update)
    state = run_flow(train, source=source, target="y", output=str(tmp_path / "runs"), **settings)
    assert state.is_completed()
    descended = artifacts(state)["gdpipe-descended"]
    assert descended.data == 100
    assert any(0 < percent < 100 for percent in seen)
