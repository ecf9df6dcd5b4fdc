"""Ingest: from Parquet files to exact sums."""

import dataclasses
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.config import EXACT_FEATURES, TrainingConfig
from gdpipe.cross_validation import why_no_folds
from gdpipe.design import Number
from gdpipe.engine import worker_count
from gdpipe.errors import DataError, SchemaError
from gdpipe.filters import filter_columns
from gdpipe.numerics.problem.covariance import LARGEST_SCALE, CrossProducts, square_root
from gdpipe.numerics.sums.float_moments import Float64Moments, beyond_float64
from gdpipe.numerics.sums.level_index import TooManyLevels
from gdpipe.numerics.sums.levels import Key, LevelSums
from gdpipe.numerics.sums.moments import Moments, grid_exponents
from gdpipe.printable import counted, logger_named
from gdpipe.source.budget import Budget
from gdpipe.source.listing import notices_of
from gdpipe.source.scan import Shard, budget_for, shards
from gdpipe.source.source import Source
from gdpipe.stages.bounds import bounds_of
from gdpipe.stages.cached_sums import sums_by_file
from gdpipe.stages.columns import Columns, choose_columns
from gdpipe.stages.of_terms import over_terms
from gdpipe.stages.previous import Start
from gdpipe.stages.published import files_to_predict
from gdpipe.stages.scan.row_cells import ONE_CELL, Holdout, RowCells
from gdpipe.stages.scan.row_sums import Account, Sums, by_column
from gdpipe.stages.scan.sum_shard import SumShard, check_usable
from gdpipe.store.cache import Cache
from gdpipe.store.runs import place_at
from gdpipe.terms import Terms, refusal

logger = logger_named(__name__)

