"""The numbers of a design in the rows of a block: each must be defined, and small enough to be squared."""

import numpy as np
import pyarrow as pa

from gdpipe.defined import first_undefined, made_numbers
from gdpipe.design import Design
from gdpipe.errors import DataError
from gdpipe.source.columns import Block
from gdpipe.source.scan import ROW


def check_defined(design: Design, block: Block, batch: pa.RecordBatch, path: str) -> None:
    """See that functions and products of the design are defined in all rows that miss none of its columns.

    Columns themselves, which footers have bounds of, are not looked at: a design of columns costs nothing.

    Args:
        design: The design.
        block: Rows: the values of `design.inputs`, and perhaps of others.
        batch: The same rows as they were read, with their position in the file.
        path: The file.

    Raises:
        DataError: A number is not defined in a row, or its square is beyond float64.
    """
    if not made_numbers(design):
        return
    missing = block.missing_in(slice(len(design.inputs)))
    rows = None if missing is None else np.flatnonzero(~missing)
    found = first_undefined(design, dict(zip(design.inputs, block.columns, strict=False)), rows)
    if found is None:
        return
    such = f" ({found.condition!r})" if found.condition else ""
    row = batch.column(ROW)[found.at].as_py()
    raise DataError(
        f"{path}: {found.what} in row {row}{found.why}; leave such rows out by filters{such}, or {found.otherwise}"
    )
