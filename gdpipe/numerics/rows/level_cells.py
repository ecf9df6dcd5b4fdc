"""Cells: the levels of a category, or the combinations of levels of several, by index."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.levels import Key, Labels

# indices of the levels of some rows, shape (m,); -1 where a level is unknown
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class LevelCells:
    """The cells of a combination of categories, once their levels are known.

    A cell's rank is its place among all combinations of levels, the last category's level changing fastest.

    Attributes:
        sizes: The number of levels of each category.
        ranks: The ranks of the combinations that have a cell, ascending; None where each has one.
    """

    sizes: tuple[int, ...]
    ranks: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, key: Key, levels: Mapping[Key, tuple[Labels, ...]]) -> "LevelCells":
        """The cells of a key: in the order of `levels[key]` where that is there, else all combinations.

        Args:
            key: The categories.
            levels: The labels found, in order, of each category, and of some combinations of categories.
        """
        sizes = tuple(len(levels[(c,)]) for c in key)
        if len(key) < 2 or key not in levels:
            return cls(sizes)
        places = [{label: at for at, (label,) in enumerate(levels[(c,)])} for c in key]
        codes = np.array(
            [[of[label] for of, label in zip(places, labels, strict=True)] for labels in levels[key]], np.intp
        )
        return cls(sizes, _rank(list(codes.reshape(-1, len(key)).T), sizes).astype(np.int64))

    @property
    def count(self) -> int:
        """The number of cells."""
        return math.prod(self.sizes) if self.ranks is None else len(self.ranks)

    def index(self, codes: Sequence[Codes]) -> Codes:
        """The cell of each row, shape (m,); -1 where there is none.

        Args:
            codes: The level of each row by category, shape (m,) each; -1 where it is unknown.
        """
        if len(codes) == 1:
            return codes[0]
        found = _rank(codes, self.sizes)
        if self.ranks is not None:
            if not len(self.ranks):
                return np.full_like(found, -1)
            at = np.minimum(np.searchsorted(self.ranks, found), len(self.ranks) - 1)
            found = np.where(self.ranks[at] == found, at, -1)
        unknown = np.logical_or.reduce([of_category < 0 for of_category in codes])
        return np.where(unknown, -1, found) if unknown.any() else found

    def codes(self) -> list[Codes]:
        """The level of each category in each cell, shape (count,) each."""
        ranks = np.arange(self.count) if self.ranks is None else self.ranks
        return [codes.astype(np.intp) for codes in np.unravel_index(ranks, self.sizes)] if self.sizes else []


def _rank(codes: Sequence[Codes], sizes: Sequence[int]) -> Codes:
    rank = codes[0]
    for of_category, size in zip(codes[1:], sizes[1:], strict=True):
        rank = rank * size + of_category
    return rank
