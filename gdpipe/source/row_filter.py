"""Filters at work: which files, row groups and rows may pass, or do."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gdpipe.errors import ConfigError, SchemaError
from gdpipe.filters import Condition as Filter
from gdpipe.filters import Filters, filter_columns, filter_groups
from gdpipe.source.bounds import Bounds, partition_bounds
from gdpipe.source.conditions import Condition
from gdpipe.source.literals import NotComparableError
from gdpipe.source.schemas import not_everywhere, not_there
from gdpipe.source.source_file import SourceFile

Compiled = list[list[tuple[str, Condition]]]


class RowFilter:
    """Filters of a source: alternatives, of which one must hold whole.

    Args:
        filters: Rows to use, normalized.
        partitions: The partition columns.

    Attributes:
        columns: Those that are asked for.

    Raises:
        ConfigError: A value cannot be compared with a partition column.
    """

    def __init__(self, filters: Filters, partitions: pa.Schema) -> None:
        self.columns = filter_columns(filters)
        self._partitions, self._groups = partitions, filter_groups(filters)
        # the conditions that a folder's name answers
        self._of_folders = [
            [(c, _condition(partitions, c, operator, value)) for c, operator, value in group if c in partitions.names]
            for group in self._groups
        ]

    def alternatives(self, partition: dict[str, Any]) -> list[list[Filter]]:
        """Those that a folder's partition values do not rule out: of the others its files may lack the columns."""
        known = partition_bounds(partition, 1)
        return [
            group
            for group, of_folder in zip(self._groups, self._of_folders, strict=True)
            if all(condition.may_pass(known[column]) for column, condition in of_folder)
        ]

    def compiled(self, file: SourceFile) -> Compiled:
        """The conditions of a file's alternatives, for the types that the columns have in it.

        Raises:
            ConfigError: A value cannot be compared with a column.
        """

        def condition(column: str, operator: str, value: Any) -> tuple[str, Condition]:
            schema = self._partitions if column in file.partition else file.schema
            return column, _condition(schema, column, operator, value)

        return [[condition(*asked) for asked in group] for group in self.alternatives(file.partition)]

    def passing(self, compiled: Compiled, batch: pa.RecordBatch) -> pa.BooleanArray:
        """A mask of a batch's rows that pass the conditions, compiled for its types; shape (m,), none is null."""
        of_groups = [
            functools.reduce(pc.and_, [condition.passes(batch.column(column)) for column, condition in group])
            for group in compiled
        ]
        return functools.reduce(pc.or_, of_groups)

    def pruned(self, file: SourceFile, known: Iterable[tuple[int, Mapping[str, Bounds]]]) -> SourceFile:
        """The file, told which of its row groups may hold rows that pass, and whether all of its rows do.

        Args:
            file: As its footer describes it.
            known: Of each row group that has rows, its index and the bounds of `columns`; asked when it is needed.

        Raises:
            ConfigError: A value cannot be compared with a column.
            SchemaError: A column is there twice.
        """
        for name in self.columns:
            if name not in file.partition and file.schema.names.count(name) > 1:
                raise SchemaError(f"{file.path}: filter column {name!r} is there twice; rename one of them")
        if self._lacking(file):
            return file  # `check` says so, when it is known whether another file has the column
        compiled = self.compiled(file) if any(file.group_rows) else []
        wanted, filtered = [], False
        for g, of_group in known:
            bounds = {**of_group, **partition_bounds(file.partition, file.group_rows[g])}
            if any(all(condition.may_pass(bounds[c]) for c, condition in group) for group in compiled):
                wanted.append(g)
            filtered |= not any(not any(condition.may_fail(bounds[c]) for c, condition in group) for group in compiled)
        return dataclasses.replace(file, wanted_groups=tuple(wanted), filtered=filtered)

    def check(self, where: str, files: Sequence[SourceFile]) -> None:
        """See that the files that were opened have the columns of the filters.

        Raises:
            SchemaError: One is missing in all files, or in one.
        """
        having: dict[str, str] = {}
        for file in files:
            for name in file.schema.names:
                having.setdefault(name, file.path)
        names = list(dict.fromkeys([*having, *self._partitions.names]))
        for name in self.columns:
            if name not in names:
                raise not_there(where, name, "filter", names)
        for file in files:
            for name in self._lacking(file):
                raise not_everywhere(file.path, name, "filter", having[name])

    def _lacking(self, file: SourceFile) -> list[str]:
        """The columns that a file has not, though its rows may be asked for them."""
        asked = {column for group in self.alternatives(file.partition) for column, _, _ in group}
        return sorted(asked - {*file.partition, *file.schema.names}) if any(file.group_rows) else []


def _condition(schema: pa.Schema, column: str, operator: str, value: Any) -> Condition:
    kind = schema.field(column).type
    try:
        return Condition.of(kind, operator, value)
    except NotComparableError as error:
        raise ConfigError(f"filters {[column, operator, value]!r}: column {column!r} is {kind}; {error}") from None
