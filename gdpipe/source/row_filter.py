"""Filters at work: which row groups of a file may hold rows that pass, and which rows do."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gdpipe.errors import ConfigError
from gdpipe.filters import Condition as Filter
from gdpipe.filters import Filters, filter_columns, filter_groups
from gdpipe.source.bounds import Bounds, partition_bounds
from gdpipe.source.conditions import Condition
from gdpipe.source.literals import NotComparableError
from gdpipe.source.source_file import SourceFile

Compiled = list[list[tuple[str, Condition]]]


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Normalized filters: alternatives, of which one must hold whole."""

    filters: Filters

    @property
    def columns(self) -> list[str]:
        """Those that are asked for."""
        return filter_columns(self.filters)

    def of_file(self, file: SourceFile, partitions: pa.Schema) -> list[list[Filter]]:
        """The alternatives that the file's partition does not rule out: of the others it may lack the columns.

        Raises:
            ConfigError: A value cannot be compared with a partition column.
        """
        known = partition_bounds(file.partition, partitions, 1)
        return [
            group
            for group, of_folder in zip(filter_groups(self.filters), self.of_folders(partitions), strict=True)
            if all(condition.may_pass(known[name]) for name, condition in of_folder)
        ]

    def compiled(self, file: SourceFile, partitions: pa.Schema) -> Compiled:
        """The conditions of those alternatives, for the types that the columns have in the file.

        Raises:
            ConfigError: A value cannot be compared with a column.
        """
        kinds = {
            name: (partitions if name in file.partition else file.schema).field(name).type
            for name in self.columns
            if file.has(name)
        }
        return [
            [(column, _condition(kinds[column], column, operator, value)) for column, operator, value in group]
            for group in self.of_file(file, partitions)
        ]

    def passing(self, compiled: Compiled, batch: pa.RecordBatch) -> pa.BooleanArray:
        """A mask of the rows that pass, shape (m,); none is null.

        Args:
            compiled: The conditions, for the types of this batch.
            batch: With all columns that they ask for.
        """
        of_groups = [
            _joined(pc.and_, [condition.passes(batch.column(column)) for column, condition in group])
            for group in compiled
        ]
        return _joined(pc.or_, of_groups)

    def of_folders(self, partitions: pa.Schema) -> Compiled:
        """Of each alternative, the conditions on partition columns, which a folder's name answers.

        Raises:
            ConfigError: A value cannot be compared with a column.
        """
        return [
            [(c, _condition(partitions.field(c).type, c, operator, value)) for c, operator, value in g if c in names]
            for names in [partitions.names]
            for g in filter_groups(self.filters)
        ]

    def may_match(self, partition: dict[str, Any], partitions: pa.Schema, of_folders: Compiled) -> bool:
        """Whether some row in a folder of these partition values may pass.

        Args:
            partition: The values.
            partitions: The partition columns' types.
            of_folders: The conditions on them.
        """
        known = partition_bounds(partition, partitions, 1)
        return any(all(condition.may_pass(known[c]) for c, condition in group) for group in of_folders)

    def needs(self, file: SourceFile, partitions: pa.Schema) -> list[str]:
        """The columns that the file itself must have: those of alternatives that its partition does not rule out."""
        there = {column for group in self.of_file(file, partitions) for column, _, _ in group}
        return sorted(there - file.partition.keys())

    def pruned(
        self, file: SourceFile, partitions: pa.Schema, known: Iterable[tuple[int, Mapping[str, Bounds]]]
    ) -> SourceFile:
        """The file, told which of its row groups may hold rows that pass, and whether all of its rows do.

        Args:
            file: With the columns that it `needs`, if it has rows.
            partitions: The partition columns' types.
            known: Of each row group that has rows, its index and the bounds of the columns that are asked for.

        Raises:
            ConfigError: A value cannot be compared with a column.
        """
        compiled = self.compiled(file, partitions) if any(file.group_rows) else []
        wanted, filtered = [], False
        for g, of_group in known:
            bounds = {**of_group, **partition_bounds(file.partition, partitions, file.group_rows[g])}
            if any(all(condition.may_pass(bounds[c]) for c, condition in group) for group in compiled):
                wanted.append(g)
            filtered |= not any(not any(condition.may_fail(bounds[c]) for c, condition in group) for group in compiled)
        return dataclasses.replace(file, wanted_groups=tuple(wanted), filtered=filtered)


def _joined(join: Any, masks: list[Any]) -> Any:
    first, *others = masks
    for mask in others:
        first = join(first, mask)
    return first


def _condition(kind: pa.DataType, column: str, operator: str, value: Any) -> Condition:
    try:
        return Condition.of(kind, operator, value)
    except NotComparableError as error:
        raise ConfigError(f"filters {[column, operator, value]!r}: column {column!r} is {kind}; {error}") from None
