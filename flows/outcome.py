"""How a flow ends: as a state with its reason; and where nobody is left to be told, as an exit code."""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed, Failed

from flows.credentials import credentials_of
from flows.page import show
from gdpipe.errors import GdpipeError, RejectedError
from gdpipe.printable import logger_named, printable
from gdpipe.run import Run

logger = logger_named("gdpipe.flows")

# how long a run that is done waits for an API that does not answer; prefect.yaml gives its runs longer
PATIENCE_SECONDS = float(os.environ.get("GDPIPE_API_PATIENCE_SECONDS", "25"))
ATTEMPT_SECONDS = 2.0


def settled(work: Callable[[], Run], block: str | None = None) -> State[Any]:
    """Do the work, show it on the run page, and say how it ended.

    Prefect itself tries for minutes to report to an API that is gone, and then takes the run that was published for
    a failed one. So the API is asked first, for `PATIENCE_SECONDS`; if it stays away, the process ends here, with the
    exit code that the work deserves.

    Args:
        work: What the flow does; leaves a run.
        block: As `credentials_of` takes it: the work needs what it holds, and so does showing what the work left.
    """
    shown: Run | None = None
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(credentials_of(block))
            shown = work()
        except GdpipeError as error:
            if isinstance(error, RejectedError):
                with contextlib.suppress(GdpipeError):  # evidence that cannot be read is not shown
                    shown = Run.at(error.evidence)
            # a state, not an exception: the run page then shows the reason, and --watch ends with exit code 1
            state: State[Any] = Failed(message=f"{type(error).__name__}: {error}")
        else:
            # what the run said of itself; scores are always the latest
            beside = "" if shown.manifest["settings"].get("latest", True) else ", not as the latest"
            state = Completed(message=f"published {printable(shown.location)}{beside}", data=shown.location)
        if not api_answers(PATIENCE_SECONDS):
            _leave(state)
        if shown is not None:
            show(shown)
    return state


def api_answers(seconds: float) -> bool:
    """Whether Prefect's API answers, now or within so many seconds; a refusal is an answer too."""
    deadline = time.monotonic() + seconds
    while not _answers():
        if time.monotonic() >= deadline:
            return False
        time.sleep(1.0)
    return True


def _answers() -> bool:
    try:
        # a client of its own, so that one attempt is one attempt; with the settings for proxies, keys and certificates
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(httpx_settings={"timeout": ATTEMPT_SECONDS}, sync_client=True) as client,
        ):
            error = client.api_healthcheck()
    except Exception as caught:  # entering the client asks for the API's version
        error = caught
    return error is None or (isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500)


def _leave(state: State[Any]) -> None:
    """End the process: an orderly exit would wait for each of the events and log lines that cannot be sent."""
    logger.warning("the API does not answer: nobody could be told that this run ended as %s", state.name)
    sys.stderr.write(f"{state.message}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if state.is_completed() else 1)
