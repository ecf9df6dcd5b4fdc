"""One file of a source."""

import json
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

NO_COLUMNS = pa.schema([])


def listed(path: str, size: int, modified_ns: int) -> dict[str, Any]:
    """What a listing says of a file: its part of a fingerprint."""
    return {"path": path, "bytes": size, "modified_ns": modified_ns}


def without_views(kind: pa.DataType) -> pa.DataType:
    """The type without views, of which Arrow takes no rows."""
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def stored_fields(schema: pa.Schema, int96: Set[str]) -> list[pa.Field]:
    """The columns of a file as they are read, whatever this process has imported: extension types by what they store.

    An extension of text is that text; one of anything else, such as a period of pandas, stays opaque: its numbers mean
    something that only its library knows.

    Args:
        schema: As the footer has it.
        int96: Columns of 96-bit timestamps, which are read as microseconds: nanoseconds end in the year 2262.
    """
    fields = []
    for field in schema:
        kind, name = field.type, (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
        if isinstance(kind, pa.BaseExtensionType):
            kind, name = kind.storage_type, kind.extension_name
        kind = without_views(kind)
        if field.name in int96:
            kind = pa.timestamp("us", kind.tz)
        is_bytes = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_fixed_size_binary(kind)
        fields.append(pa.field(field.name, pa.opaque(kind, name, "") if name and not is_bytes else kind))
    return fields


def pandas_index(schema: pa.Schema) -> tuple[str, ...]:
    """The columns that pandas wrote of a table's index, as it notes them in the file."""
    try:
        columns = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        return tuple(name for name in columns if isinstance(name, str))  # a range has no column
    except (KeyError, TypeError, ValueError):
        return ()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One Parquet file: as it is listed, and as its footer describes it once it is opened.

    Attributes:
        path: Where the filesystem finds it.
        name: Relative to the source, as predictions and messages name it.
        size: Bytes.
        modified_ns: Time of the last change, in nanoseconds since 1970.
        partition: Values of the hive partition columns.
        footer_sha256: Of the file's metadata: it changes when any value does that a footer knows of. None where its
            partition values rule out all of its rows, and nobody opened it: then it has no columns and row groups here.
        schema: Names and types of the columns in the file itself.
        group_rows: Rows of each row group.
        wanted_groups: The row groups that the filters may match.
        filtered: Whether the filters may leave out any of its rows; where not, nobody need evaluate them.
        index: Columns that pandas wrote of a table's index.
    """

    path: str
    name: str
    size: int
    modified_ns: int
    partition: dict[str, Any]
    footer_sha256: str | None = None
    schema: pa.Schema = NO_COLUMNS
    group_rows: tuple[int, ...] = ()
    wanted_groups: tuple[int, ...] = ()
    filtered: bool = True
    index: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether the file has a column, itself or by its folder."""
        return name in self.partition or name in self.schema.names

    @property
    def is_opened(self) -> bool:
        """Whether its footer was read."""
        return self.footer_sha256 is not None

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What tells this file from any other, and from itself before a change."""
        return {**listed(self.path, self.size, self.modified_ns), "footer_sha256": self.footer_sha256}
