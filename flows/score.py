"""The scoring flow: `python -m flows.score source=data/flights run=runs`, or a deployment of it."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import assets, form
from flows.names import scoring_name
from flows.outcome import settled
from flows.progress import progress_artifacts
from flows.script import run_as_script
from flows.tasks import retried_task
from gdpipe import pipeline
from gdpipe.config import ScoringConfig
from gdpipe.run import Run

SCORE_SOURCE = retried_task(pipeline.score_source)


@flow(name="score", flow_run_name=scoring_name, persist_result=False)
@form.takes(ScoringConfig)
def score(credentials: str | None = None, **settings: Any) -> State[Any]:
    """Score the Parquet in `source` with a published run."""
    return settled(lambda: _score(settings), credentials)


def _score(settings: dict[str, Any]) -> Run:
    reading = assets.reading(SCORE_SOURCE, settings["source"], f"{settings['run'].rstrip('/')}/parameters")
    task = assets.leaving(reading, settings["output"], assets.SCORES)
    with progress_artifacts():
        run: Run = task(**settings)
    return run


if __name__ == "__main__":
    run_as_script(score)
