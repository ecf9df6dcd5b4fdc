"""The design: which columns of a source are read, and how the terms of a regression come from them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

# of a column: an array of its values, or an expression of SQL
Values = TypeVar("Values")


@dataclass(frozen=True, slots=True)
class Number:
    """A term that is a column of numbers as it stands.

    Attributes:
        column: The source column's name, and the term's.
    """

    column: str

    @property
    def name(self) -> str:
        """The term's name."""
        return self.column

    @property
    def columns(self) -> tuple[str, ...]:
        """The source columns that it is made of."""
        return (self.column,)

    def of(self, column: Callable[[str], Values]) -> Values:
        """The term, made of its columns: arrays of values, or expressions of SQL."""
        return column(self.column)


@dataclass(frozen=True, slots=True)
class Design:
    """The terms of a regression besides the intercept, in order.

    Attributes:
        terms: What is fitted.
        booleans: The source columns that are booleans in every file, which a database must be told.
    """

    terms: tuple[Number, ...]
    booleans: frozenset[str] = frozenset()

    @classmethod
    def of_numbers(cls, columns: Iterable[str], booleans: Collection[str] = ()) -> "Design":
        """A term for each column."""
        return cls(tuple(map(Number, columns)), frozenset(booleans))

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> "Design":
        """The design of a run; an older version's manifest does not know which columns are booleans."""
        return cls.of_numbers(map(str, manifest["features"]), manifest.get("boolean_features", ()))

    def to_manifest(self) -> dict[str, Any]:
        """The entries of a manifest that `from_manifest` reads."""
        return {
            "features": list(self.names),
            "boolean_features": [name for name in self.columns if name in self.booleans],
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The terms' names."""
        return tuple(term.name for term in self.terms)

    @property
    def columns(self) -> tuple[str, ...]:
        """The source columns to read, each once."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.columns))

    def without(self, columns: Collection[str]) -> "Design":
        """The same without the terms that are made of any of these columns."""
        left = tuple(term for term in self.terms if not set(term.columns) & set(columns))
        return Design(left, self.booleans)

    def values(self, columns: Sequence[NDArray[np.float64]] | NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """The terms of some rows.

        Args:
            columns: The values of `self.columns`, of shape (m,) each.

        Returns:
            Of shape (m,) each, in the order of the terms. Not to be written to: they may be the columns themselves.
        """
        by_name = dict(zip(self.columns, columns, strict=True))
        return [term.of(by_name.__getitem__) for term in self.terms]
