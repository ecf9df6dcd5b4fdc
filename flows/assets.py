"""Inputs and outputs of a flow as Prefect's assets, which show lineage; an error here does not stop the run."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.assets import Asset, AssetProperties, add_asset_metadata
from prefect.tasks import MaterializingTask

from gdpipe.exits import one_line
from gdpipe.location import is_uri, shown
from gdpipe.printable import logger_named, printable
from gdpipe.run import Run
from gdpipe.store import catalog

logger = logger_named("gdpipe.flows")

TRAINING = (catalog.PARAMETERS, catalog.LOSS_HISTORY, catalog.PREDICTIONS, catalog.CONVERGENCE, catalog.METRICS)
SCORES = (catalog.PREDICTIONS,)
OPTIONS = (
    "name",
    "description",
    "task_run_name",
    "cache_policy",
    "retries",
    "retry_delay_seconds",
    "retry_condition_fn",
    "asset_deps",
)


def reading(task: Callable[..., Any], *paths: str) -> Callable[..., Any]:
    """The task with these paths as its inputs; a plain function is unchanged."""
    known: list[str | Asset] = [asset for path in paths if (asset := _asset(path))]
    return task.with_options(asset_deps=known) if known and isinstance(task, Task) else task


def leaving(task: Callable[..., Any], output: str, artifacts: Sequence[str]) -> Callable[..., Any]:
    """The task with the artifacts in an output folder as its outputs; it returns the run or the run's folder."""
    made = [asset for artifact in artifacts if (asset := _asset(output, artifact))]
    if not made or not isinstance(task, Task):
        return task

    @functools.wraps(task.fn)
    def noted(*args: Any, **kwargs: Any) -> Any:
        result = task.fn(*args, **kwargs)
        try:
            run = result if isinstance(result, Run) else Run(result)
            facts = {"run": run.run_id, "folder": printable(run.location), "rows": run.manifest["rows"]["read"]}
            for asset in made:
                add_asset_metadata(asset, facts)
        except Exception as error:  # of any kind, since the run is published already
            logger.info("not noted with the assets: %s", error)
        return result

    # MaterializingTask.with_options cannot change the function, so a new task gets the options of the old one
    options = {name: getattr(task, name) for name in OPTIONS}
    return MaterializingTask(fn=noted, assets=made, materialized_by="gdpipe", persist_result=False, **options)


def _asset(path: str, artifact: str = "") -> Asset | None:
    """A path as an asset; None where Prefect refuses it as a key (for a blank, a glob, a control character)."""
    path = printable(shown(path))  # an escaped character leaves a backslash, which Prefect refuses
    uri = path if is_uri(path) else f"file://{os.path.abspath(path)}"
    name = f"{Path(path).name}/{artifact}" if artifact else path
    try:
        return Asset(key=f"{uri}/{artifact}" if artifact else uri, properties=AssetProperties(name=name))
    except ValueError as error:
        logger.info("not an asset: %s", one_line(str(error)))
        return None
