"""The design: the columns of a source that are read, and the terms made from them; the model: their coefficients."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns

# a column: an array of its values, or an expression in SQL
Values = TypeVar("Values")


@dataclass(frozen=True, slots=True)
class Number:
    """A term that is a column of numbers, unchanged.

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
        """The source columns from which the term is made."""
        return (self.column,)

    def of(self, column: Callable[[str], Values]) -> Values:
        """The term, made from its columns: arrays of values, or expressions in SQL."""
        return column(self.column)


@dataclass(frozen=True, slots=True)
class Design:
    """The terms of a regression besides the intercept, in order.

    Attributes:
        terms: The terms.
        booleans: The source columns that are booleans in every file: SQL must convert them to numbers.
    """

    terms: tuple[Number, ...]
    booleans: frozenset[str] = frozenset()

    @classmethod
    def of_numbers(cls, columns: Iterable[str], booleans: Collection[str] = ()) -> "Design":
        """The design with one term for each column."""
        return cls(tuple(map(Number, columns)), frozenset(booleans))

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> "Design":
        """The design of a run; an older version's manifest does not know which columns are booleans."""
        return cls.of_numbers(map(str, manifest["features"]), manifest.get("boolean_features", ()))

    def to_manifest(self) -> dict[str, Any]:
        """The entries of a manifest from which `from_manifest` makes the design."""
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
        """The design without the terms that are made from any of these columns."""
        left = tuple(term for term in self.terms if not set(term.columns) & set(columns))
        return Design(left, self.booleans)

    def values(self, columns: FloatColumns) -> list[NDArray[np.float64]]:
        """The values of the terms for some rows.

        Args:
            columns: The values of `self.columns`, shape (m,) each.

        Returns:
            Arrays in the order of the terms, shape (m,) each. Do not write to them: they may be the columns themselves.
        """
        by_name = dict(zip(self.columns, columns, strict=True))
        return [term.of(by_name.__getitem__) for term in self.terms]
