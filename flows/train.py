"""The training flow: `python -m flows.train source=data/flights target=arr_delay`, or a deployment of it."""

import dataclasses
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import assets, form
from flows.lock import locked
from flows.names import training_name
from flows.outcome import settled
from flows.progress import progress_artifacts
from flows.script import run_as_script
from flows.tasks import plain_task, retried_task
from gdpipe import pipeline
from gdpipe.config import TrainingConfig
from gdpipe.run import Run
from gdpipe.stages.decide import decide
from gdpipe.stages.evidence import evidence
from gdpipe.stages.fit import fit
from gdpipe.stages.ingest import ingest
from gdpipe.stages.measure import measure
from gdpipe.stages.penalize import penalize
from gdpipe.stages.predict import predict
from gdpipe.stages.publish import publish
from gdpipe.stages.standardize import standardize

STEPS = pipeline.Steps(
    ingest=retried_task(ingest),
    standardize=plain_task(standardize),
    penalize=plain_task(penalize),
    fit=plain_task(fit),
    predict=retried_task(predict),
    measure=plain_task(measure),
    evidence=retried_task(evidence),
    decide=retried_task(decide),
    publish=retried_task(publish),
)


@flow(name="train", flow_run_name=training_name, persist_result=False)
@form.takes(TrainingConfig)
def train(credentials: str | None = None, **settings: Any) -> State[Any]:
    """Fit the Parquet in `source` by gradient descent, hold it against OLS, and publish the run."""
    return settled(lambda: _train(settings), credentials)


def _train(settings: dict[str, Any]) -> Run:
    config = TrainingConfig.of(settings)
    steps = dataclasses.replace(
        STEPS,
        ingest=assets.reading(STEPS.ingest, config.source),
        publish=assets.leaving(STEPS.publish, config.output, assets.TRAINING),
    )
    with progress_artifacts(), locked(config.output):
        return pipeline.train(config, steps)


if __name__ == "__main__":
    run_as_script(train)
