"""Predictions of the rows of a table in memory."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.config import Unseen
from gdpipe.defined import first_undefined
from gdpipe.errors import DataError
from gdpipe.model import Model
from gdpipe.source.columns import read_columns
from gdpipe.store.frames import columns_for


def predictions(model: Model, frame: Any, unseen: Unseen) -> NDArray[np.float64]:
    """Predictions in target units, shape (n_rows,); NaN where a column is missing. Arguments as in `Run.predict`.

    Raises:
        SchemaError: A column is not there, is there twice, or is of another kind than in training; or `frame` is no
            table.
        DataError: `unseen` is `fail`, and the fit has not seen a level; or a function is not defined in a row.
    """
    model = replace(model, unseen_as_reference=unseen == "reference")
    block = read_columns(columns_for(model.design, frame), model.design.inputs)
    if unseen == "fail":
        for each in model.unseen(block.columns, block.missing):
            row, level = each.first()
            raise DataError(
                f"row {row}: {each.name} is {level!r}, a level that the fit has not seen; correct it, train again "
                "with such rows, or set unseen to null or reference"
            )
    complete = block.complete
    rows = None if complete is None else np.flatnonzero(complete)
    by_input = dict(zip(model.design.inputs, block.columns, strict=True))
    if found := first_undefined(model.design, by_input, rows):
        raise DataError(f"row {found.at}: {found.what}{found.why}; {found.remedy}")
    values = model.predict(block.columns)
    return values if complete is None else np.where(complete, values, np.nan)
