"""The scoring flow: `python -m flows.score source=data/flights run=runs`, or a deployment of it."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import assets, form
from flows.names import scoring_name
from flows.outcome import settled
from flows.page import scores_summary
from flows.progress import progress_artifacts
from flows.script import run_as_script
from flows.tasks import retried_task
from gdpipe import pipeline
from gdpipe.run import Run

SCORE_SOURCE = retried_task(pipeline.score_source)


@flow(name="score", flow_run_name=scoring_name, persist_result=False)
def score(
    source: form.Location,
    run: form.Location = "runs",
    output: form.Location = "scores",
    key: form.Names | None = None,
    filters: form.Filters | None = None,
    run_id: form.RunId | None = None,
    credentials: form.Block | None = None,
) -> State[Any]:
    """Score the Parquet in `source` with a published run.

    Args:
        source: A Parquet file, a folder, or a glob, with the model's features as columns.
        run: Output folder of the training, or one run's folder.
        output: Folder for the scores.
        key: Column(s) copied to predictions.
        filters: Rows to score, such as [["month", "<=", 6]]; groups of such lists are alternatives. Or a condition in
            SQL.
        run_id: A name for these scores; made from time and settings if not given.
        credentials: The name of a Secret block with AWS_... variables for object storage; not the secret itself.
    """
    settings = dict(locals())
    block = settings.pop("credentials")
    return settled(lambda: _score(settings), block)


def _score(settings: dict[str, Any]) -> Run:
    reading = assets.reading(SCORE_SOURCE, settings["source"], f"{settings['run'].rstrip('/')}/parameters")
    task = assets.leaving(reading, settings["output"], assets.SCORES)
    with progress_artifacts():
        run: Run = task(**{**settings, "key": settings["key"] or ()})
    return run


if __name__ == "__main__":
    run_as_script(score, scores_summary)
