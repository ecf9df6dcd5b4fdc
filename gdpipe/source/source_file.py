"""One file of a source."""

import json
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

NO_COLUMNS = pa.schema([])


def listed(path: str, size: int, modified_ns: int) -> dict[str, Any]:
    """The part of a file's fingerprint that a listing gives."""
    return {"path": path, "bytes": size, "modified_ns": modified_ns}


def times(schema: pa.Schema, name: str) -> int:
    """How often a schema has a column, by a look-up: `schema.names` makes a list of all names each time."""
    return len(schema.get_all_field_indices(name))


def without_views(kind: pa.DataType) -> pa.DataType:
    """The type without views, for which Arrow cannot filter rows."""
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def stored_fields(schema: pa.Schema, int96: Set[str]) -> list[pa.Field]:
    """The columns of a file as they are read: extension types by what they store, whatever the process has imported.

    An extension of text is read as text. Any other, such as a period of pandas, is opaque: only its library knows what
    its numbers mean.

    Args:
        schema: The schema in the footer.
        int96: Columns of 96-bit timestamps; they are read as microseconds, as nanoseconds end in the year 2262.
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
    """The columns that pandas wrote for the index of a table, by its note in the file."""
    try:
        columns = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        return tuple(name for name in columns if isinstance(name, str))  # an index that is a range has no column
    except (KeyError, TypeError, ValueError):
        return ()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A Parquet file, as it is listed, and with what its footer says once it is opened.

    Attributes:
        path: The path in the filesystem.
        name: The path relative to the source, as in predictions and messages.
        size: Bytes.
        modified_ns: Time of the last change, in nanoseconds since 1970.
        partition: Values of the hive partition columns.
        footer_sha256: The sha256 of the footer, which changes with every value in its statistics. None where the file
            was not opened, since its partition values rule out all rows; its columns and row groups are then empty.
        schema: Names and types of the columns in the file itself.
        group_rows: The number of rows in each row group.
        column_bytes: The most bytes that a read of one column holds beside its batch, in the largest row group.
        wanted_groups: The row groups that the filters may match.
        filtered: Whether the filters may leave out rows; if not, they need not be evaluated.
        index: The columns that pandas wrote for the index of a table.
    """

    path: str
    name: str
    size: int
    modified_ns: int
    partition: dict[str, Any]
    footer_sha256: str | None = None
    schema: pa.Schema = NO_COLUMNS
    group_rows: tuple[int, ...] = ()
    column_bytes: int = 0
    wanted_groups: tuple[int, ...] = ()
    filtered: bool = True
    index: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether the file has a column, stored in it or as a partition column."""
        return name in self.partition or times(self.schema, name) > 0

    @property
    def is_opened(self) -> bool:
        """Whether the footer was read."""
        return self.footer_sha256 is not None

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The values by which this file differs from any other, and from itself before a change."""
        return {**listed(self.path, self.size, self.modified_ns), "footer_sha256": self.footer_sha256}
