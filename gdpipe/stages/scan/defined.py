"""The numbers of a design in the rows of a block: each must be defined, and small enough to be squared."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.design import Design, Number, applied, quoted
from gdpipe.errors import DataError
from gdpipe.numerics.problem.covariance import LARGEST_VALUE
from gdpipe.source.columns import Block
from gdpipe.source.scan import ROW

# what a function takes, and the filter that leaves other rows out
_DOMAINS = {"log": ("> 0", np.greater), "sqrt": (">= 0", np.greater_equal)}


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
    made = [factors for factors in design.numbers if len(factors) > 1 or factors[0].functions]
    if not made:
        return
    missing = block.missing_in(slice(len(design.inputs)))
    rows = slice(None) if missing is None else np.flatnonzero(~missing)
    columns = dict(zip(design.inputs, block.columns, strict=False))

    def place(bad: NDArray[np.bool_]) -> tuple[int, int]:
        at = int(np.argmax(bad))
        return at, batch.column(ROW)[at if missing is None else int(rows[at])].as_py()  # type: ignore[index]  # an array

    for factors in made:
        product = np.ones(1)
        for factor in factors:
            column = columns[factor.input]
            assert isinstance(column, np.ndarray)
            values = column[rows]
            for done, function in enumerate(factor.functions):
                wanted, holds = _DOMAINS.get(str(function), ("", None))
                if holds is not None and not (fits := holds(values, 0)).all():
                    at, row = place(~fits)
                    raise DataError(
                        f"{path}: {factor.name} is not defined in row {row}, where {_said(factor, done)} is "
                        f'{values[at]:g}; leave such rows out by filters ("{factor.input.column} {wanted}"), or take '
                        "another function"
                    )
                values = applied(function, values)
            with np.errstate(all="ignore"):
                product = product * values
        if not (fits := np.abs(product) <= LARGEST_VALUE).all():
            at, row = place(~fits)
            name = ":".join(factor.name for factor in factors)
            raise DataError(
                f"{path}: {name} is {product[at]:g} in row {row}, whose square is beyond float64; correct its columns, "
                "make them null, or leave such rows out by filters"
            )


def _said(factor: Number, done: int) -> str:
    """The column that a factor is made from, as it is named there; or that some of its functions give."""
    of = factor.input
    name = f"{of.part}({quoted(of.column)})" if of.part else f"column {of.column!r}"
    return f"{name} after {done} of its functions" if done else name
