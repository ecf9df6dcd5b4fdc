"""Ingest: from Parquet files to exact sums."""

import dataclasses
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gdpipe.config import TrainingConfig
from gdpipe.cross_validation import why_no_folds
from gdpipe.engine import worker_count
from gdpipe.errors import DataError, SchemaError
from gdpipe.filters import filter_columns
from gdpipe.numerics.problem.covariance import CrossProducts, square_root
from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.level_index import TooManyLevels
from gdpipe.numerics.sums.levels import Key, LevelSums
from gdpipe.numerics.sums.moments import Moments, grid_exponents
from gdpipe.printable import logger_named
from gdpipe.source.budget import Budget
from gdpipe.source.listing import notices_of
from gdpipe.source.scan import Shard, budget_for, shards
from gdpipe.source.source import Source
from gdpipe.stages.bounds import bounds_of
from gdpipe.stages.cached_sums import sums_by_file
from gdpipe.stages.columns import Columns, choose_columns
from gdpipe.stages.previous import Start
from gdpipe.stages.published import check_target, files_to_predict
from gdpipe.stages.scan.row_cells import ONE_CELL, Holdout, RowCells
from gdpipe.stages.scan.row_sums import Account, Sums, by_column
from gdpipe.stages.scan.sum_shard import SumShard, check_usable
from gdpipe.stages.usable import check_products, check_rows, check_weights, notices_of_rounding
from gdpipe.store.cache import Cache
from gdpipe.store.runs import place_at
from gdpipe.terms import Terms, refusal, sums_are_exact

logger = logger_named(__name__)

# largest step of the grid, in standard deviations of the column
COARSEST_STEP = 2.0**-32
# sums of files that are joined at once: the union of their levels is then made once for all of them
JOINED_AT_ONCE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Ingested:
    """The result of the first scan.

    Attributes:
        source: The files.
        columns: The columns by their role.
        shards: The row groups that are worked on together.
        budget: The part of the source that a process may have in memory.
        largest: Largest magnitude of each of `columns.summed` in the rows used, shape (k,).
        least_weight: The least positive weight used; 1 where rows are unweighted.
        whole_weights: Whether every weight is an integer, and so can be a number of repeated rows.
        moments: Sums over the rows used, of terms and target.
        rows: Counts of rows read, used and left out.
        notices: Notices for the user, one line each.
        scanned: Rows that passed the filters in each file that was read, by index; sums of other files were cached.
        predicted: Indices of the files whose rows are to be predicted.
        to_predict: Sums over the rows of these files, of terms and target.
        unpredicted: Sums over the rows used of all other files, of terms and target.
        start: The previous run and the source, as the run found them.
        levels: Sums over the rows used by the levels of each category, and of the combinations that the terms need.
        cells: The folds of the rows used, and the rows that are held out.
        by_fold: Sums over the rows used of each fold, of terms and target; empty where there are none.
        held_out: Sums over the rows that are held out, of terms and target; None where no rows can be.
    """

    source: Source
    columns: Columns
    shards: tuple[Shard, ...]
    budget: Budget
    largest: NDArray[np.float64]
    least_weight: float
    whole_weights: bool
    moments: Moments | BlockMoments | Float64Moments
    rows: Account
    notices: tuple[str, ...]
    scanned: dict[int, int]
    predicted: frozenset[int]
    to_predict: Sums
    unpredicted: Moments | BlockMoments | Float64Moments
    start: Start
    levels: Mapping[Key, LevelSums]
    cells: RowCells = ONE_CELL
    by_fold: tuple[Moments | BlockMoments | Float64Moments, ...] = ()
    held_out: Moments | BlockMoments | Float64Moments | None = None

    def sums_of(self, file: int) -> str | None:
        """The origin of a file's sums: `read`, or `kept` (from the cache); None where filters rule out all rows."""
        if not self.source.files[file].wanted_groups:
            return None
        return "read" if file in self.scanned else "kept"

    def held_out_of(self, file: int) -> str:
        """Which rows of a file are held out: `none`, `some`, or `all`."""
        holdout = self.cells.holdout
        if holdout is None or file not in holdout.some | holdout.all:
            return "none"
        return "some" if file in holdout.some else "all"


