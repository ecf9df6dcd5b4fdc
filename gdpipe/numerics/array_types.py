"""Values that NumPy would silently turn into other numbers: text "1.5" into 1.5, a date into nanoseconds."""

import datetime
from typing import Any

import numpy as np

NOT_NUMBERS = (
    *(str, bytes, complex, datetime.date, datetime.time, datetime.timedelta),
    *(np.datetime64, np.timedelta64, np.complexfloating),
)


def why_not_numbers(name: str, values: Any) -> str | None:
    """Why values are not to be taken for numbers; None where nothing speaks against it.

    Missing values, shapes and whatever has no float64 at all are not looked at: scikit-learn has its words for them.

    Args:
        name: What the values are called, such as `X`.
        values: An array, what NumPy makes one of, or a data frame of pandas, Polars or Arrow.
    """
    for where, column in _columns(name, values):
        array = np.asarray(column)
        if array.dtype.kind in "biufc":
            continue
        if array.dtype.kind != "O":
            return _reason(where, str(array.dtype))
        kinds = set(map(type, array.flat))
        # such as a period, an interval, NA
        of_pandas = {kind for kind in kinds if kind.__module__.partition(".")[0] == "pandas"}
        wrong = of_pandas | {kind for kind in kinds if issubclass(kind, NOT_NUMBERS)}
        if wrong:
            first = next(i for i, value in enumerate(array.flat) if type(value) in wrong)
            row = first // (array.shape[1] if array.ndim > 1 else 1)
            return _reason(where, f"{type(array.flat[first]).__name__} in row {row}")
        try:
            array.astype(np.float64)
        except OverflowError:
            return f"{where} holds a number too large for float64; use another unit"
        except (TypeError, ValueError):  # no number at all
            continue
    return None


def frame_columns(values: Any) -> list[tuple[Any, Any]] | None:
    """The labels and columns of a data frame of pandas, Polars or Arrow, in order; None where it is none."""
    if hasattr(values, "iloc") and hasattr(values, "columns"):  # pandas
        return [(label, values.iloc[:, j]) for j, label in enumerate(values.columns)]
    if hasattr(values, "get_columns"):  # Polars
        return list(zip(values.columns, values.get_columns(), strict=True))
    if hasattr(values, "itercolumns"):  # Arrow
        return list(zip(values.schema.names, values.itercolumns(), strict=True))
    return None


def _columns(name: str, values: Any) -> list[tuple[str, Any]]:
    """The columns of a data frame one by one, since together they would take one type; an array is whole."""
    columns = frame_columns(values)
    if columns is None:
        return [(name, values)]
    return [(f"{name}: column {label!r}", column) for label, column in columns]


def _reason(where: str, found: str) -> str:
    return f"{where} holds {found}, which is no number; convert it, such as a date to days since another"