# largest ratio of two weights; with a larger one the smaller weights lose digits on the common grid
WEIGHT_RANGE = 1e9
# largest step of the grid, in standard deviations of the column
COARSEST_STEP = 2.0**-32


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
    moments: Moments | Float64Moments
    rows: Account
    notices: tuple[str, ...]
    scanned: dict[int, int]
    predicted: frozenset[int]
    to_predict: Sums
    unpredicted: Moments | Float64Moments
    start: Start
    levels: Mapping[Key, LevelSums]
    cells: RowCells = ONE_CELL
    by_fold: tuple[Moments | Float64Moments, ...] = ()
    held_out: Moments | Float64Moments | None = None

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
    notices += notices_of(source.passed_over)
    few = len(columns.design.numbers) <= EXACT_FEATURES
    exact = few if config.arithmetic == "auto" else config.arithmetic == "exact"
    exact = exact or bool(columns.design.categories)  # sums by level are
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
        _check_products(columns, source, largest)
    predicted = files_to_predict(config, source, start)
    gathering = _Gathering(parts, cache, predicted, executor)
    work, sums, left_out = _gathered(config, work, gathering)
    columns, notices = work.columns, notices + left_out
    _check(config, columns, source, sums)
    if exact and _is_coarse(work, sums):
        # rows that are left out, by filters or for a null, have far larger values than those that are used
        work = dataclasses.replace(work, largest=sums.largest)
        sums = gathering.total(work)
    if config.weight:
        notices += _check_weights(config.weight, source, sums)
    notices += _notices_of_rounding(columns, source, sums.largest)
    terms = Terms.of(config, columns.design, sums.levels, source.location)
    columns = dataclasses.replace(columns, design=terms.design)
    if terms.single:
        notices += (f"without a term, as there is one level: {', '.join(terms.single)}",)
    if config.weight and exact and not terms.exact:
        _check_products(columns, source, sums.largest)
    if not no_folds and (no_folds := _too_many(len(terms.design.terms), cells.folds)):
        cells = dataclasses.replace(cells, folds=0)
    notices += no_folds
    if cells.holdout and not sums.account.held_out:
        notices += (f"no error on held-out rows: holdout {config.holdout!r} matches no row that can be used",)
    of_terms, to_predict, unpredicted = (
        over_terms(terms, part) for part in (sums, gathering.cells[True], gathering.cells[False])
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
        self.cells = {True: work.nothing(), False: work.nothing()}
        try:
            for f, sums, is_cached in sums_by_file(work, self.parts, self.cache, self.executor):
                self.cells[f in self.predicted] += sums
                if not is_cached:
                    self.scanned[f] = sums.account.read
        except TooManyLevels as many:
            raise DataError(f"{work.source.location}: {refusal(work.columns.design, many)}") from many
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


def _check(config: TrainingConfig, columns: Columns, source: Source, sums: Sums) -> None:
    if not sums.account.read:
        found = f"filters {config.filters!r} match nothing" if config.filters else "the files hold no row"
        raise DataError(f"{source.location}: {found}")
    if config.null_policy == "fail" and sums.first_missing is not None:
        first = sums.first_missing
        count = by_column([of.column for of in columns.asked], sums.account.missing)[first.column]
        raise DataError(
            f"{first.path}: column {first.column!r} is null or NaN in {counted(count, 'row')}, first in row {first.row}"
            "; null_policy='drop' leaves such rows out"
        )
    if not sums.moments.n_samples and sums.account.held_out:
        raise DataError(
            f"{source.location}: holdout {config.holdout!r} matches all {sums.account.held_out:,} rows that can be "
            "used; hold fewer out, so that some are left to fit"
        )
    if not sums.moments.n_samples:
        missing = by_column([of.column for of in columns.asked], sums.account.missing)
        gaps = ", ".join(f"{name} {count:,}" for name, count in missing.items())
        reason = (
            f"all weights are zero or rows incomplete ({gaps or 'no nulls'})" if columns.weight else f"null in: {gaps}"
        )
        raise DataError(f"{source.location}: none of {counted(sums.account.read, 'row')} can be used; {reason}")


def _check_products(columns: Columns, source: Source, largest: NDArray[np.float64]) -> None:
    """Check that float64 holds the products of weights and values, for sums in float64."""
    weight = float(largest[-1])
    for j in beyond_float64(largest[:-1], weight) if weight else ():
        raise DataError(
            f"{source.location}: column {columns.summed[j]!r} reaches {largest[j]:g} with weights up to {weight:g}; "
            "float64 does not hold the products: divide all weights by one number, or set arithmetic to exact"
        )


def _check_weights(name: str, source: Source, sums: Sums) -> tuple[str, ...]:
    """Notices about the weights, after a check that the least has enough digits on the weights' common grid."""
    largest = float(sums.largest[-1])
    if not 1 / LARGEST_SCALE <= largest <= LARGEST_SCALE or largest > sums.least_weight * WEIGHT_RANGE:
        raise DataError(
            f"{source.location}: weight column {name!r} ranges from {sums.least_weight:g} to {largest:g}; "
            f"weights must lie within a factor of {WEIGHT_RANGE:g} of each other, and of 1e-150 and 1e150; rescale them"
        )
    if sums.whole_weights:
        return ()
    return (f"weights are not whole numbers: standard errors take them as counts of rows all the same ({name})",)


def _notices_of_rounding(columns: Columns, source: Source, largest: NDArray[np.float64]) -> tuple[str, ...]:
    plain = [factors[0].input.column if _is_column(factors) else None for factors in columns.design.numbers]
    names = [*plain, columns.target, *([columns.weight] if columns.weight else [])]
    beyond = [
        name
        for name, size in zip(names, largest.tolist(), strict=True)
        if name and size > 2**53 and pa.types.is_integer(source.schema.field(name).type)
    ]
    return (f"integers beyond 2^53 are rounded to float64: {', '.join(beyond)}",) if beyond else ()


def _is_column(factors: tuple[Number, ...]) -> bool:
    """Whether a product of numbers is a column as it is."""
    return len(factors) == 1 and not (factors[0].functions or factors[0].input.part)
