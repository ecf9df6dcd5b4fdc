"""Filters at work: which row groups of a file may hold rows that pass, and which rows do."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gdpipe.errors import ConfigError
from gdpipe.filters import Filters, filter_columns, filter_groups
from gdpipe.tables.bounds import Bounds
from gdpipe.tables.conditions import Condition
from gdpipe.tables.literals import NotComparableError, is_text
from gdpipe.tables.source_file import SourceFile

Compiled = list[list[tuple[str, Condition]]]


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Normalized filters: alternatives, of which one must hold whole."""

    filters: Filters

    @property
    def columns(self) -> list[str]:
        """Those that are asked for."""
        return filter_columns(self.filters)

    def compiled(self, schema: pa.Schema) -> Compiled:
        """The conditions for columns of these types; alternatives that ask for others are those that cannot hold.

        Raises:
            ConfigError: A value cannot be compared with a column.
        """
        kinds = {field.name: field.type for field in schema}
        there = [group for group in filter_groups(self.filters) if all(column in kinds for column, _, _ in group)]
        return [[(c, _condition(kinds[c], c, operator, value)) for c, operator, value in group] for group in there]

    def needs(self, file: SourceFile, partitions: pa.Schema) -> list[str]:
        """The columns that the file itself must have: those of alternatives that its partition does not rule out."""
        needed = set()
        for group in filter_groups(self.filters):
            of_folder = [c for c in group if c[0] in file.partition]
            known = _of_partition(file, partitions, 1)
            if all(
                _condition(partitions.field(name).type, name, operator, value).may_pass(known[name])
                for name, operator, value in of_folder
            ):
                needed |= {column for column, _, _ in group if column not in file.partition}
        return sorted(needed)

    def pruned(self, file: SourceFile, partitions: pa.Schema, known: Sequence[Mapping[str, Bounds]]) -> SourceFile:
        """The file, told which of its row groups may hold rows that pass, and whether all of its rows do.

        Args:
            file: With the columns that it `needs`.
            partitions: The partition columns' types.
            known: Of each row group, the bounds of the columns that are asked for.

        Raises:
            ConfigError: A value cannot be compared with a column.
        """
        own = [field for field in file.schema if field.name not in partitions.names]
        compiled = self.compiled(pa.schema([*own, *partitions]))
        wanted, filtered = [], False
        for g, rows in enumerate(file.group_rows):
            if not rows:
                continue
            bounds = {**known[g], **_of_partition(file, partitions, rows)}
            if any(all(condition.may_pass(bounds[c]) for c, condition in group) for group in compiled):
                wanted.append(g)
            filtered |= not any(not any(condition.may_fail(bounds[c]) for c, condition in group) for group in compiled)
        return dataclasses.replace(file, wanted_groups=tuple(wanted), filtered=filtered)


def passes(compiled: Compiled, batch: pa.RecordBatch) -> pa.BooleanArray:
    """Which rows pass; none is null."""
    alternatives = []
    for group in compiled:
        of_group = [condition.passes(batch.column(column)) for column, condition in group]
        alternatives.append(_joined(pc.and_, of_group))
    return _joined(pc.or_, alternatives)


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


def _of_partition(file: SourceFile, partitions: pa.Schema, rows: int) -> dict[str, Bounds]:
    """A partition column has one value in all rows of a file."""
    found = {}
    for name, value in file.partition.items():
        if value is None:
            found[name] = Bounds(None, None, rows, rows)
        else:
            known = value.encode() if is_text(partitions.field(name).type) else value
            found[name] = Bounds(known, known, 0, rows)
    return found
