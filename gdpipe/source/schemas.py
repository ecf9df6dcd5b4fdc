"""The columns of files that were written one by one: which there are, and one type for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from gdpipe.source.columns import is_numeric
from gdpipe.source.literals import UNITS, is_text, plain
from gdpipe.source.source_file import SourceFile


@dataclass(frozen=True, slots=True)
class Variant:
    """The columns of some files.

    Attributes:
        schema: Names and types.
        path: Of the first of these files.
    """

    schema: pa.Schema
    path: str


class TypesDifferError(Exception):
    """No type holds the values of both."""

    def __init__(self, first: pa.DataType, other: pa.DataType, path: str) -> None:
        super().__init__(f"{first} and {other}")
        self.first, self.other, self.path = first, other, path


def variants(files: Iterable[SourceFile]) -> tuple[Variant, ...]:
    """The different schemas of the files; one without rows has no say unless none has any.

    Nor has one that its partition values rule out. What else the filters leave of a file depends on its statistics, and
    which columns count must not.
    """
    every = [file for file in files if file.is_opened]
    told = [f for f in every if any(f.group_rows)] or every
    found: dict[pa.Schema, str] = {}
    for file in told:
        found.setdefault(file.schema, file.path)
    return tuple(Variant(schema, path) for schema, path in found.items())


def union(found: Sequence[Variant], partitions: pa.Schema) -> pa.Schema:
    """All columns, in the order in which they are met, then the partition columns; a name that is there twice stays so.

    Where no type holds what the files have under a name, the column has that of the first.
    """
    fields: list[pa.Field] = []
    for name in dict.fromkeys(name for variant in found for name in variant.schema.names):
        times = max(variant.schema.names.count(name) for variant in found)
        if name in partitions.names:
            fields.append(partitions.field(name))
        elif times > 1:
            fields += [pa.field(name, pa.null())] * times
        else:
            fields.append(pa.field(name, _or_first(found, name)))
    names = {field.name for field in fields}
    return pa.schema([*fields, *(field for field in partitions if field.name not in names)])


def types_of(found: Sequence[Variant], name: str) -> list[tuple[pa.DataType, str]]:
    """Each type that a column has somewhere, with a file that has it so."""
    kinds: dict[pa.DataType, str] = {}
    for variant in found:
        if name in variant.schema.names:
            kinds.setdefault(variant.schema.field(name).type, variant.path)
    return list(kinds.items())


def one_type(kinds: Sequence[tuple[pa.DataType, str]]) -> pa.DataType:
    """The type that holds the values of all: text is text however it is kept, instants keep the finest unit.

    Raises:
        TypesDifferError: There is none.
    """
    # nothing but nulls fits any type
    told = [(plain(kind), path) for kind, path in kinds if not pa.types.is_null(kind)]
    if not told:
        return pa.null()
    joined, _ = told[0]
    for kind, path in told[1:]:
        if kind == joined:
            continue
        both = _joined(joined, kind)
        if both is None:
            raise TypesDifferError(told[0][0], kind, path)
        joined = both
    return joined


def are_numbers(kinds: Sequence[tuple[pa.DataType, str]]) -> bool:
    """Whether a column is numbers wherever it is anything."""
    return all(is_numeric(kind) or pa.types.is_null(kind) for kind, _ in kinds)


def _joined(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    if is_text(first) and is_text(second):
        readable = [_is_string(kind) for kind in (first, second)]
        return (pa.string() if readable[0] else pa.binary()) if readable[0] == readable[1] else None
    if pa.types.is_timestamp(first) and pa.types.is_timestamp(second):
        if (first.tz is None) != (second.tz is None):
            return None
        unit = max(first.unit, second.unit, key=lambda unit: UNITS[unit])
        return pa.timestamp(unit, first.tz if first.tz == second.tz else "UTC")
    try:
        both = [pa.schema([("", kind)]) for kind in (first, second)]
        return pa.unify_schemas(both, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _or_first(found: Sequence[Variant], name: str) -> pa.DataType:
    kinds = types_of(found, name)
    try:
        return one_type(kinds) if len(kinds) > 1 else kinds[0][0]
    except TypesDifferError as differ:
        return differ.first
