"""A real Prefect server for the flows, in a folder of its own."""

import os
import sys
import tempfile
from collections.abc import Iterator

if "prefect" in sys.modules:
    raise RuntimeError("a test collected earlier imports Prefect at its top: import it in the test")
# before Prefect is imported: it reads its home, its database and its settings once
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="gdpipe-prefect-")
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "120"
os.environ["PREFECT_LOGGING_EXTRA_LOGGERS"] = "gdpipe"
# the core also runs outside of flows here
os.environ["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"] = "ignore"
os.environ.pop("PREFECT_API_URL", None)

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def server() -> Iterator[None]:
    # for a heartbeat a flow run waits up to a second as it ends; flows that die are processes of their own
    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield
