"""Cached sums of each input file, so that a retrain reads only files that are new."""

import contextlib
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from gdpipe.design import Design
from gdpipe.filters import Filters, filter_columns, filter_groups
from gdpipe.numerics.problem.contradictions import contradictions, level_contradictions
from gdpipe.numerics.sums.folds import VERSION as FOLDS_VERSION
from gdpipe.numerics.sums.moments import Moments
from gdpipe.printable import counted, logger_named
from gdpipe.source.files import first_line
from gdpipe.source.scan import Shard
from gdpipe.source.source_file import SourceFile
from gdpipe.stages.scan.cells_json import cell_contradictions
from gdpipe.stages.scan.row_sums import VERSION, Sums, by_column
from gdpipe.stages.scan.sum_shard import SumShard
from gdpipe.stages.scanned import scanned
from gdpipe.store.cache import Cache

logger = logger_named(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class CachedSums:
    """Access to the cached sums of a source's files, for the columns and filters of one run.

    Attributes:
        cache: The cache of the output.
        work: The function that sums a shard.
    """

    cache: Cache
    work: SumShard

    def load(self, f: int) -> Sums | None:
        """A file's sums; None where the cache has none that are whole."""
        file, of = self.work.source.files[f], self._of(f)
        entry = self.cache.load(of)
        if entry is None:
            return None
        columns = self.work.columns
        try:
            sums = Sums.from_json(
                entry,
                len(columns.design.numbers) + 1,
                weighted=columns.weight is not None,
                n_read=len(columns.asked),
                orders=columns.design.orders,
                folds=self.work.cells.folds,
            )
            for reason in self._contradictions(file, sums):
                raise ValueError(f"no rows have such sums: {reason}")
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.cache.discard(of, f"damaged ({first_line(error)})")
            return None
        return sums

    def _contradictions(self, file: SourceFile, sums: Sums) -> Iterator[str]:
        """Reasons why these sums cannot be those of a file's rows; empty where they can be."""
        moments, account, columns = sums.moments, sums.account, self.work.columns
        assert isinstance(moments, Moments)
        weighted, grid = columns.weight is not None, self.work.exponents.tolist()
        if [*moments.exponents.tolist(), moments.weight_exponent] != (grid if weighted else [*grid, 0]):
            yield "their grid is another"
        complete = account.used + account.zero_weight + account.held_out
        missing, all_used = account.missing.tolist(), sums.total + sums.held_out if sums.held_out else sums.total
        rows = sum(file.group_rows[g] for g in file.wanted_groups)
        if account.read > rows or (account.read < rows and not file.filtered):
            yield f"{account.read:,} rows read of {rows:,}"
        # a row left out misses one column at least, and may miss all
        if not complete + max(missing) <= account.read <= complete + sum(missing):
            yield f"{account.read:,} rows read, {account.used:,} used, {sum(missing):,} values missing"
        if (sums.first_missing is not None) != any(missing):
            yield "a first missing value is named where there is none, or none where there is one"
        if first := sums.first_missing:
            in_column = by_column([of.column for of in columns.asked], account.missing).get(first.column)
            if first.path != file.path or first.row >= sum(file.group_rows) or not in_column:
                yield f"no value is missing in column {first.column!r} of {first.path}, row {first.row}"
        if not weighted and (account.zero_weight or moments.weight != account.used or math.isfinite(sums.least_weight)):
            yield f"{account.used:,} rows without weights weigh {moments.weight:,}"
        if weighted and account.used + account.held_out and sums.whole_weights:
            ends = sums.least_weight, float(sums.largest[-1])
            if not all(end.is_integer() for end in ends):
                yield f"weights from {ends[0]:g} to {ends[1]:g} are not whole"
        assert isinstance(all_used.moments, Moments)
        yield from contradictions(all_used.moments, sums.largest, sums.least_weight)
        for cell in (*sums.folds, *([sums.total, sums.held_out] if sums.held_out else [])):
            yield from cell_contradictions(cell)
        yield from level_contradictions(moments, sums.levels)

    def store(self, f: int, sums: Sums) -> None:
        """Write a file's sums to the cache.

        Raises:
            PublishError: They cannot be written.
        """
        self.cache.store(self._of(f), sums.to_json())

    def _of(self, f: int) -> dict[str, Any]:
        """All that a file's sums depend on, as plain values."""
        file, columns, cells = self.work.source.files[f], self.work.columns, self.work.cells_of(f)
        filters, holdout = self.work.source.filters if file.filtered else None, cells.holdout
        return {
            "version": VERSION,
            "file": file.fingerprint,
            "columns": [_column(file, name) for name in columns.fitted],
            "weighted": columns.weight is not None,
            **summed(columns.design),
            # None where all rows of the file pass: a year of monthly windows then reads every file once
            "filters": plain_filters(filters) if filters else None,
            # columns that the file lacks are only in alternatives that its partition values rule out
            "filtered_by": [_column(file, name) for name in filter_columns(filters) if file.has(name)],
            "grid": self.work.exponents.tolist(),
            "folds": [FOLDS_VERSION, cells.folds, [_column(file, name) for name in cells.fold_by]],
            # None where no row of the file is held out, or each is
            "holdout": plain_filters(holdout.filters) if holdout else None,
            "held_out_by": [_column(file, name) for name in holdout.columns(self.work.source, f)] if holdout else [],
        }


def sums_by_file(
    work: SumShard, parts: Sequence[Shard], cache: Cache | None, executor: Executor
) -> Iterator[tuple[int, Sums, bool]]:
    """The index of each file, its sums, and whether they were cached; first the cached ones, then the others.

    A file's sums are written to the cache as soon as its last shard is summed, so that the next run finds them even if
    this one is killed.

    Raises:
        DataError: A file is damaged, or was changed while it was read.
        PublishError: The cache cannot be written.
    """
    source, cached = work.source, CachedSums(cache, work) if cache else None
    waiting: list[Shard] = []
    for f, shards in itertools.groupby(parts, key=lambda shard: shard.file):
        if cached and (sums := cached.load(f)):
            yield f, work.in_cells(f, sums), True
        else:
            waiting += shards
    files, to_read = (len({shard.file for shard in which}) for which in (parts, waiting))
    if to_read < files:
        logger.info("sums of %s kept, %s to read", counted(files - to_read, "file"), f"{to_read:,}")
    # closed, so that reading ends where the cache cannot be written
    with contextlib.closing(scanned(work, waiting, executor, "read")) as results:
        cells = itertools.chain.from_iterable(result.items() for result in results)
        for f, of_file in itertools.groupby(cells, key=lambda cell: cell[0]):
            sums = functools.reduce(Sums.__add__, (part for _, part in of_file))
            source.check_as_listed(source.files[f])
            if cached:
                cached.store(f, sums)
            yield f, work.in_cells(f, sums), False


def _column(file: SourceFile, name: str) -> list[Any]:
    # a partition column has the folder's value, even if the file has a column of that name
    if name in file.partition:
        return [name, "partition", file.partition[name]]
    return [name, str(file.schema.field(name).type)]


def summed(design: Design) -> dict[str, Any]:
    """What is summed, as plain values; names and references change no sum."""
    inputs = [[of.column, of.part, of.levels] for of in design.inputs]
    numbers = [[[design.inputs.index(f.input), list(f.functions)] for f in factors] for factors in design.numbers]
    return {"inputs": inputs, "numbers": numbers, "levels_of": [[list(key), n] for key, n in design.orders.items()]}


def plain_filters(filters: Filters) -> list[list[list[str]]]:
    """Filters with values as Python writes them, so that 6, '6' and 6.0 differ."""
    return [[[column, how, repr(value)] for column, how, value in group] for group in filter_groups(filters)]
