"""The columns that a model needs, from tables in memory of any library, as an Arrow table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from gdpipe.errors import SchemaError
from gdpipe.source.columns import is_numeric
from gdpipe.source.files import first_line

NUMBERS = "integers, floats, decimals or booleans"


def numeric_columns(frame: Any, names: Sequence[str]) -> pa.Table:
    """Columns of a table, each of a numeric type or of type null.

    Args:
        frame: A pandas DataFrame, an Arrow table or record batch, a table with Arrow's PyCapsule interface (such as a
            Polars DataFrame), or a mapping from names to arrays. A name that is not text stands for the text that
            pandas writes to Parquet: 0 is "0".
        names: The columns; others are ignored.

    Raises:
        SchemaError: A column is missing, is there twice, or holds something other than numbers; or `frame` is no such
            table.
    """
    all_names, column_at = _opened(frame)
    texts = [_text(name) for name in all_names]
    needed = ", ".join(names)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for name in names:
        count = texts.count(name)
        if not count:
            raise SchemaError(f"the table has no column {name!r}; the model needs {needed}")
        if count > 1:
            raise SchemaError(f"the table has {count} columns {name!r}; leave one, and rename or drop the others")
        columns[name] = _numeric(name, column_at(texts.index(name)))
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        rows = ", ".join(f"{name!r} {length:,}" for name, length in lengths.items())
        raise SchemaError(f"the columns have different numbers of rows ({rows}); give each the same")
    return pa.table(columns)


def _opened(frame: Any) -> tuple[Sequence[Any], Callable[[int], Any]]:
    """The names of a table's columns, and a function from a position to the column: a name may be there twice."""
    if isinstance(frame, Mapping):
        names = list(frame)
        return names, lambda at: frame[names[at]]
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):  # pandas
        return list(frame.columns), lambda at: frame.iloc[:, at]
    if hasattr(frame, "get_columns"):  # Polars
        return frame.columns, lambda at: frame.get_columns()[at]
    try:
        # pa.table would also take tables without names, such as a list of arrays
        table = pa.table(frame) if any(hasattr(frame, f"__arrow_c_{kind}__") for kind in ("stream", "array")) else None
    except Exception as error:  # the table belongs to another library, with errors of its own
        raise SchemaError(
            f"the {type(frame).__name__} cannot be read as an Arrow table ({first_line(error)})"
        ) from error
    if table is None:
        raise SchemaError(
            f"a {type(frame).__name__} is no table with named columns; give a pandas or Polars DataFrame (a "
            "LazyFrame after collect()), an Arrow table or record batch, or a dict of arrays"
        )
    return table.column_names, table.column


def _numeric(name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    try:
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            column = values
        elif hasattr(values, "__arrow_c_stream__") and not hasattr(values, "iloc"):
            column = pa.chunked_array(values)
        else:
            column = pa.array(values, from_pandas=True)
    except Exception as error:  # Arrow, NumPy, pandas and Python each have their own
        kind = getattr(values, "dtype", type(values).__name__)
        raise SchemaError(
            f"column {name!r} ({kind}) cannot be read as numbers: {first_line(error)}; give {NUMBERS} that "
            "Arrow takes, such as float64"
        ) from error
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not is_numeric(kind) and not pa.types.is_null(kind):
        raise SchemaError(f"column {name!r} is {kind}; the model needs numbers: {NUMBERS}")
    return column


def _text(name: Any) -> str:
    """A column's name as text, as pandas and Arrow write it to Parquet."""
    if isinstance(name, tuple):
        return str(tuple(map(_text, name)))
    return name.decode() if isinstance(name, bytes) else str(name)
