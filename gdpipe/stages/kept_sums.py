"""Each input file's sums, kept from one run to the next: a retrain reads only the files that are new."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.config import Filters, filter_groups
from gdpipe.errors import DataError
from gdpipe.stages.columns import Columns
from gdpipe.stages.row_sums import VERSION, RowSums
from gdpipe.tables.kept import Kept, key_of
from gdpipe.tables.source import Source, SourceFile

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
        except (DataError, KeyError, ValueError) as error:
            self.kept.discard(key, f"damaged ({error})")
            return None
        return sums

    def store(self, file: SourceFile, sums: RowSums) -> None:
        """Keep a file's sums.

        Raises:
            PublishError: They cannot be written.
        """
        of = self._of(file)
        table = sums.to_table(self._summed, self.columns.fitted)
        self.kept.store(key_of(of), table.replace_schema_metadata({**table.schema.metadata, _OF: json.dumps(of)}))

    @property
    def _summed(self) -> Sequence[str]:
        return (*self.columns.features, self.columns.target)

    def _of(self, file: SourceFile) -> dict[str, Any]:
        """All that a file's sums depend on, in plain words."""
        filters = self.source.filters if file.filtered else None
        filtered_by = sorted({c for group in filter_groups(filters) for c, _, _ in group}) if filters else []
        return {
            "version": VERSION,
            "file": file.fingerprint,
            "columns": [_column(file, name) for name in self.columns.fitted],
            "weighted": self.columns.weight is not None,
            # a filter that keeps every row of a file is no filter: a year of monthly windows reads every file once
            "filters": _plain(filters) if filters else None,
            "filtered_by": [_column(file, name) for name in filtered_by],
            "grid": self.exponents.tolist(),
        }


def _column(file: SourceFile, name: str) -> list[Any]:
    # a partition column's value is the folder's, whatever the file has under that name
    return (
        [name, "partition", file.partition[name]]
        if name in file.partition
        else [name, str(file.schema.field(name).type)]
    )


def _plain(filters: Filters) -> list[list[list[str]]]:
    """Values as Python writes them: 6, '6' and a date are three; a set in an order of its own."""
    return [[[column, how, _written(value)] for column, how, value in group] for group in filter_groups(filters)]


def _written(value: Any) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, (set, frozenset)) else repr(value)
