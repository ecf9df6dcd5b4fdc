"""Filters applied to files, row groups and rows."""

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
    """Filters of a source: alternatives, which are lists of conditions; all conditions of one must hold.

    Args:
        filters: Rows to use, normalized.
        partitions: The partition columns.
        setting: The setting that they are the value of.

    Attributes:
        columns: The columns in the conditions.

    Raises:
        ConfigError: A value cannot be compared with a partition column.
    """

    def __init__(self, filters: Filters, partitions: pa.Schema, setting: str = "filters") -> None:
        self._setting = setting
        self._role = "filter" if setting == "filters" else setting
        self.columns = filter_columns(filters)
        self._partitions, self._groups = partitions, filter_groups(filters)
        # the conditions on partition columns
        self._on_partitions = [
            [
                (c, self._condition(partitions, c, operator, value))
                for c, operator, value in group
                if c in partitions.names
            ]
            for group in self._groups
        ]

    def alternatives(self, partition: dict[str, Any]) -> list[list[Filter]]:
        """The alternatives that a folder's partition values do not rule out; files may lack columns of the others."""
        known = partition_bounds(partition, 1)
        return [
            group
            for group, on_partitions in zip(self._groups, self._on_partitions, strict=True)
            if all(condition.may_pass(known[column]) for column, condition in on_partitions)
        ]

    def compiled(self, file: SourceFile) -> Compiled:
        """The conditions of a file's alternatives, compiled for its columns' types.

        Raises:
            ConfigError: A value cannot be compared with a column.
        """

        def condition(column: str, operator: str, value: Any) -> tuple[str, Condition]:
            schema = self._partitions if column in file.partition else file.schema
            return column, self._condition(schema, column, operator, value)

        return [[condition(*asked) for asked in group] for group in self.alternatives(file.partition)]

    def passing(self, compiled: Compiled, batch: pa.RecordBatch) -> pa.BooleanArray:
        """A mask of a batch's rows that pass the compiled conditions, shape (m,), without nulls."""
        of_groups = [
            functools.reduce(pc.and_, [condition.passes(batch.column(column)) for column, condition in group])
            for group in compiled
        ]
        return functools.reduce(pc.or_, of_groups)

    def pruned(self, file: SourceFile, known: Iterable[tuple[int, Mapping[str, Bounds]]]) -> SourceFile:
        """The file with `wanted_groups`, the row groups that may have rows that pass, and `filtered`.

        Args:
            file: The file with what its footer says.
            known: The index of each row group that has rows, and the bounds of `columns` in it; read only if needed.

        Raises:
            ConfigError: A value cannot be compared with a column.
            SchemaError: The file has a column twice.
        """
        for name in self.columns:
            if name not in file.partition and file.schema.names.count(name) > 1:
                raise SchemaError(f"{file.path}: {self._role} column {name!r} is there twice; rename one of them")
        if self._lacking(file):
            return file  # `check` raises an error, once it is known whether another file has the column
        compiled = self.compiled(file) if any(file.group_rows) else []
        wanted, filtered = [], False
        for g, bounds_in_group in known:
            bounds = {**bounds_in_group, **partition_bounds(file.partition, file.group_rows[g])}
            if any(all(condition.may_pass(bounds[c]) for c, condition in group) for group in compiled):
                wanted.append(g)
            filtered |= not any(not any(condition.may_fail(bounds[c]) for c, condition in group) for group in compiled)
        return dataclasses.replace(file, wanted_groups=tuple(wanted), filtered=filtered)

    def check(self, where: str, files: Sequence[SourceFile]) -> None:
        """Check that the opened files have the columns of the filters.

        Raises:
            SchemaError: A column is missing in all files, or in one.
        """
        having: dict[str, str] = {}
        for file in files:
            for name in file.schema.names:
                having.setdefault(name, file.path)
        names = list(dict.fromkeys([*having, *self._partitions.names]))
        for name in self.columns:
            if name not in names:
                raise not_there(where, name, self._role, names)
        for file in files:
            for name in self._lacking(file):
                raise not_everywhere(file.path, name, self._role, having[name])

    def _lacking(self, file: SourceFile) -> list[str]:
        """The columns in the file's alternatives that the file lacks; none where it has no rows."""
        asked = {column for group in self.alternatives(file.partition) for column, _, _ in group}
        return sorted(asked - {*file.partition, *file.schema.names}) if any(file.group_rows) else []

    def _condition(self, schema: pa.Schema, column: str, operator: str, value: Any) -> Condition:
        kind = schema.field(column).type
        try:
            return Condition.of(kind, operator, value)
        except NotComparableError as error:
            asked = [column, operator, value]
            raise ConfigError(f"{self._setting} {asked!r}: column {column!r} is {kind}; {error}") from None
