"""One run at a time, where a deployment asks for it.

Prefect's own concurrency limit leases a slot. A killed run has it for up to five more minutes, and a run whose API is
gone for four minutes is ended, as it cannot renew the lease. The kernel's lock on a folder has neither problem: it
needs no API, and is free as soon as its holder is dead.
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

# a tag of a deployment, which its runs inherit
ONE_AT_A_TIME = "one-at-a-time"


@contextlib.contextmanager
def locked(output: str) -> Iterator[None]:
    """A block in which no other run with the tag works on this output; without the tag, or for a URI, no lock is taken.

    The lock is on the folder itself, and leaves no file in it.
    """
    if ONE_AT_A_TIME not in flow_run.tags or is_uri(output):
        yield
        return
    with contextlib.suppress(OSError):  # the run itself reports an output that cannot be made
        Path(output).mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(output, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting: another run works on %s", output)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            logger.info("the output is free now")
        yield
    finally:
        os.close(descriptor)
