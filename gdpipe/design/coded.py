"""Categories of some rows: each row's level, as an index among labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.levels import Labels

# a table of all pairs of labels with at most so many entries is faster than a search for the pairs that occur
FULL_TABLE = 2**14


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A category in some rows.

    Attributes:
        labels: The levels' labels, each once; some may occur in no row.
        codes: The index of each row's level, shape (m,); any where the column is missing.
    """

    labels: tuple[str, ...]
    codes: NDArray[np.intp]

    def __getitem__(self, rows: NDArray[np.bool_]) -> "Coded":
        return Coded(self.labels, self.codes[rows])


# a column of some rows: numbers of shape (m,), or a category
Values = NDArray[np.float64] | Coded
SomeValues = TypeVar("SomeValues", NDArray[np.float64], Coded, Values)


def in_rows(column: SomeValues, rows: NDArray[np.bool_] | None) -> SomeValues:
    """The column in some of the rows, which are True, shape (m,); None takes all."""
    return column if rows is None else column[rows]


class LevelPlaces:
    """The indices of rows' levels among those of some categories, -1 where they are unknown. One thread's.

    Labels that come again, as in the batches of a row group, are not looked up again.

    Args:
        known: The index of each level, by category.
        other: The level of all labels that are none.
    """

    def __init__(self, known: Sequence[Mapping[str, int]], other: str) -> None:
        self._known = known
        self._other = other
        self._last: dict[int, tuple[tuple[str, ...], NDArray[np.intp]]] = {}

    def codes(self, categories: Iterable[Coded]) -> list[NDArray[np.intp]]:
        """The index of each row's level, shape (m,) by category."""
        found = []
        for c, coded in enumerate(categories):
            if c not in self._last or self._last[c][0] is not coded.labels:
                known = self._known[c]
                other = known.get(self._other, -1)
                # an index more, for -1 where there is no label
                places = np.array([*(known.get(label, other) for label in coded.labels), -1], np.intp)
                self._last[c] = coded.labels, places
            found.append(self._last[c][1][coded.codes])
        return found


def combined(categories: Sequence[Coded]) -> tuple[list[Labels], NDArray[np.intp]]:
    """The combinations of levels of one or more categories, and the index of each row's combination, shape (m,)."""
    first, *others = categories
    labels: list[Labels] = [(label,) for label in first.labels]
    codes = first.codes
    for other in others:
        codes = codes * len(other.labels) + other.codes
        if len(labels) * len(other.labels) <= FULL_TABLE:
            labels = [(*left, right) for left in labels for right in other.labels]
        else:
            found, codes = np.unique(codes, return_inverse=True)
            pairs = (divmod(pair, len(other.labels)) for pair in found.tolist())
            labels = [(*labels[left], other.labels[right]) for left, right in pairs]
    return labels, codes
