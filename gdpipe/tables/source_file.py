"""One file of a source."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa


def listed(path: str, size: int, modified_ns: int) -> dict[str, Any]:
    """What a listing says of a file: its part of a fingerprint."""
    return {"path": path, "bytes": size, "modified_ns": modified_ns}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One Parquet file, as its footer describes it.

    Attributes:
        path: Where the filesystem finds it.
        name: Relative to the source, as predictions and messages name it.
        size: Bytes.
        modified_ns: Time of the last change, in nanoseconds since 1970.
        footer_sha256: Of the file's metadata: it changes when any value does that a footer knows of.
        schema: Of the columns in the file itself.
        partition: Values of the hive partition columns.
        group_rows: Rows of each row group.
        wanted_groups: The row groups that the filters may match.
        filtered: Whether the filters may leave out any of its rows; where not, nobody need evaluate them.
    """

    path: str
    name: str
    size: int
    modified_ns: int
    footer_sha256: str
    schema: pa.Schema
    partition: dict[str, Any]
    group_rows: tuple[int, ...]
    wanted_groups: tuple[int, ...]
    filtered: bool = False

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What tells this file from any other, and from itself before a change."""
        return {**listed(self.path, self.size, self.modified_ns), "footer_sha256": self.footer_sha256}
