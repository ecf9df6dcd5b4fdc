"""The end of a flow: a state with its reason or, where the API is gone, an exit code."""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import FailedRun
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed, Failed

from flows.credentials import credentials_of
from flows.page import show
from gdpipe.errors import GdpipeError, RejectedError
from gdpipe.printable import logger_named, printable
from gdpipe.run import Run

logger = logger_named("gdpipe.flows")

# seconds that a finished run waits for an API that does not answer; prefect.yaml sets more
PATIENCE_SECONDS = float(os.environ.get("GDPIPE_API_PATIENCE_SECONDS", "25"))
ATTEMPT_SECONDS = 2.0

# the run page and the worker's terminal have the message of a Failed state; Prefect's engine, which raises it as an
# exception once more, would add a traceback through Prefect alone
for _engine in ("prefect.flow_runs", "prefect.engine"):
    logging.getLogger(_engine).addFilter(
        lambda record: not (record.exc_info and isinstance(record.exc_info[1], FailedRun))
    )


def settled(work: Callable[[], Run], block: str | None = None) -> State[Any]:
    """The state in which a flow ends, after its work is done and shown on the run page.

    Prefect itself tries for minutes to report to an API that is gone, and then calls a published run failed. So the API
    is asked first, for `PATIENCE_SECONDS`; if it does not answer, the process ends here, with the exit code of the
    state. The work and the run page have the variables of the Secret block `block`, where there is one.
    """
    run: Run | None = None
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(credentials_of(block))
            run = work()
        except GdpipeError as error:
            where = ""
            if isinstance(error, RejectedError):
                where = f" (evidence: {printable(error.evidence)})"
                with contextlib.suppress(GdpipeError):  # evidence that cannot be read is not shown
                    run = Run.at(error.evidence)
            # a state, not an exception: the run page then shows the reason, and --watch ends with exit code 1
            state: State[Any] = Failed(message=f"{type(error).__name__}: {error}{where}")
        else:
            state = Completed(message=_done(run), data=run.location)
        if not api_answers(PATIENCE_SECONDS):
            _leave(state)
        # a run that was there before has its page already
        if run is not None and run.is_new:
            show(run)
    return state


def _done(run: Run) -> str:
    if not run.is_new:
        return f"nothing to do: inputs, settings and versions are those of {printable(run.location)}"
    # scores have no setting `latest`, and are always the latest
    suffix = "" if run.manifest["settings"].get("latest", True) else ", not as the latest"
    return f"published {printable(run.location)}{suffix}"


def api_answers(seconds: float) -> bool:
    """Whether Prefect's API answers within some seconds; a refusal is an answer, too."""
    deadline = time.monotonic() + seconds
    while not _answers():
        if time.monotonic() >= deadline:
            return False
        time.sleep(1.0)
    return True


def _answers() -> bool:
    try:
        # a new client without retries, but with the settings for proxies, keys and certificates
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(httpx_settings={"timeout": ATTEMPT_SECONDS}, sync_client=True) as client,
        ):
            error = client.api_healthcheck()
    except Exception as caught:  # raised on entry, when the client asks for the API's version
        error = caught
    return error is None or (isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500)


def _leave(state: State[Any]) -> None:
    """End the process at once: an orderly exit would wait for every event and log line that cannot be sent."""
    logger.warning("the API does not answer: nobody could be told that this run ended as %s", state.name)
    sys.stderr.write(f"{state.message}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if state.is_completed() else 1)
