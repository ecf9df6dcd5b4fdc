"""The stages of a run in their order."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from gdpipe.config import ScoringConfig, TrainingConfig, takes
from gdpipe.engine import open_executor, worker_count
from gdpipe.errors import ConfigError
from gdpipe.kinds import bytes_of
from gdpipe.printable import logger_named
from gdpipe.run import Run, open_run
from gdpipe.source.listing import notices_of
from gdpipe.source.scan import budget_for, shards
from gdpipe.source.source import Source
from gdpipe.stages.columns import Columns
from gdpipe.stages.decide import decide
from gdpipe.stages.evidence import evidence
from gdpipe.stages.fit import fit
from gdpipe.stages.ingest import ingest
from gdpipe.stages.manifest import header, inputs
from gdpipe.stages.measure import measure
from gdpipe.stages.penalize import Penalized, penalize
from gdpipe.stages.predict import predict
from gdpipe.stages.previous import Start
from gdpipe.stages.publish import publish
from gdpipe.stages.published import nothing_to_do
from gdpipe.stages.score import check_columns, score
from gdpipe.stages.standardize import standardize
from gdpipe.store import catalog
from gdpipe.store.place import Place
from gdpipe.store.runs import Staging

logger = logger_named(__name__)

Stage = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Steps:
    """The stages as functions; a flow gives the same functions as tasks."""

    ingest: Stage = ingest
    standardize: Stage = standardize
    penalize: Stage = penalize
    fit: Stage = fit
    predict: Stage = predict
    measure: Stage = measure
    evidence: Stage = evidence
    decide: Stage = decide
    publish: Stage = publish


def train(config: TrainingConfig, steps: Steps = Steps()) -> Run:
    """Run all stages, publish, and return the run; where nothing has changed, return the published run instead.

    `is_new` of the run says which of the two it is.

    Raises:
        ConfigError: A setting does not fit the data (a learning rate that would diverge), the run_id is taken, or the
            latest run in the output predicts another target.
        DataError: The input cannot be used.
        ConvergenceError: The run did not pass validation; its evidence is in `rejected/`.
        QualityError: The run did not pass the gate; its evidence is in `rejected/`.
        PublishError: The output could not be written.
    """
    start = Start(config)
    unchanged = nothing_to_do(config, start)
    if unchanged is not None:
        logger.info(
            "nothing to do: inputs, settings and versions are those of %s; set force to train all the same", unchanged
        )
        return Run(unchanged, start.manifest, is_new=False)
    config = config.with_run_id()
    assert config.run_id is not None
    # one thread for BLAS: shards run in parallel, and sums must not depend on how BLAS splits them
    with (
        threadpool_limits(1, user_api="blas"),
        Staging(config.output, config.run_id, is_ours=start.has_previous) as staging,
        open_executor(config.engine, config.workers) as executor,
    ):
        ingested = steps.ingest(config, executor, start)
        penalized: Penalized = steps.penalize(config, ingested, steps.standardize(config, ingested))
        regression = penalized.regression
        solution = steps.fit(config, regression)
        predicted = steps.predict(ingested, regression, solution, staging, executor, with_density=config.report)
        fitted = steps.measure(ingested, regression, solution, predicted)
        evidence = steps.evidence(config, ingested, fitted, predicted, staging, penalized.path)
        steps.decide(config, ingested, fitted, evidence, staging)
        folder: Place = steps.publish(config, ingested, fitted, predicted, evidence, staging)
    return Run(folder)


@takes(TrainingConfig)
def train_source(*source: Any, **settings: Any) -> Run:
    """Train and publish a run; settings as in `TrainingConfig`.

    Raises:
        GdpipeError: One of its kinds, by what went wrong; see `gdpipe.errors`.
    """
    if len(source) + ("source" in settings) > 1:
        raise ConfigError("train takes one source, and all other settings by name: train('data', target='y')")
    return train(TrainingConfig.of({**dict(zip(["source"], source, strict=False)), **settings}))


def score_source(source: str, **settings: Any) -> Run:
    """Score new Parquet with a published run; predictions and a manifest are published like a run.

    The settings are those of `ScoringConfig`. The target is not needed; predictions are compared with it in the files
    that have it as numbers.

    Raises:
        ConfigError: A setting is wrong, or the run_id is taken.
        DataError: The input cannot be used; or `unseen` is `fail`, and the fit has not seen a level.
        PublishError: There is no such run, or the output could not be written.
    """
    config = ScoringConfig.of({"source": source, **settings}).with_run_id()
    assert config.run_id is not None
    trained = open_run(config.run)
    if trained.manifest["kind"] != "training":
        raise ConfigError(f"run: {trained.location} holds scores, not a model; name the folder of a training run")
    model, target = trained.model, str(trained.manifest["target"])
    metrics = trained.table(catalog.METRICS).to_pylist()[0]  # read first, as the run may be pruned meanwhile
    opened = Source.open(config.source, config.filters)
    passed_over = notices_of(opened.passed_over)
    for notice in passed_over:
        logger.info(notice)
    check_columns(model.design, config.key, opened)
    columns = Columns(model.design, target, None, config.key)
    n_columns = len(model.features) + 1
    with (
        threadpool_limits(1, user_api="blas"),
        Staging(config.output, config.run_id) as staging,
        open_executor(config.engine, config.workers) as executor,
    ):
        parts = shards(opened, n_columns)
        workers = worker_count(executor, config.workers)
        budget = budget_for(opened, parts, (*columns.fitted, *columns.key), bytes_of(config.memory), workers)
        scored = score(model, opened, parts, columns, staging, budget, executor, config.unseen)
        folder = staging.publish(
            {
                **header("scores", config.run_id, scored.files),
                "settings": config.as_dict(),
                "scored_with": trained.run_id,
                "target": target,
                "inputs": inputs(opened),
                "passed_over": list(opened.passed_over),
                **scored.about(metrics),
                "notices": [*passed_over, *scored.notices],
            }
        )
    return Run(folder)
