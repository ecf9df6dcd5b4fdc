"""Data frames and arrays by column, and the design and the values that a fit makes of them."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.defined import first_undefined
from gdpipe.design import Category, ColumnKind, Design, Feature, Input, Number, Values, features_of, needed_instead
from gdpipe.errors import ConfigError, DataError
from gdpipe.frame_columns import Column
from gdpipe.model import Model
from gdpipe.numerics.array_types import frame_columns, why_not_numbers
from gdpipe.printable import abridged


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A data frame, or an array, by column.

    Attributes:
        columns: The columns by name.
    """

    columns: dict[str, Column]

    @classmethod
    def of(cls, X: Any, names: Sequence[str], design: Design | None = None) -> "Frame":
        """The columns of a frame of pandas, Polars or Arrow, or of an array or lists of rows.

        Args:
            X: Shape (m, k).
            names: The names of its k columns.
            design: The design of a fit, of which only the columns are read, in its time zones; None reads all.

        Raises:
            ValueError: Two columns have one name, or X has no columns.
        """
        found = frame_columns(X)
        if found is None:
            # lists would become one type, such as text
            array = X if isinstance(X, np.ndarray) else np.array(X, object)
            if array.ndim != 2:
                raise ValueError(f"X has {array.ndim} dimensions; features need 2, rows and columns")
            columns: Iterable[Any] = array.T
        else:
            columns = [column for _, column in found]
        if twice := sorted({name for name in names if list(names).count(name) > 1}):
            raise ValueError(f"X has the column {twice[0]!r} more than once; rename or drop the others")
        zones = {} if design is None else design.zones
        return cls(
            {
                name: Column.of(column, zones.get(name))
                for name, column in zip(names, columns, strict=True)
                if design is None or name in design.columns
            }
        )

    def design(self, features: Sequence[str] | None) -> Design:
        """The design of some features, by the grammar of docs/features.md, without levels.

        None takes every column: text is a category, and booleans are numbers, as anywhere in scikit-learn.

        Raises:
            ConfigError: A feature cannot be made.
            ValueError: None are named, and a column can be no feature by itself.
        """
        if features is None:
            design = Design(tuple(self._feature(name) for name in self.columns))
        else:
            design = Design(features_of(features, self.columns, self._kind, {}))
        zones = {of.column: self.columns[of.column].zone for of in design.inputs if of.part}
        return replace(design, zones={name: zone for name, zone in zones.items() if zone})

    def _feature(self, name: str) -> Feature:
        column = self.columns[name]
        if column.kind == "text":
            return Feature((Category(name, Input(name, None, "text")),))
        if column.kind in ("number", "boolean"):
            return Feature((Number(name, Input(name)),))
        raise ValueError(_why_no_feature(name, column))

    def _kind(self, name: str) -> ColumnKind:
        if name not in self.columns:
            near = difflib.get_close_matches(name, self.columns, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"its columns are {abridged(list(self.columns), 10)}"
            raise ConfigError(f"features: X has no column {name!r}; {hint}")
        return self.columns[name].kind

    def values(self, design: Design) -> list[Values]:
        """The values of `design.inputs`, shape (m,) each.

        Raises:
            DataError: A function or product of the design is not defined in a row, or too large.
            ValueError: A value is missing or too large for float64, or a column is of another kind than in the fit.
        """
        for of in design.inputs:
            name, column = of.column, self.columns[of.column]
            if not len(column.missing):  # of no kind, as it holds no value
                raise ValueError("X has no rows; give at least one")
            if column.missing.any():
                raise ValueError(
                    f"Input X contains NaN: column {name!r} is missing in row {int(np.argmax(column.missing))}; fill "
                    "such values, or leave the rows out"
                )
            if needs := needed_instead(of, design.zones.get(name), column.kind, zoned=column.zone is not None):
                raise ValueError(f"X: column {name!r} holds {column.said}; the fit needs {needs}")
            if not (of.part or of.levels) and (reason := why_not_numbers(f"X: column {name!r}", column.values)):
                raise ValueError(reason)
        values = [self.columns[of.column].read(of) for of in design.inputs]
        if found := first_undefined(design, dict(zip(design.inputs, values, strict=True))):
            raise DataError(f"X: {found.what} in row {found.at}{found.why}; {found.remedy}")
        return values


def fold_keys(X: Any, names: Sequence[str], fold_by: Sequence[str]) -> list[NDArray[np.float64] | NDArray[np.uint64]]:
    """The values of the columns named in `fold_by`, shape (m,) each, as they decide folds.

    Raises:
        ConfigError: X has no such column.
        ValueError: A column holds what cannot decide a fold.
    """
    found, columns = [], frame_columns(X) if fold_by else None
    for name in fold_by:
        if name not in names:
            raise ConfigError(f"fold_by: X has no column {name!r}; its columns are {abridged(list(names), 10)}")
        at = list(names).index(name)
        # instants, whatever the time zone
        column = Column.of(np.asarray(X)[:, at] if columns is None else columns[at][1], "UTC")
        if column.kind == "other":
            raise ValueError(
                f"X: column {name!r} holds {column.said}, which cannot decide a fold; leave it out of fold_by"
            )
        found.append(column.key())
    return found


def has_text(X: Any) -> bool:
    """Whether a column of a data frame is text; an array has none, as its text is no category.

    Raises:
        ValueError: A column holds dates or timestamps, of which only features make numbers.
    """
    columns = {name: Column.of(column) for name, column in frame_columns(X) or ()}
    for name, column in columns.items():
        if column.kind in ("date", "time"):
            raise ValueError(_why_no_feature(name, column))
    return any(column.kind == "text" for column in columns.values())


def unseen_levels(model: Model, values: Sequence[Values]) -> list[str]:
    """The levels that a fit has not seen, in words: the first of each category, or product of categories.

    Args:
        model: The fit.
        values: The values of its design's inputs, shape (m,) each.
    """
    lines = []
    for each in model.unseen(values, None):
        row, level = each.first()
        rows = int(each.rows.sum())
        others = f" (one of {rows:,} such rows)" if rows > 1 else ""
        lines.append(f"X: {each.name} is {level!r} in row {row}, a level that the fit has not seen{others}")
    return lines


def _why_no_feature(name: str, column: Column) -> str:
    """Why a column can be no feature by itself, and what to do."""
    if column.kind in ("date", "time"):
        return (
            f"X: column {name!r} holds {column.said}, which is no number; convert it, or name parts of it in features, "
            "such as month(t) or days(t)"
        )
    reason = why_not_numbers(f"X: column {name!r}", column.values)
    return reason or f"X: column {name!r} holds {column.said}, which is neither number nor text; leave it out"
