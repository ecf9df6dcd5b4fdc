"""The training flow: `python -m flows.train source=data/flights target=arr_delay`, or a deployment of it."""

import dataclasses
from typing import Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State

from flows import assets, form
from flows.lock import locked
from flows.names import training_name
from flows.outcome import settled
from flows.page import training_summary
from flows.progress import progress_artifacts
from flows.script import run_as_script
from flows.tasks import plain_task, retried_task
from gdpipe import pipeline
from gdpipe.config import Arithmetic, Collinear, MethodSetting, NullPolicy, Predict, TrainingConfig
from gdpipe.run import Run
from gdpipe.stages.decide import decide
from gdpipe.stages.evidence import evidence
from gdpipe.stages.fit import fit
from gdpipe.stages.ingest import ingest
from gdpipe.stages.measure import measure
from gdpipe.stages.predict import predict
from gdpipe.stages.publish import publish
from gdpipe.stages.standardize import standardize

STEPS = pipeline.Steps(
    ingest=retried_task(ingest),
    standardize=plain_task(standardize),
    fit=plain_task(fit),
    predict=retried_task(predict),
    measure=plain_task(measure),
    evidence=retried_task(evidence),
    decide=retried_task(decide),
    publish=retried_task(publish),
)


@flow(name="train", flow_run_name=training_name, persist_result=False)
def train(
    source: form.Location,
    target: form.Text,
    features: form.Names | None = None,
    exclude: form.Names | None = None,
    output: form.Location = "runs",
    key: form.Names | None = None,
    weight: form.Text | None = None,
    filters: form.Filters | None = None,
    null_policy: NullPolicy = "drop",
    method: MethodSetting = "auto",
    learning_rate: form.Positive | Literal["auto"] = "auto",
    tolerance: form.Positive = 1e-8,
    max_iterations: form.Steps = 100_000,
    max_seconds: form.Positive | None = None,
    fit_intercept: bool = True,
    collinear: Collinear = "min_norm",
    arithmetic: Arithmetic = "auto",
    max_rmse_increase: form.AtLeastZero | form.Percentage | None = None,
    min_r2: form.AtMostOne | None = None,
    memory: form.Memory = "512MiB",
    engine: form.Engine = "threads",
    report: bool = True,
    predict: Predict = "all",
    latest: bool = True,
    force: bool = False,
    run_id: form.RunId | None = None,
    credentials: form.Block | None = None,
) -> State[Any]:
    """Fit the Parquet in `source` by gradient descent, hold it against OLS, and publish the run.

    Args:
        source: A Parquet file, a folder (hive partitions are read as columns), or a glob.
        target: The column to predict.
        features: Columns to predict from; all numeric ones but target, key and weight if not given.
        exclude: Columns that are not to be features, where none are named.
        output: Folder for everything that is written.
        key: Column(s) copied to predictions.
        weight: Column of sample weights, >= 0. A weight of 2 is the row twice.
        filters: Rows to use, such as [["month", "<=", 6]]; groups of such lists are alternatives; or a condition
            in SQL.
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
        memory: The most held of the source at once.
        engine: What works on the shards: threads, or a Dask scheduler at tcp://HOST:PORT.
        report: Write report.html.
        predict: Rows to predict: all, those of files new since the published run, or none.
        latest: Make the run the latest, which readers follow; if not, it is published beside the latest.
        force: Train even if nothing has changed since the published run.
        run_id: A name for the run; made from time and settings if not given.
        credentials: The name of a Secret block with AWS_... variables for object storage; not the secret itself.
    """
    settings = dict(locals())
    block = settings.pop("credentials")
    return settled(lambda: _train(settings), block)


def _train(settings: dict[str, Any]) -> Run:
    config = TrainingConfig.of({**settings, **{name: settings[name] or () for name in ("key", "exclude")}})
    steps = dataclasses.replace(
        STEPS,
        ingest=assets.reading(STEPS.ingest, config.source),
        publish=assets.leaving(STEPS.publish, config.output, assets.TRAINING),
    )
    with progress_artifacts(), locked(config.output):
        return pipeline.train(config, steps)


if __name__ == "__main__":
    run_as_script(train, training_summary)
