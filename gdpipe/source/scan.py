"""Shards of a source, and the rows in them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gdpipe.design import Input
from gdpipe.errors import DataError
from gdpipe.filters import filter_columns
from gdpipe.source.arrays import repeated, to_arrow
from gdpipe.source.budget import BYTES_PER_NUMBER, Budget, batch_rows, read_needs
from gdpipe.source.columns import NOT_UTF8
from gdpipe.source.files import reading
from gdpipe.source.source import Source
from gdpipe.source.source_file import SourceFile, without_views
from gdpipe.tally import counter

SHARD_BYTES = 128 * 2**20
# the name of the column with each row's position in its file, added to the columns that a caller names
ROW = "__gdpipe_row__"


@dataclass(frozen=True, slots=True)
class Shard:
    """Row groups of one file that are worked on together: small enough for memory, large enough to be worth it.

    Attributes:
        number: Place in the input order, from 0.
        file: Index among the source's files.
        row_groups: Consecutive ones that the filters may match.
    """

    number: int
    file: int
    row_groups: tuple[int, ...]


def shards(source: Source, n_columns: int, shard_bytes: int = SHARD_BYTES) -> list[Shard]:
    """Put row groups together until a shard holds about `shard_bytes`, decoded."""
    found: list[Shard] = []
    for f, file in enumerate(source.files):
        groups: list[int] = []
        held = 0
        for g in file.wanted_groups:
            size = file.group_rows[g] * max(n_columns, 1) * BYTES_PER_NUMBER
            if groups and held + size > shard_bytes:
                found.append(Shard(len(found), f, tuple(groups)))
                groups, held = [], 0
            groups.append(g)
            held += size
        if groups:
            found.append(Shard(len(found), f, tuple(groups)))
    return found


def decoded_bytes(source: Source, shards: Sequence[Shard], n_columns: int) -> int:
    """Bytes of so many columns of shards, once they are decoded."""
    rows = sum(source.files[shard.file].group_rows[g] for shard in shards for g in shard.row_groups)
    return rows * n_columns * BYTES_PER_NUMBER


def budget_for(
    source: Source, shards: Sequence[Shard], names: Sequence[str], memory_bytes: int, workers: int
) -> Budget:
    """What a process with so many workers may hold while it reads these columns of these shards."""
    n_columns = len({*names, *filter_columns(source.filters)})
    rows = batch_rows(memory_bytes, workers, n_columns)
    largest = max((source.files[s.file].group_rows[g] for s in shards for g in s.row_groups), default=0)
    of_column = max((source.files[s.file].column_bytes for s in shards), default=0)
    needed = read_needs(n_columns, rows, largest, of_column, source.opened.read_bytes)
    return Budget.of(memory_bytes, workers, len(shards), rows, needed)


def read(source: Source, shard: Shard, columns: Sequence[str | Input], budget: Budget) -> Iterator[pa.RecordBatch]:
    """The rows of a shard that pass the filters, in order, with their position in the file as column `ROW`.

    Args:
        source: The source.
        shard: The row groups.
        columns: Columns that are in the file or given by its folder. Text of which only the levels are asked for, as an
            `Input`, comes as a dictionary, which takes a tenth of the time.
        budget: The rows of a batch, and whether to decode ahead.

    Raises:
        DataError: The file has changed, a page in it is damaged, or levels are not UTF-8.
    """
    asked: dict[str, list[Input | None]] = {}
    for each in columns:
        if isinstance(each, str):
            asked.setdefault(each, []).append(None)
        else:
            asked.setdefault(each.column, []).append(each)
    levels = [name for name, uses in asked.items() if all(of is not None and of.levels == "text" for of in uses)]
    found = _read(source, shard, list(asked), levels, budget.batch_rows, counter())
    return _ahead(found) if budget.ahead else found


def _ahead(found: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, of which another thread decodes the next one."""
    with ThreadPoolExecutor(1, thread_name_prefix="gdpipe-ahead") as thread:
        coming = thread.submit(next, found, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, found, None)
            yield batch


def _read(
    source: Source, shard: Shard, columns: list[str], levels: list[str], at_once: int, count: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    file = source.files[shard.file]
    row_filter = source.row_filter() if file.filtered else None
    compiled = row_filter.compiled(file) if row_filter else []
    asked = [name for name in row_filter.columns if file.has(name)] if row_filter else []
    wanted = list(dict.fromkeys([*columns, *asked]))
    # partition columns are in no file, so the rows are counted by a column that is
    stored = [name for name in wanted if name not in file.partition] or file.schema.names[:1]
    dictionaries = frozenset(name for name in levels if name in stored and name not in asked)
    starts = [0, *itertools.accumulate(file.group_rows)]
    try:
        with source.opened.reader(file, dictionaries) as parquet:
            for group in shard.row_groups:
                row = starts[group]
                for decoded in _decode(parquet, file, group, stored, at_once):
                    for name in levels:
                        if name in stored:
                            _check_utf8(decoded.column(name), file, name)
                    batch = _complete(decoded, file, wanted, source.schema, row)
                    row += decoded.num_rows
                    count(decoded.num_rows)
                    if row_filter is None:
                        yield batch
                    else:
                        yield batch.select([*columns, ROW]).filter(row_filter.passing(compiled, batch))
    finally:
        # Arrow's pool has a part for each thread, and each part would keep the memory of its peak
        pa.default_memory_pool().release_unused()


def _decode(
    parquet: pq.ParquetFile, file: SourceFile, group: int, stored: list[str], at_once: int
) -> Iterator[pa.RecordBatch]:
    rows = 0
    with reading(file.path, group):
        for batch in parquet.iter_batches(at_once, row_groups=[group], columns=stored, use_threads=False):
            rows += batch.num_rows
            yield batch.select(stored)
    if rows != file.group_rows[group]:
        raise DataError(
            f"{file.path}: row group {group} holds {rows} rows where its footer says {file.group_rows[group]}"
        )


def _check_utf8(column: pa.Array, file: SourceFile, name: str) -> None:
    """Check that text is UTF-8: of a dictionary, each value once."""
    try:
        column.validate(full=True)
        if pa.types.is_dictionary(column.type):
            column.dictionary.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DataError(f"{file.path}: column {name!r} {NOT_UTF8}") from error


def _complete(
    decoded: pa.RecordBatch, file: SourceFile, wanted: list[str], schema: pa.Schema, row: int
) -> pa.RecordBatch:
    """The batch with partition columns and row numbers added."""
    n = decoded.num_rows
    arrays = [
        repeated(file.partition[name], schema.field(name).type, n)
        if name in file.partition
        else _stored(decoded.column(name))
        for name in wanted
    ]
    positions = to_arrow(np.arange(row, row + n), pa.int64())
    return pa.RecordBatch.from_arrays([*arrays, positions], names=[*wanted, ROW])


def _stored(column: pa.Array) -> pa.Array:
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    kind = without_views(column.type)
    return column if kind == column.type else column.cast(kind)