def ingest(config: TrainingConfig, executor: Executor, start: Start | None = None, *, keep: bool = True) -> Ingested:
    """The sums over a source; a file whose sums are cached is not read.

    `start` is the previous run and the source, as the run found them; None looks for them now. Exact sums are cached in
    `OUTPUT/moments/`, unless `keep` is false.

    Raises:
        DataError: The input is missing, damaged, or not fit for use.
        SchemaError: A column is missing, not numeric, or differs between files.
        PublishError: The cache cannot be written.
    """
    start = start or Start(config)
    source = start.take_source()
    columns, notices = choose_columns(config, source, Cache(place_at(config.output)) if keep else None)
    if keep:
        check_target(config, start)
    notices += notices_of(source.passed_over)
    exact = sums_are_exact(config, columns.design)
    cache = Cache(place_at(config.output)) if keep and exact else None
    bound = source.largest(columns.measured, cache)
    parts = tuple(shards(source, len(columns.fitted)))
    workers = worker_count(executor, config.workers)
    cells, no_folds = _cells(config, source, len(columns.design.numbers))
    told_apart_by = (*cells.fold_by, *filter_columns(config.holdout))
    read = (*columns.fitted, *columns.key, *told_apart_by)
    budget = budget_for(source, parts, read, config.memory_bytes, workers)
    largest = bounds_of(columns, dict(zip(columns.measured, bound.tolist(), strict=True)))
    work = SumShard(source, columns, budget, largest, exact, cells)
    check_usable(work, bound)
    if config.weight and not exact:
        check_products(columns, source, largest)
    predicted = files_to_predict(config, source, start)
    gathering = _Gathering(parts, cache, predicted, executor)
    work, sums, left_out = _gathered(config, work, gathering)
    columns, notices = work.columns, notices + left_out
    check_rows(config, columns, source, sums)
    if exact and _is_coarse(work, sums):
        # rows that are left out, by filters or for a null, have far larger values than those that are used
        work = dataclasses.replace(work, largest=sums.largest)
        sums = gathering.total(work)
    if config.weight:
        notices += check_weights(config.weight, source, sums)
    notices += notices_of_rounding(columns, source, sums.largest)
    terms = Terms.of(config, columns.design, sums.levels, source.location)
    columns = dataclasses.replace(columns, design=terms.design)
    if terms.single:
        notices += (f"without a term, as all rows have one level: {', '.join(terms.single)}",)
    if config.weight and exact and terms.rounded:
        check_products(columns, source, sums.largest)
    if not no_folds and (no_folds := _too_many(terms.solved, cells.folds)):
        cells = dataclasses.replace(cells, folds=0)
    notices += no_folds
    notices += _notices_of_holdout(config, sums, terms)
    of_terms = sums.over_terms(terms)
    # as a rule all rows are in one of the two parts
    to_predict, unpredicted = (
        of_terms if part.account.read == sums.account.read else part.over_terms(terms)
        for part in (gathering.cells[True], gathering.cells[False])
    )
    if budget.needed > config.memory_bytes:
        needed = f"{budget.needed / 2**20:,.0f} MiB"
        notices += (f"memory={config.memory!r} is less than one read of so many columns takes, {needed}",)
    for notice in notices:
        logger.info(notice)
    return Ingested(
        source,
        columns,
        parts,
        budget,
        sums.largest,
        sums.least_weight if config.weight else 1.0,
        sums.whole_weights,
        of_terms.moments,
        sums.account,
        notices,
        gathering.scanned,
        gathering.predicted,
        to_predict,
        unpredicted.moments,
        start,
        of_terms.levels,
        cells,
        tuple(terms.over_terms(fold).moments for fold in sums.folds) if cells.folds else (),
        of_terms.held_out.moments if of_terms.held_out else None,
    )


