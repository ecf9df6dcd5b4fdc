"""The scoring flow: `python -m flows.score source=data/flights run=runs`, or a deployment of it."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.progress import progress_artifacts
from flows.script import run_as_script
from flows.tasks import retried_task
from gdpipe import pipeline
from gdpipe.errors import GdpipeError
from gdpipe.run import Run


@flow(name="score", flow_run_name="{source} with {run}", persist_result=False)
def score(
    source: str,
    run: str = "runs",
    output: str = "scores",
    key: list[str] | None = None,
    filters: list[list[Any]] | None = None,
    run_id: str | None = None,
) -> State[Any]:
    """Score the Parquet in `source` with a published run.

    Args:
        source: A Parquet file, a folder, or a glob, with the model's features as columns.
        run: Output folder of the training, or one run's folder.
        output: Folder for the scores.
        key: Column(s) copied to predictions.
        filters: Rows to score, such as [["month", "<=", 6]].
        run_id: A name for these scores; made from time and settings if not given.
    """
    try:
        with progress_artifacts():
            scores = retried_task(pipeline.score_source)(
                source, run=run, output=output, key=key or (), filters=filters, run_id=run_id
            )
    except GdpipeError as error:
        return Failed(message=f"{type(error).__name__}: {error}")
    return Completed(message=f"published {scores.location}", data=scores.location)


def summary(folder: str) -> str:
    """The scores in two lines."""
    manifest = Run.at(folder).manifest
    return f"rows        {manifest['rows']['read']:,} scored with run {manifest['scored_with']}\nfiles       {folder}"


if __name__ == "__main__":
    run_as_script(score, summary)
