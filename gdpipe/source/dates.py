"""Parts of dates and timestamps, in the column's own time zone."""

import numpy as np
import pyarrow as pa

from gdpipe.source.arrays import nulls_of, to_arrow, values_of
from gdpipe.source.literals import UNITS

DAY_SECONDS = 86_400


def part_of(column: pa.Array, part: str) -> pa.Array:
    """A part, one of `gdpipe.design.PARTS`, of a column of dates or timestamps: int64, or float64 for `days`.

    Raises:
        pyarrow.ArrowInvalid: This machine does not know the time zone.
    """
    import pyarrow.compute as pc  # takes as long to load as the rest of Arrow

    if part == "days":
        return _days(pc.local_timestamp(column) if pa.types.is_timestamp(column.type) and column.type.tz else column)
    if part == "weekday":
        return pc.day_of_week(column)  # Monday is 0, as in pandas
    return pc.call_function(part, [column])


def _days(column: pa.Array) -> pa.Array:
    """Days since 1970-01-01: the same float64 for the same instant in any unit."""
    kind = column.type
    if pa.types.is_date32(kind):
        days = values_of(column.view(pa.int32())).astype(np.float64)
    else:
        per_day = DAY_SECONDS * (UNITS["ms"] if pa.types.is_date64(kind) else UNITS[kind.unit])
        whole, rest = np.divmod(values_of(column.view(pa.int64())), per_day)
        # both are below 2^53, so that only the quotient and the sum are rounded; nanoseconds are above
        days = whole + rest / per_day
    return to_arrow(days, pa.float64(), nulls_of(column))
