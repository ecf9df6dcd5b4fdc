"""The columns that a model needs, from tables in memory of any library, as an Arrow table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from gdpipe.design import Design
from gdpipe.errors import SchemaError
from gdpipe.source.files import first_line
from gdpipe.source.inputs import in_zones, why_unfit
from gdpipe.source.source_file import without_views


def columns_for(design: Design, frame: Any) -> pa.Table:
    """The columns of a table from which a design's terms are made, each of a type that they can be made from.

    Args:
        design: The design of a model.
        frame: A pandas DataFrame, an Arrow table or record batch, a table with Arrow's PyCapsule interface (such as a
            Polars DataFrame), or a mapping from names to arrays. A name that is not text stands for the text that
            pandas writes to Parquet: 0 is "0". Columns that the design does not need are ignored.

    Raises:
        SchemaError: A column is missing, is there twice, or is of another kind than in training; or `frame` is no such
            table.
    """
    all_names, column_at = _opened(frame)
    texts = [_text(name) for name in all_names]
    needed = ", ".join(design.columns)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for name in design.columns:
        count = texts.count(name)
        if not count:
            raise SchemaError(f"the table has no column {name!r}; the model needs {needed}")
        if count > 1:
            raise SchemaError(f"the table has {count} columns {name!r}; leave one, and rename or drop the others")
        columns[name] = _column(name, column_at(texts.index(name)))
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        rows = ", ".join(f"{name!r} {length:,}" for name, length in lengths.items())
        raise SchemaError(f"the columns have different numbers of rows ({rows}); give each the same")
    for of in design.inputs:
        kind = columns[of.column].type
        if needs := why_unfit(kind, of, design.zones.get(of.column)):
            raise SchemaError(f"column {of.column!r} is {_in_words(kind)}; the model needs {needs}")
    return in_zones(pa.table(columns), design.zones)


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


def _column(name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, (str, bytes)):  # which Arrow takes for as many rows as it has letters
        raise SchemaError(f"column {name!r} is one text; give a value for each row")
    try:
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            column = values
        elif hasattr(values, "__arrow_c_stream__") and not hasattr(values, "iloc"):
            column = pa.chunked_array(values)
        else:
            column = pa.array(values, from_pandas=True)
        kind = without_views(column.type)
        return column if kind == column.type else column.cast(kind)
    except Exception as error:  # Arrow, NumPy, pandas and Python each have their own
        kind = getattr(values, "dtype", type(values).__name__)
        raise SchemaError(
            f"column {name!r} ({kind}) cannot be read: {first_line(error)}; give values of one type that Arrow takes, "
            "such as float64 or text"
        ) from error


def _in_words(kind: pa.DataType) -> str:
    return f"a category of {kind.value_type}" if pa.types.is_dictionary(kind) else str(kind)


def _text(name: Any) -> str:
    """A column's name as text, as pandas and Arrow write it to Parquet."""
    if isinstance(name, tuple):
        return str(tuple(map(_text, name)))
    return name.decode() if isinstance(name, bytes) else str(name)
