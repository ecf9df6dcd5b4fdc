"""Arrow columns as categories: the label of each row's level, the same in whatever type a file has the value."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.design import Coded, LevelKind, number_label
from gdpipe.source.arrays import nulls_of, to_arrow, values_of

# the one level of a column that has none; no row has it, but a code must be an index of some level
NO_LEVEL = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """The labels of a dictionary.

    Attributes:
        values: The dictionary.
        kind: The kind of the levels.
        labels: Each once.
        places: The index of each value's label, shape (n,); None where they are 0, 1, 2 and so on.
        missing: The values that are null or NaN, shape (n,); None where none is.
    """

    values: pa.Array
    kind: LevelKind
    labels: tuple[str, ...]
    places: NDArray[np.intp] | None = None
    missing: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, values: pa.Array, kind: LevelKind) -> "_Labels":
        """The labels of these values."""
        found = _labels(values, kind)
        labels = tuple(dict.fromkeys(label for label in found if label is not None)) or (NO_LEVEL,)
        if None not in found and len(labels) >= len(found):
            return cls(values, kind, labels)
        # some are null or NaN, or two values have one label, as 0 and -0
        index = {label: i for i, label in enumerate(labels)}
        places = np.array([0 if label is None else index[label] for label in found], np.intp)
        return cls(values, kind, labels, places, np.array([label is None for label in found], np.bool_))


class LastLabels:
    """The labels of the dictionary that a column had last: the batches of a row group have the same."""

    def __init__(self) -> None:
        self._last: _Labels | None = None

    def of(self, values: pa.Array, kind: LevelKind) -> _Labels:
        """The labels of a dictionary: the same object for one that comes again."""
        last = self._last
        if last is None or last.kind != kind or not last.values.equals(values):
            last = self._last = _Labels.of(values, kind)
        return last


def coded(
    column: pa.Array, levels: LevelKind, last: LastLabels | None = None
) -> tuple[Coded, NDArray[np.bool_] | None]:
    """A column as a category, and where it is missing, shape (m,), or None; NaN is missing, too.

    Args:
        column: Text or dates for levels of kind `text`; booleans for `boolean`; numbers or booleans for `number`; a
            dictionary of these; or type null.
        levels: The kind of the levels.
        last: Those of the batch before.

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
    found = (last or LastLabels()).of(dictionary, levels)
    if found.missing is not None:
        gaps = found.missing[codes]
        if gaps.any():
            missing = gaps if missing is None else missing | gaps
    return Coded(found.labels, codes if found.places is None else found.places[codes]), missing


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
