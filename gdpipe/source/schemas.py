"""The columns of a source whose files may differ: their names, and one type for each."""

import difflib
from collections.abc import Iterable, Sequence

import pyarrow as pa

from gdpipe.design.names import typed
from gdpipe.errors import SchemaError
from gdpipe.source.literals import STRINGS, UNITS, is_text, plain
from gdpipe.source.source_file import SourceFile, times


def variants(files: Iterable[SourceFile]) -> tuple[SourceFile, ...]:
    """The first file of each schema, among the opened files with rows, or all opened files where none has rows.

    Files that their partition values rule out are not opened. Other files count even if the filters match no row group
    of them: that depends on statistics, and the columns of a source must not.
    """
    every = [file for file in files if file.is_opened]
    found: dict[pa.Schema, SourceFile] = {}
    for file in [file for file in every if any(file.group_rows)] or every:
        found.setdefault(file.schema, file)
    return tuple(found.values())


def union(found: Sequence[SourceFile], partitions: pa.Schema) -> pa.Schema:
    """All columns in the order of the files, then the partition columns; a name that a file has twice stays twice.

    Where no type can hold the values of all files, a column has the type that it has in the first.
    """
    fields: list[pa.Field] = []
    for name in dict.fromkeys(name for file in found for name in file.schema.names):
        most = max(times(file.schema, name) for file in found)
        if times(partitions, name):
            fields.append(partitions.field(name))
        elif most > 1:
            fields += [pa.field(name, pa.null())] * most
        else:
            kinds = types_of(found, name)
            try:
                kind = one_type(name, kinds) if len(kinds) > 1 else kinds[0][0]
            except SchemaError:
                kind = next(plain(kind) for kind, _ in kinds if not pa.types.is_null(kind))
            fields.append(pa.field(name, kind))
    names = {field.name for field in fields}
    return pa.schema([*fields, *(field for field in partitions if field.name not in names)])


def types_of(found: Sequence[SourceFile], name: str) -> list[tuple[pa.DataType, str]]:
    """The types of a column in the files, each with the first file that has it."""
    kinds: dict[pa.DataType, str] = {}
    for file in found:
        if times(file.schema, name):
            kinds.setdefault(file.schema.field(name).type, file.path)
    return list(kinds.items())


def one_type(name: str, kinds: Sequence[tuple[pa.DataType, str]]) -> pa.DataType:
    """The one type for a column that has several: Arrow's types of text become one, timestamps get the finest unit.

    Raises:
        SchemaError: There is no such type.
    """
    typed = [(plain(kind), path) for kind, path in kinds if not pa.types.is_null(kind)]  # nulls fit any type
    if not typed:
        return pa.null()
    joined = typed[0][0]
    for kind, path in typed[1:]:
        both = joined if kind == joined else _joined(joined, kind)
        if both is None:
            raise SchemaError(
                f"{path}: column {name!r} is {kind}, but {typed[0][0]} in {typed[0][1]}; write both files with one type"
            )
        joined = both
    return joined


def _joined(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    if is_text(first) and is_text(second):
        if (first in STRINGS) != (second in STRINGS):
            return None
        return pa.string() if first in STRINGS else pa.binary()
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


def not_there(where: str, name: str, role: str, names: Sequence[str]) -> SchemaError:
    """The error for a column that no file has."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {(typed(near[0]) if role == 'feature' else near[0])!r}?" if near else ""
    return SchemaError(f"{where}: {role} column {name!r} is not there (there are: {', '.join(names)}){hint}")


def not_everywhere(path: str, name: str, role: str, has: str) -> SchemaError:
    """The error for a column that one file lacks and another has."""
    return SchemaError(
        f"{path}: {role} column {name!r} is not there, but {has} has it; "
        "leave one of them out of the source, or write all files with the column"
    )