def _notices_of_holdout(config: TrainingConfig, sums: Sums, terms: Terms) -> tuple[str, ...]:
    """The notices about the rows held out: that there are none, or have levels of which the fit knows nothing."""
    if sums.held_out is None:
        return ()
    if not sums.account.held_out:
        return (f"no error on held-out rows: holdout {config.holdout!r} matches no row that can be used; correct it",)
    unseen = ", ".join(f"{name} {rows:,}" for name, rows in terms.unseen(sums.held_out.levels).items())
    return (f"held-out rows with a level that the fit has not seen count as the reference: {unseen}",) if unseen else ()


def _cells(config: TrainingConfig, source: Source, n_numbers: int) -> tuple[RowCells, tuple[str, ...]]:
    """The cells of a run, and why there are no folds, if that is known before the rows are read."""
    source.check_columns(config.fold_by, "fold_by")
    for name in config.fold_by:
        if source.kind_of(name) == "other":
            raise SchemaError(
                f"{source.location}: column {name!r} is {source.schema.field(name).type}, which cannot decide a fold; "
                "fold_by takes numbers, text, booleans, dates and timestamps"
            )
    holdout = Holdout.of(source, config.holdout) if config.holdout else None
    no_folds = _too_many(n_numbers, config.folds)
    return RowCells(0 if no_folds else config.folds, config.fold_by, holdout), no_folds


def _too_many(n_terms: int, folds: int) -> tuple[str, ...]:
    """Why so many terms have no cross-validated error; empty where they have."""
    reason = why_no_folds(n_terms, folds)
    return (f"no cross-validated error: {reason}",) if reason else ()


@dataclass(slots=True, eq=False)
class _Gathering:
    """Sums over all files, which may be needed again: on a finer grid, or of fewer columns.

    Attributes:
        predicted: Indices of the files whose rows are to be predicted.
        scanned: Rows that passed the filters in each file that was read, by index.
        cells: The last sums over the rows of `predicted` (True), and over all others (False).
    """

    parts: tuple[Shard, ...]
    cache: Cache | None
    predicted: frozenset[int]
    executor: Executor
    scanned: dict[int, int] = field(default_factory=dict)
    cells: dict[bool, Sums] = field(default_factory=dict)

    def total(self, work: SumShard) -> Sums:
        waiting: dict[bool, list[Sums]] = {True: [work.nothing()], False: [work.nothing()]}
        try:
            for f, sums, is_cached in sums_by_file(work, self.parts, self.cache, self.executor):
                parts = waiting[f in self.predicted]
                parts.append(sums)
                if len(parts) > JOINED_AT_ONCE:
                    parts[:] = [Sums.joined(parts)]
                if not is_cached:
                    self.scanned[f] = sums.account.read
        except TooManyLevels as many:
            raise DataError(f"{work.source.location}: {refusal(work.columns.design, many)}") from many
        self.cells = {where: Sums.joined(parts) for where, parts in waiting.items()}
        return self.cells[True] + self.cells[False]


def _gathered(config: TrainingConfig, work: SumShard, gathering: _Gathering) -> tuple[SumShard, Sums, tuple[str, ...]]:
    """The sums, without columns that nobody named and that are null in every row, and a notice about these."""
    sums = gathering.total(work)
    missing = by_column([of.column for of in work.columns.asked], sums.account.missing)
    empty = [name for name in work.columns.features if missing.get(name) == sums.account.read > 0]
    if not empty or config.features is not None:
        return work, sums, ()  # an error follows where the user named such a column
    work = work.without(empty)
    return work, gathering.total(work), (f"left out, null in every row: {', '.join(empty)}",)


def _is_coarse(work: SumShard, sums: Sums) -> bool:
    """Whether the grid, made for the largest values of all rows, is too coarse for the rows used."""
    wanted = grid_exponents(sums.largest)
    moved = work.exponents > wanted
    if not moved.any():
        return False
    assert isinstance(sums.moments, Moments)
    if not sums.moments.weight:  # all weights were rounded to nothing
        return True
    variances = CrossProducts.of(sums.moments, centred=True).variances()
    scales = [square_root(variance) for variance in variances]
    if work.columns.weight:
        scales.append(sums.least_weight)
    return bool((moved & (np.ldexp(1.0, work.exponents) > COARSEST_STEP * np.array(scales))).any())
