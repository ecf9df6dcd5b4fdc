"""Stages as Prefect tasks."""

import logging
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from gdpipe.errors import GdpipeError

# gdpipe logs with the standard library; prefect.toml sends this logger's lines to the run page
logging.getLogger("gdpipe").setLevel(logging.INFO)

RETRIES = 3
RETRY_SECONDS = [1.0, 10.0, 60.0]


async def is_worth_retrying(task: Task[..., Any], run: TaskRun, state: State) -> bool:
    """Whether the next attempt may succeed; retrying an error in the data would waste the night."""
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, GdpipeError) and error.transient


def plain_task(stage: Any) -> Any:
    """A task for a stage that only computes; it has no retries, as the same input would give the same error."""
    return task(
        stage,
        name=stage.__name__,
        task_run_name=stage.__name__,
        description=stage.__doc__,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def retried_task(stage: Any) -> Any:
    """A task for a stage that reads or writes; it is retried where the error is transient."""
    return plain_task(stage).with_options(
        retries=RETRIES, retry_delay_seconds=RETRY_SECONDS, retry_condition_fn=is_worth_retrying
    )
