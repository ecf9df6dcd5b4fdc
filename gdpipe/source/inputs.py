"""Columns of new rows for a model: whether they have the types that it was fitted with, and the time zones."""

from collections.abc import Mapping
from typing import TypeVar

import pyarrow as pa

from gdpipe.design import Input, needed_instead
from gdpipe.source.columns import column_kind
from gdpipe.source.literals import plain

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def why_unfit(kind: pa.DataType, of: Input, zone: str | None) -> str | None:
    """What the model needs in place of a column of this type; None where it can be read.

    Args:
        kind: The column's type.
        of: What the model makes of it.
        zone: The time zone that it had in training, if it had one.
    """
    if pa.types.is_null(plain(kind)):  # the type of a column in which every value is null
        return None
    has = column_kind(kind)
    return needed_instead(of, zone, has, zoned=has == "time" and plain(kind).tz is not None)


def in_zones(rows: Rows, zones: Mapping[str, str]) -> Rows:
    """Rows with timestamps in the time zones of the training: the same instants, of which other hours are read."""
    for name, zone in zones.items():
        at = rows.schema.get_field_index(name)
        column = rows.column(at)
        if pa.types.is_timestamp(column.type) and column.type.tz not in {None, zone}:
            rows = rows.set_column(at, name, column.cast(pa.timestamp(column.type.unit, zone)))
    return rows
