"""Means of scores over the terms of a fit with categories, from sums by level and from those of numbers alone."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.rows.level_scores import LevelGrids, LevelTotals, Score
from gdpipe.numerics.rows.level_terms import IncludedTerms, categories_of_both
from gdpipe.numerics.sums.float_moments import mirror
from gdpipe.numerics.sums.levels import Key


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMeans:
    """Means over rows of residuals e times standardized terms z.

    Attributes:
        gradient: mean(e·z), shape (p,).
        meat: mean(e²·z·zᵀ), shape (p, p); NaN where the levels of the terms combine to too many.
        square_by_feature: mean(e²·z), shape (p,).
    """

    gradient: NDArray[np.float64]
    meat: NDArray[np.float64]
    square_by_feature: NDArray[np.float64]

    def with_levels(
        self,
        terms: Sequence[IncludedTerms],
        grids: LevelGrids,
        totals: Mapping[Key, LevelTotals],
        weight: float,
        mean: float,
        square: float,
    ) -> "ScoreMeans":
        """The means over all terms, where these are of the terms that are numbers alone.

        Args:
            terms: All terms that take part.
            grids: Those of the sums by level.
            totals: The sums by level.
            weight: Σw.
            mean: mean(e).
            square: mean(e²).
        """
        by_level = {
            key: {
                score: sums * (grids.unit(score.power) / weight) for score, sums in of.sums(grids.scores[key]).items()
            }
            for key, of in totals.items()
        }
        p = sum(len(of.places) for of in terms)
        gradient, meat, by_feature = np.empty(p), np.empty((p, p)), np.empty(p)
        numbers = np.concatenate([np.empty(0, np.intp), *(of.places for of in terms if not of.key)])
        gradient[numbers], by_feature[numbers] = self.gradient, self.square_by_feature
        meat[np.ix_(numbers, numbers)] = self.meat
        for of in terms:
            if of.key:
                gradient[of.places] = _of_one(of, grids, by_level[of.key], 1) + of.constant * mean
                by_feature[of.places] = _of_one(of, grids, by_level[of.key], 2) + of.constant * square
        for a, b in itertools.combinations_with_replacement(terms, 2):
            if key := categories_of_both(a, b):
                block = _of_two(a, b, key, grids, by_level.get(key, {}))
                # (v + constant)(v' + constant'): mean(e²·v) is mean(e²·z) less its own constant
                block += np.multiply.outer(by_feature[a.places], b.constant)
                block += np.multiply.outer(a.constant, by_feature[b.places] - b.constant * square)
                meat[np.ix_(a.places, b.places)] = block
                meat[np.ix_(b.places, a.places)] = block.T
        mirror(meat)  # a block with itself is symmetric but for rounding
        if np.isnan(meat).any():
            meat[:] = np.nan
        return ScoreMeans(gradient, meat, by_feature)


def _of_one(
    of: IncludedTerms, grids: LevelGrids, sums: Mapping[Score, NDArray[np.float64]], power: int
) -> NDArray[np.float64]:
    """mean(e^power·v), shape (n,), v being the terms without their constants."""
    found = np.zeros(len(of.cells))
    for factor, times in of.coefficients(grids).items():
        found += times * sums[Score(power, factor)][of.cells]
    return found


def _of_two(
    a: IncludedTerms, b: IncludedTerms, key: Key, grids: LevelGrids, sums: Mapping[Score, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """mean(e²·v·v'), shape (n, n'), v and v' being the terms of two features without their constants."""
    found = np.zeros((len(a.places), len(b.places)))
    if key not in grids.cells:
        return np.full_like(found, np.nan)
    codes = dict(zip(key, grids.cells[key].codes(), strict=True))
    rows, columns = (_place_by_cell(of, codes, grids, grids.cells[key].count) for of in (a, b))
    there = (rows >= 0) & (columns >= 0)
    for (f, of_a), (g, of_b) in itertools.product(a.coefficients(grids).items(), b.coefficients(grids).items()):
        score = Score(2, tuple(sorted((*f, *g))))
        if score not in sums:
            return np.full_like(found, np.nan)
        at, across = rows[there], columns[there]
        found[at, across] += of_a[at] * of_b[across] * sums[score][there]
    return found


def _place_by_cell(
    of: IncludedTerms, codes: Mapping[int, NDArray[np.intp]], grids: LevelGrids, cells: int
) -> NDArray[np.intp]:
    """The term of each cell of a larger combination of categories, shape (cells,); -1 where it has none."""
    if not of.key:
        return np.zeros(cells, np.intp)
    place = np.full(grids.cells[of.key].count + 1, -1)  # the last is that of a cell that does not exist
    place[of.cells] = np.arange(len(of.cells))
    return place[grids.cells[of.key].index([codes[c] for c in of.key])]
