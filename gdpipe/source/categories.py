"""Arrow columns as categories: the label of each row's level, the same in whatever type a file has the value."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.design import Coded, LevelKind, number_label
from gdpipe.source.arrays import nulls_of, to_arrow, values_of

# the one level of a column that has none; no row has it, but a code must be an index of some level
NO_LEVEL = ""


def coded(column: pa.Array, levels: LevelKind) -> tuple[Coded, NDArray[np.bool_] | None]:
    """A column as a category, and where it is missing, shape (m,), or None; NaN is missing, too.

    Args:
        column: Text or dates for levels of kind `text`; booleans for `boolean`; numbers or booleans for `number`; a
            dictionary of these; or type null.
        levels: The kind of the levels.

    Raises:
        UnicodeDecodeError: Text is not UTF-8.
    """
    if pa.types.is_null(column.type):
        return Coded((NO_LEVEL,), np.zeros(len(column), np.intp)), np.ones(len(column), np.bool_)
    if not pa.types.is_dictionary(column.type):
        column = _encodable(column).dictionary_encode()
    missing = nulls_of(column.indices)
    codes = values_of(column.indices).astype(np.intp)
    if missing is not None:
        codes[missing] = 0
    dictionary = column.dictionary
    if len(dictionary) > len(codes):  # a batch of few rows with the dictionary of a whole row group
        at, codes = np.unique(codes, return_inverse=True)
        dictionary = dictionary.take(to_arrow(at, pa.int64())) if len(dictionary) else dictionary
    found = _labels(dictionary, levels)
    labels = tuple(dict.fromkeys(label for label in found if label is not None)) or (NO_LEVEL,)
    if None in found or len(labels) < len(found):  # some are null or NaN, or two values have one label, as 0 and -0
        index = {label: i for i, label in enumerate(labels)}
        gaps = np.array([label is None for label in found], np.bool_)[codes]
        codes = np.array([0 if label is None else index[label] for label in found], np.intp)[codes]
        if gaps.any():
            missing = gaps if missing is None else missing | gaps
    return Coded(labels, codes), missing


def _encodable(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_decimal(kind) and kind.bit_width < 128:
        return column.cast(pa.decimal128(kind.precision, kind.scale))
    return column


def _labels(values: pa.Array, levels: LevelKind) -> list[str | None]:
    """The label of each value; None where it is null or NaN."""
    kind = values.type
    if pa.types.is_date64(kind):
        values = values.cast(pa.date32(), safe=False)
    if pa.types.is_date(kind):
        values = values.cast(pa.string())
    elif pa.types.is_float16(kind):
        values = values.cast(pa.float64(), safe=False)
    plain: list[Any] = values.to_pylist()
    if levels == "text":
        return plain
    if levels == "boolean":
        return [None if value is None else str(value).lower() for value in plain]
    return [None if value is None or math.isnan(value) else number_label(value) for value in plain]
