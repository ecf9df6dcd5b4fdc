"""Each input file's sums, kept from one run to the next: a retrain reads only the files that are new."""

import contextlib
import functools
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.errors import DataError
from gdpipe.filters import Filters, filter_columns, filter_groups
from gdpipe.stages.columns import Columns
from gdpipe.stages.progress import reported
from gdpipe.stages.row_sums import VERSION, RowSums
from gdpipe.tables.kept import Kept, key_of
from gdpipe.tables.scan import Shard
from gdpipe.tables.source import Source
from gdpipe.tables.source_file import SourceFile

logger = logging.getLogger(__name__)

_OF = b"gdpipe.of"


@dataclass(frozen=True, slots=True, eq=False)
class KeptSums:
    """The sums of a source's files, as one run wants them.

    Attributes:
        kept: Where they are.
        source: The files.
        columns: Which are summed.
        exponents: The grid, shape (k,), of all that `columns.fitted` names.
    """

    kept: Kept
    source: Source
    columns: Columns
    exponents: NDArray[np.int64]

    def load(self, file: SourceFile) -> RowSums | None:
        """A file's sums, if they were kept and are whole."""
        of = self._of(file)
        key = key_of(of)
        table = self.kept.load(key)
        if table is None:
            return None
        try:
            if json.loads((table.schema.metadata or {})[_OF]) != of:
                raise DataError("it is of something else")
            sums = RowSums.from_table(table, self._summed, self.columns.fitted)
        except (DataError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            self.kept.discard(key, f"damaged ({error})")
            return None
        return sums

    def store(self, file: SourceFile, sums: RowSums) -> None:
        """Keep a file's sums; but not those of a file that was changed while it was read.

        Raises:
            PublishError: They cannot be written.
        """
        if not self.source.is_as_listed(file):
            logger.warning("%s was changed while it was read; its sums are not kept", file.path)
            return
        of = self._of(file)
        table = sums.to_table(self._summed, self.columns.fitted)
        self.kept.store(key_of(of), table.replace_schema_metadata({**table.schema.metadata, _OF: json.dumps(of)}))

    @property
    def _summed(self) -> Sequence[str]:
        return (*self.columns.features, self.columns.target)

    def _of(self, file: SourceFile) -> dict[str, Any]:
        """All that a file's sums depend on, in plain words."""
        filters = self.source.filters if file.filtered else None
        return {
            "version": VERSION,
            "file": file.fingerprint,
            "columns": [_column(file, name) for name in self.columns.fitted],
            "weighted": self.columns.weight is not None,
            # a filter that keeps every row of a file is no filter: a year of monthly windows reads every file once
            "filters": _plain(filters) if filters else None,
            # what it lacks is asked for in alternatives that its partition rules out
            "filtered_by": [_column(file, name) for name in filter_columns(filters) if file.has(name)],
            "grid": self.exponents.tolist(),
        }


def sums_by_file(
    work: Callable[[Shard], RowSums], source: Source, parts: Sequence[Shard], kept: KeptSums | None, executor: Executor
) -> Iterator[tuple[int, RowSums, bool]]:
    """Each file's index, its sums, and whether they were kept: first those that were, then the others as they come.

    A file's sums are kept as soon as its last shard is summed: a run that is killed leaves them to the next.

    Raises:
        DataError: A file is damaged.
        PublishError: Sums cannot be kept.
    """
    waiting: list[Shard] = []
    files = 0
    for f, shards in itertools.groupby(parts, key=lambda shard: shard.file):
        sums = kept.load(source.files[f]) if kept else None
        files += 1
        if sums is None:
            waiting += shards
        else:
            yield f, sums, True
    to_read = len({shard.file for shard in waiting})
    if to_read < files:
        logger.info("sums of %s files kept, %s to read", f"{files - to_read:,}", f"{to_read:,}")
    # closed, so that nobody reads on where sums cannot be kept
    with contextlib.closing(reported(executor.map(work, waiting), source, waiting, "read")) as results:
        # not strict: a plan's executor leaves shards out, and then only the sums of all files together mean anything
        for f, pairs in itertools.groupby(zip(waiting, results, strict=False), key=lambda pair: pair[0].file):
            sums = functools.reduce(RowSums.__add__, (result for _, result in pairs))
            if kept:
                kept.store(source.files[f], sums)
            yield f, sums, False


def _column(file: SourceFile, name: str) -> list[Any]:
    # a partition column's value is the folder's, whatever the file has under that name
    return (
        [name, "partition", file.partition[name]]
        if name in file.partition
        else [name, str(file.schema.field(name).type)]
    )


def _plain(filters: Filters) -> list[list[list[str]]]:
    """Values as Python writes them: 6, '6' and 6.0 are three."""
    return [[[column, how, repr(value)] for column, how, value in group] for group in filter_groups(filters)]
