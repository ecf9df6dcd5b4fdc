"""Plan: the results and the cost of a run, forecast from footers and a sample; nothing is written."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from gdpipe.config import TrainingConfig
from gdpipe.engine import THREADS, cores, processes_for
from gdpipe.errors import ConfigError, DataError
from gdpipe.fit import AnyMoments
from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.printable import counted
from gdpipe.relations import describe
from gdpipe.report.plan import RunPlan
from gdpipe.source.bounds import partition_bounds
from gdpipe.source.budget import BYTES_PER_NUMBER
from gdpipe.source.scan import Shard, decoded_bytes
from gdpipe.source.source import Source
from gdpipe.stages.columns import choose_columns
from gdpipe.stages.fit import fit
from gdpipe.stages.ingest import Ingested, ingest
from gdpipe.stages.previous import Start
from gdpipe.stages.progress import listening, silence
from gdpipe.stages.scan.predict_shard import ROW_GROUP_ROWS
from gdpipe.stages.standardize import standardize

SAMPLE_ROWS = 200_000
# the fewest row groups in a sample, however large they are
LEAST_PLACES = 3
# limit of the descent on the sample: long enough to time a step, and nearly always to converge
TRIAL_SECONDS = 1.0
# time of the second scan, which writes, divided by that of the first: SUMS + WRITING / columns read;
# measured in CPU time on one thread, it was 2.2 at 6 features, 1.3 at 20 and 0.9 at 60
SECOND_SCAN_SUMS, SECOND_SCAN_WRITING = 0.8, 10.5
# memory of Python and the libraries after a run of few rows, measured
INTERPRETER_BYTES = 110 * 2**20
# memory of a worker process beside what it reads, measured likewise (docs/settings.md#workers)
WORKER_BYTES = 70 * 2**20
# memory for each file, in a run and in its manifest, measured (docs/settings.md#memory)
FILE_BYTES = 6 * 2**10
# matrices of all terms that are held at once, most of them while standard errors are computed; measured at 4,019 terms
# (docs/features.md#cost-of-a-category)
TERM_MATRICES = 10
# for each term of an absorbed block and each other term, in the sums of all rows and of folds; measured at 26,918 terms
# of which 3 are others, and at 4,189 of which 153 are
ABSORBED_BYTES = 1300
# lines of int64 of a column's sums by level: one for each pair of digits of weights and values, and one to carry to
LINES_OF_COLUMN = 4
# of a footer that stays parsed, for each of its bytes, measured
FOOTER_TIMES = 10

Result = TypeVar("Result")


def plan(config: TrainingConfig, executor: Executor, sample_rows: int = SAMPLE_ROWS) -> RunPlan:
    """The plan of a run, from its footers, and from its stages up to the fit on a sample of evenly spread row groups.

    The sample has about `sample_rows` rows, and `LEAST_PLACES` row groups at least.

    Raises:
        ConfigError: A setting does not fit the data.
        DataError: The input cannot be used, as far as footers and sample show.
    """
    start = Start(config)
    source = start.source
    columns, _ = choose_columns(config, source)
    nulls, least_left_out, silent = _gaps(source, columns.fitted)
    if config.null_policy == "fail" and config.filters is None and any(nulls.values()):
        gaps = ", ".join(f"{name} {count:,}" for name, count in nulls.items() if count)
        raise DataError(f"{source.location}: null in: {gaps}; null_policy='drop' leaves such rows out")
    groups = [(f, g) for f, file in enumerate(source.files) for g in file.wanted_groups]
    counts = [source.files[f].group_rows[g] for f, g in groups]
    chosen = _spread(counts, sample_rows)
    decoded, wanted = sum(counts[i] for i in chosen), sum(counts)
    sampler = _Sampler(executor, frozenset(groups[i] for i in chosen))
    # one second of descent gives the time of a step
    trial = dataclasses.replace(config, max_seconds=min(config.max_seconds or math.inf, TRIAL_SECONDS))
    try:
        # BLAS has one thread, as in a run; progress is not shown, as it would count all rows of the shards
        with threadpool_limits(1, user_api="blas"), listening(silence):
            began = time.perf_counter()
            ingested = ingest(config, sampler, start, keep=False)
            opened = time.perf_counter() - began - sampler.elapsed
            regression = standardize(config, ingested)
            began = time.perf_counter()
            # with the weight of all rows, since more rows have smaller standard errors, and so need more steps
            solution = fit(trial, regression, regression.cross.total_weight * wanted / decoded)
            descended = time.perf_counter() - began
    except (ConfigError, DataError) as error:
        if len(chosen) == len(groups):
            raise
        seen = f"{error} (seen by a plan that read {decoded:,} of {counted(wanted, 'row')})"
        raise type(error)(seen, transient=error.transient) from error
    descent = solution.plan
    forecast = descent.forecast_iterations
    steps = config.max_iterations if forecast is None else min(forecast, config.max_iterations)
    descent_seconds = descended * max(steps / max(solution.iterations, 1), 1.0)
    scale = wanted / decoded
    readers = ingested.budget.readers
    size = decoded_bytes(source, ingested.shards, len(columns.fitted))
    # a cluster's workers are not this machine's
    processes = processes_for(config.workers, readers, size) if config.engine == THREADS else 0
    readers = processes or min(readers, cores())
    first_scan = sampler.busy * scale / min(readers, cores())
    least = least_left_out if config.filters is None else None
    left_out = ingested.rows.read - ingested.rows.used - ingested.rows.held_out
    design = ingested.columns.design
    condition = regression.problem.condition_number
    notices = [f"footers without minimum and maximum cost one more read of: {', '.join(silent)}"] if silent else []
    return RunPlan(
        source=source.location,
        target=config.target,
        features=tuple(feature.name for feature in design.features),
        levels={
            feature.name: len(design.levels[block.key])
            for feature, block in zip(design.features, design.blocks, strict=True)
            if block.key
        },
        terms=len(design.terms),
        folds=ingested.cells.folds,
        fold_by=ingested.cells.fold_by,
        rows_by_fold=tuple(round(sums.n_samples * scale) for sums in ingested.by_fold),
        rows_held_out=round(ingested.rows.held_out * scale) if ingested.cells.holdout else None,
        files=len(source.files),
        row_groups=len(groups),
        bytes=sum(file.size for file in source.files),
        file_rows=source.n_rows,
        rows=round(ingested.rows.read * scale),
        rows_left_out=max(round(left_out * scale), least or 0),
        least_left_out=least,
        sample_rows=decoded,
        sample_groups=len(chosen),
        condition_number=condition if math.isfinite(condition) else None,
        method=descent.method,
        learning_rate=descent.learning_rate,
        forecast_iterations=forecast,
        max_iterations=config.max_iterations,
        open_seconds=opened,
        first_scan_seconds=first_scan,
        descent_seconds=min(descent_seconds, config.max_seconds or math.inf),
        second_scan_seconds=first_scan * (SECOND_SCAN_SUMS + SECOND_SCAN_WRITING / len(columns.fitted)),
        memory_bytes=_memory(config, ingested, readers, processes),
        workers=readers,
        processes=processes,
        batch_rows=ingested.budget.batch_rows,
        dependencies=describe(regression, design),
        notices=(*ingested.notices, *notices),
    )


class _Sampler(Executor):
    """Executor that works on the row groups of the sample only, and measures the time.

    With it `ingest` is the same as in a run, from the footers to the sums. It has no `submit`: calling it raises
    NotImplementedError, and does not scan everything.

    Attributes:
        busy: Seconds of work, summed over all threads.
        elapsed: Seconds from the first shard's start to the last one's end.
    """

    def __init__(self, executor: Executor, groups: frozenset[tuple[int, int]]) -> None:
        self._executor = executor
        self._groups = groups
        self.busy = 0.0
        self.elapsed = 0.0

    def map(self, fn: Callable[..., Result], *iterables: Iterable[Any], **options: Any) -> Iterator[Result]:
        """The results of the shards that have row groups in the sample, in order."""
        [shards] = iterables

        def timed(shard: Shard) -> tuple[Result, float]:
            start = time.perf_counter()
            return fn(shard), time.perf_counter() - start

        cut = [
            dataclasses.replace(s, row_groups=tuple(g for g in s.row_groups if (s.file, g) in self._groups))
            for s in shards
        ]
        began = time.perf_counter()
        for result, seconds in self._executor.map(timed, [shard for shard in cut if shard.row_groups], **options):
            self.busy += seconds
            before, began = began, time.perf_counter()
            self.elapsed += began - before
            yield result


def _spread(counts: list[int], sample_rows: int) -> list[int]:
    """The indices of evenly spread row groups that have about `sample_rows` rows together."""
    total = sum(counts)
    if total <= sample_rows:
        return list(range(len(counts)))
    places = max(LEAST_PLACES, sample_rows * len(counts) // total)
    at = (np.arange(places) + 0.5) / places * total
    return sorted(set(np.searchsorted(np.cumsum(counts), at, side="right").tolist()))


def _memory(config: TrainingConfig, ingested: Ingested, readers: int, processes: int) -> int:
    """The memory of a run in bytes, of all its processes together."""
    largest_shard = max(sum(ingested.source.files[s.file].group_rows[g] for g in s.row_groups) for s in ingested.shards)
    # key (or file and row), target, prediction, residual; twice, as they are gathered and then encoded
    across = (max(len(ingested.columns.key), 2) + 3) * BYTES_PER_NUMBER * 2
    waiting = min(ROW_GROUP_ROWS + ingested.budget.batch_rows, largest_shard) * across
    files = FILE_BYTES * len(ingested.source.files) + FOOTER_TIMES * ingested.source.opened.kept_bytes
    design = ingested.columns.design
    cells = max(config.folds, 1) + bool(config.holdout)
    lines = (len(design.numbers) + 1) * LINES_OF_COLUMN
    # products by level are those of each two lines
    by_level: int = sum(len(of.labels) * 8 * cells * lines**of.order for of in ingested.levels.values())
    return (
        INTERPRETER_BYTES
        + WORKER_BYTES * processes
        + files * (1 + processes)
        + readers * (ingested.budget.needed + waiting + by_level)
        + _of_terms(ingested.moments, len(design.terms))
    )


def _of_terms(moments: AnyMoments, n_terms: int) -> int:
    """The memory of the fit in bytes."""
    if not isinstance(moments, BlockMoments):
        return TERM_MATRICES * 8 * n_terms**2
    others = len(moments.others)
    return TERM_MATRICES * 8 * others**2 + ABSORBED_BYTES * len(moments.block) * (others + 1)


def _gaps(source: Source, names: Sequence[str]) -> tuple[dict[str, int], int, list[str]]:
    """Nulls by column, the least number of rows that miss a value, and the columns without statistics somewhere.

    They come from the footers, for the row groups that the filters may match. A row may miss several values, so each
    row group counts with the nulls of its emptiest column.
    """
    nulls, least, silent = dict.fromkeys(names, 0), 0, set()
    for file in filter(lambda file: file.wanted_groups, source.files):
        wanted = set(file.wanted_groups)
        for g, of_file in source.opened.bounds(file, names):
            if g in wanted:
                known = {**of_file, **partition_bounds(file.partition, file.group_rows[g])}
                missing = {name: known[name].nulls or 0 for name in names}
                silent |= {name for name in names if known[name].low is None and not known[name].empty}
                nulls = {name: nulls[name] + missing[name] for name in names}
                least += max(missing.values())
    return nulls, least, [name for name in names if name in silent]
