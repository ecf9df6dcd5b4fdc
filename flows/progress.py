"""Progress of a run as progress artifacts on its Prefect page."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from gdpipe.printable import logger_named
from gdpipe.stages.progress import Activity, listening, log_lines

logger = logger_named(__name__)

# each update is a request to the server
SECONDS_BETWEEN_UPDATES = 5.0
THREAD = "gdpipe-progress"
# seconds that the end of a run waits for unfinished updates
GRACE_SECONDS = 1.0


@contextlib.contextmanager
def progress_artifacts() -> Iterator[None]:
    """A block in which each activity has log lines and an artifact (`gdpipe-read`, `gdpipe-descended`, ...).

    A request to a dead server blocks for minutes, so each activity has a thread for its requests. A run does not fail
    with such a thread, and waits for it only a moment at its end.
    """
    posting: list[threading.Thread] = []

    @contextlib.contextmanager
    def listener(activity: Activity) -> Iterator[Callable[[], None]]:
        over = threading.Event()
        # in a copy of the context, in which Prefect finds the task run and its client
        run = copy_context().run
        thread = threading.Thread(target=run, args=(_post, activity, over), name=THREAD, daemon=True)
        posting.append(thread)
        thread.start()
        try:
            with log_lines(activity) as moved:
                yield moved
        finally:
            over.set()

    try:
        with listening(listener):
            yield
    finally:
        deadline = time.monotonic() + GRACE_SECONDS
        for thread in posting:
            thread.join(max(deadline - time.monotonic(), 0.0))


def _post(activity: Activity, over: threading.Event) -> None:
    artifact: Any = None  # its id; Prefect's types allow for a coroutine
    ended = False
    try:
        while not ended:
            ended = over.wait(SECONDS_BETWEEN_UPDATES)
            if not activity.total:  # every file's sums are kept: there is nothing to read
                continue
            percent, text = 100 * activity.share, str(activity)
            if artifact is None:
                artifact = create_progress_artifact(percent, f"gdpipe-{activity.doing}", text)
            else:
                update_progress_artifact(artifact, percent, text)
    except Exception as error:  # of any kind, since a run must not fail because its progress cannot be shown
        logger.warning("progress of %r is no longer shown: %s", activity.doing, error)
