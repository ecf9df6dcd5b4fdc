"""Levels that the fit has not seen, in the rows that are predicted."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gdpipe.model import Unseen

# levels that are named, of each category: there may be as many as rows
MOST_LEVELS = 100


@dataclass(frozen=True, slots=True, eq=False)
class UnseenCounts:
    """Rows with a level that the fit has not seen; + joins them in any order.

    Attributes:
        rows: By category, or product of categories.
        levels: Of each, rows by level: of the first `MOST_LEVELS` in alphabetical order. Whatever parts the rows come
            in, the levels that are first in the whole are among the first in each part, so their counts are exact.
    """

    rows: dict[str, int]
    levels: dict[str, dict[str, int]]

    @classmethod
    def of(cls, unseen: list[Unseen]) -> "UnseenCounts":
        """The counts of a block's rows."""
        rows, levels = {}, {}
        for each in unseen:
            counts = np.bincount(each.codes[each.rows], minlength=len(each.labels))
            found = {each.labels[i]: int(counts[i]) for i in np.flatnonzero(counts).tolist()}
            rows[each.name] = sum(found.values())
            levels[each.name] = _first(found)
        return cls(rows, levels)

    def __add__(self, other: "UnseenCounts") -> "UnseenCounts":
        names = sorted({*self.rows, *other.rows})
        levels = {name: _first(_joined(self.levels.get(name, {}), other.levels.get(name, {}))) for name in names}
        return UnseenCounts(_joined(self.rows, other.rows), levels)

    def as_dict(self) -> dict[str, Any]:
        """The entries of a manifest's `rows`; empty where the fit has seen all levels."""
        if not self.rows:
            return {}
        others = {name: rows - sum(self.levels[name].values()) for name, rows in self.rows.items()}
        return {"unseen": self.levels, "unseen_others": {name: rows for name, rows in others.items() if rows}}


def _joined(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in sorted({*left, *right})}


def _first(levels: dict[str, int]) -> dict[str, int]:
    return dict(sorted(levels.items())[:MOST_LEVELS])
