"""One run at a time, where a deployment asks for it.

Prefect's own concurrency limit leases a slot: a run that is killed keeps it for up to five minutes, and a run whose API
is gone for four is ended because the lease cannot be renewed. The kernel's lock on a folder knows neither: it needs no
API, and is free the moment its holder is dead.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from prefect.runtime import flow_run

from gdpipe.location import is_uri
from gdpipe.printable import logger_named

logger = logger_named("gdpipe.flows")

# a tag of the deployment, and so of its runs
ONE_AT_A_TIME = "one-at-a-time"


@contextlib.contextmanager
def locked(output: str) -> Iterator[None]:
    """Wait until no other such run works on this output; nothing for runs without the tag, or for a URI.

    The lock is on the folder itself: nothing is left in it.
    """
    if ONE_AT_A_TIME not in flow_run.tags or is_uri(output):
        yield
        return
    with contextlib.suppress(OSError):  # an output that cannot be made is for the run to say
        Path(output).mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(output, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        _lock(descriptor, output)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, output: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.info("waiting: another run works on %s", output)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        logger.info("the output is free now")
