"""Means of scores over the terms of a fit with categories, from sums by level and from those of numbers alone."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.rows.level_scores import LevelGrids, LevelTotals, Score
from gdpipe.numerics.rows.level_terms import IncludedTerms, categories_of_both
from gdpipe.numerics.rows.meat import Meat
from gdpipe.numerics.sums.levels import Key


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMeans:
    """Means over rows of residuals e times standardized terms z.

    Attributes:
        gradient: mean(e·z), shape (p,).
        meat: mean(e²·z·zᵀ).
        square_by_feature: mean(e²·z), shape (p,).
    """

    gradient: NDArray[np.float64]
    meat: Meat
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
        gradient, by_feature, constants = np.empty(p), np.empty(p), np.empty(p)
        numbers = np.concatenate([np.empty(0, np.intp), *(of.places for of in terms if not of.key)])
        gradient[numbers], by_feature[numbers] = self.gradient, self.square_by_feature
        for of in terms:
            constants[of.places] = of.constant
            if of.key:
                gradient[of.places] = _of_one(of, grids, by_level[of.key], 1) + of.constant * mean
                by_feature[of.places] = _of_one(of, grids, by_level[of.key], 2) + of.constant * square
        found = [
            _of_two(a, b, key, grids, by_level.get(key, {}))
            for a, b in itertools.combinations_with_replacement(terms, 2)
            if (key := categories_of_both(a, b))
        ]
        rows, columns, values = (np.concatenate(part) for part in zip(*found, strict=True))
        meat = Meat(numbers, self.meat.of_numbers, rows, columns, values, by_feature, constants, square)
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
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """mean(e²·v·v') where it is not zero, v and v' being the terms of two features without their constants.

    Returns:
        The places of v and of v', and the means; one NaN where there are no such sums.
    """
    unknown = a.places[:1], b.places[:1], np.full(1, np.nan)
    if key not in grids.cells:
        return unknown
    codes = dict(zip(key, grids.cells[key].codes(), strict=True))
    rows, columns = (_place_by_cell(of, codes, grids, grids.cells[key].count) for of in (a, b))
    there = (rows >= 0) & (columns >= 0)
    at, across = rows[there], columns[there]
    found = np.zeros(len(at))
    for (f, of_a), (g, of_b) in itertools.product(a.coefficients(grids).items(), b.coefficients(grids).items()):
        score = Score(2, tuple(sorted((*f, *g))))
        if score not in sums:
            return unknown
        found += of_a[at] * of_b[across] * sums[score][there]
    return a.places[at], b.places[across], found


def _place_by_cell(
    of: IncludedTerms, codes: Mapping[int, NDArray[np.intp]], grids: LevelGrids, cells: int
) -> NDArray[np.intp]:
    """The term of each cell of a larger combination of categories, shape (cells,); -1 where it has none."""
    if not of.key:
        return np.zeros(cells, np.intp)
    place = np.full(grids.cells[of.key].count + 1, -1)  # the last is that of a cell that does not exist
    place[of.cells] = np.arange(len(of.cells))
    return place[grids.cells[of.key].index([codes[c] for c in of.key])]
