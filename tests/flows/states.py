"""Flow runs, and what the server knows of them."""

import contextlib
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State, TaskRun

from tests.waiting import until

STAGES = ["ingest", "standardize", "penalize", "fit", "predict", "measure", "evidence", "decide", "publish"]
PROGRESS = ["gdpipe-read", "gdpipe-descended", "gdpipe-predicted"]


def run_flow(flow: Any, **parameters: Any) -> State[Any]:
    state: State[Any] = flow(**parameters, return_state=True)
    return state


def task_runs(state: State[Any]) -> list[TaskRun]:
    """Those of a flow run."""
    with get_client(sync_client=True) as client:
        assert isinstance(client, SyncPrefectClient)
        return client.read_task_runs(flow_run_filter=_only(state))


def assert_tasks(state: State[Any], expected: dict[str, str]) -> None:
    """The state of each task run of a flow run, at its first attempt.

    The server may hear of the last ones a moment after the flow has ended.
    """

    def found() -> dict[str, tuple[str | None, int]]:
        return {run.name: (run.state_name, run.run_count) for run in task_runs(state)}

    wanted = {name: (of, 1) for name, of in expected.items()}
    with contextlib.suppress(AssertionError):
        until(lambda: found() == wanted, seconds=10)
    assert found() == wanted


def artifacts(state: State[Any]) -> dict[str, Any]:
    """Key -> artifact of a flow run."""
    with get_client(sync_client=True) as client:
        assert isinstance(client, SyncPrefectClient)
        return {str(found.key): found for found in client.read_artifacts(flow_run_filter=_only(state))}


def _only(state: State[Any]) -> FlowRunFilter:
    assert state.state_details.flow_run_id is not None
    return FlowRunFilter(id=FlowRunFilterId(any_=[UUID(str(state.state_details.flow_run_id))]))
