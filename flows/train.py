"""The training flow: `python -m flows.train source=data/flights target=arr_delay`, or a deployment of it."""

import inspect
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from flows.progress import progress_artifacts
from flows.script import run_as_script
from flows.tasks import plain_task, retried_task
from gdpipe import pipeline
from gdpipe.config import Arithmetic, Collinear, MethodSetting, NullPolicy, Predict, TrainingConfig
from gdpipe.errors import GdpipeError
from gdpipe.report.summary import summarize
from gdpipe.run import Run
from gdpipe.stages.fit import fit
from gdpipe.stages.ingest import ingest
from gdpipe.stages.predict import predict
from gdpipe.stages.publish import publish
from gdpipe.stages.standardize import standardize
from gdpipe.stages.validate import validate
from gdpipe.tables import catalog

STEPS = pipeline.Steps(
    ingest=retried_task(ingest),
    standardize=plain_task(standardize),
    fit=plain_task(fit),
    predict=retried_task(predict),
    validate=plain_task(validate),
    publish=retried_task(publish),
)

_Positive = Annotated[float, Field(gt=0)]


@flow(name="train", flow_run_name="{target} from {source}", persist_result=False)
def train(
    source: str,
    target: str,
    features: list[str] | None = None,
    output: str = "runs",
    key: list[str] | None = None,
    weight: str | None = None,
    filters: list[list[Any]] | None = None,
    null_policy: NullPolicy = "drop",
    method: MethodSetting = "auto",
    learning_rate: _Positive | Literal["auto"] = "auto",
    tolerance: _Positive = 1e-8,
    max_iterations: Annotated[int, Field(ge=1)] = 100_000,
    max_seconds: _Positive | None = None,
    fit_intercept: bool = True,
    collinear: Collinear = "min_norm",
    arithmetic: Arithmetic = "auto",
    max_rmse_increase: Annotated[float, Field(ge=0)] | str | None = None,
    min_r2: Annotated[float, Field(le=1)] | None = None,
    memory: str = "512MiB",
    engine: str = "threads",
    report: bool = True,
    predict: Predict = "all",
    force: bool = False,
    run_id: str | None = None,
) -> State[Any]:
    """Fit the Parquet in `source` by gradient descent, hold it against OLS, and publish the run.

    Args:
        source: A Parquet file, a folder (hive partitions are read as columns), or a glob.
        target: The column to predict.
        features: Columns to predict from; all numeric ones but target, key and weight if not given.
        output: Folder for everything that is written.
        key: Column(s) copied to predictions.
        weight: Column of sample weights, >= 0. A weight of 2 is the row twice.
        filters: Rows to use, such as [["month", "<=", 6]].
        null_policy: What a null or NaN does: drop the row, or fail the run.
        method: gd, accelerated, or auto: gd if its forecast fits in max_iterations.
        learning_rate: auto, or a number below 2/L.
        tolerance: Largest accepted gap to OLS in a standardized coefficient.
        max_iterations: Steps of the descent.
        max_seconds: The descent's own clock.
        fit_intercept: Fit an intercept.
        collinear: Dependent features: min_norm, drop or fail.
        arithmetic: exact, float64, or auto: exact up to 256 features.
        max_rmse_increase: The gate: how far the RMSE may lie above the previous run's, as 0.05 or 5%; beyond it, not
            published.
        min_r2: The gate: the least R² that is published.
        memory: The most decoded data held at once.
        engine: What works on the shards: threads, or a Dask scheduler at tcp://HOST:PORT.
        report: Write report.html.
        predict: Rows to predict: all, those of files new since the published run, or none.
        force: Train even if nothing has changed since the published run.
        run_id: A name for the run; made from time and settings if not given.
    """
    settings = {name: value for name, value in locals().items() if name in inspect.signature(train.fn).parameters}
    try:
        with progress_artifacts():
            run = pipeline.train(TrainingConfig.of({**settings, "key": key or ()}), STEPS)
    except GdpipeError as error:
        # a state, not an exception: the run page then shows the reason, and --watch ends with exit code 1
        return Failed(message=f"{type(error).__name__}: {error}")
    return Completed(message=f"published {run.location}", data=run.location)


def summary(folder: str) -> str:
    """The published run in a dozen lines."""
    run = Run.at(folder)
    tables = (run.table(name) for name in (catalog.PARAMETERS, catalog.CONVERGENCE, catalog.METRICS))
    return summarize(folder, run.manifest, *tables)


if __name__ == "__main__":
    run_as_script(train, summary)
