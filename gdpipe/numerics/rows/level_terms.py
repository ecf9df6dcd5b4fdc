"""The terms of a fit with categories: which sums of residuals their gradient and robust covariance need.

In a row, the term of a number x, or of x in the rows of one level, is x·1[level]; that of a level is 1[level]. With
u = (x - centre) / bound, each standardized term z is a sum of a few factors f·1[level], f being u or 1, and a constant:
so all means of r·z and r²·z·z' follow from sums of r·f by level, and of r²·f·f' by combinations of the levels of both.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import Scaling
from gdpipe.numerics.rows.level_cells import LevelCells
from gdpipe.numerics.rows.level_scores import LevelGrids, Score, power_of_two_above
from gdpipe.numerics.rows.linear import count_numbers
from gdpipe.numerics.sums.levels import Key, Labels, TermBlock

# the most sums by level that a process keeps: 32 MB. Categories whose levels combine to more have no robust standard
# errors, which need them; all else needs those of each feature alone
MOST_SUMS = 2**21


@dataclass(frozen=True, slots=True, eq=False)
class IncludedTerms:
    """The terms of one feature that take part in a fit.

    Attributes:
        number: Index of the feature's number; None stands for 1.
        key: Its categories.
        cells: The cell of each term, shape (n,).
        places: The place of each term among all that take part, shape (n,).
        means: Of the fit's standardization, shape (n,).
        scales: Of the fit's standardization, shape (n,).
    """

    number: int | None
    key: Key
    cells: NDArray[np.intp]
    places: NDArray[np.intp]
    means: NDArray[np.float64]
    scales: NDArray[np.float64]

    @property
    def factors(self) -> tuple[tuple[int, ...], ...]:
        """The factors f as numbers that are multiplied; () is 1. That of a number alone is centred at its mean."""
        if self.number is None:
            return ((),)
        return ((self.number,), ()) if self.key else ((self.number,),)

    def coefficients(self, grids: LevelGrids) -> dict[tuple[int, ...], NDArray[np.float64]]:
        """What each factor is multiplied by in a standardized term, shape (n,)."""
        units: dict[tuple[int, ...], float] = {(): 1.0 if self.number is None else float(grids.centres[self.number])}
        if self.number is not None:
            units[(self.number,)] = float(grids.bounds[self.number])
        return {factor: units[factor] / self.scales for factor in self.factors}

    @property
    def constant(self) -> NDArray[np.float64]:
        """The constant in each standardized term, shape (n,)."""
        return -self.means / self.scales if self.key else np.zeros(len(self.means))


def included_terms(
    blocks: Sequence[TermBlock], levels: Mapping[Key, tuple[Labels, ...]], included: Sequence[int], scaling: Scaling
) -> tuple[IncludedTerms, ...]:
    """The terms that take part, by feature; features without any are left out.

    Args:
        blocks: The terms of all features.
        levels: The labels found, by categories.
        included: Indices of the terms that take part, ascending.
        scaling: The scaling of these.
    """
    places, means, found = (
        {j: place for place, j in enumerate(included)},
        np.array([float(m) for m in scaling.means]),
        [],
    )
    start = 0
    for block in blocks:
        which = [i for i in range(len(block.labels)) if start + i in places]
        at = np.array([places[start + i] for i in which], np.intp)
        start += len(block.labels)
        rank = {labels: cell for cell, labels in enumerate(levels[block.key] if block.key else ((),))}
        cells = np.array([rank[block.labels[i]] for i in which], np.intp)
        if which:
            found.append(IncludedTerms(block.number, block.key, cells, at, means[at], scaling.scales[at]))
    return tuple(found)


def level_grids(
    terms: Sequence[IncludedTerms],
    levels: Mapping[Key, tuple[Labels, ...]],
    centres: NDArray[np.float64],
    bounds: NDArray[np.float64],
    residual_bound: float,
    weight_bound: float = 1.0,
) -> LevelGrids:
    """What is summed by level for these terms, and on which grids.

    Args:
        terms: The terms that take part.
        levels: The labels found, by categories.
        centres: A number near the mean of each number of the design, shape (k,); its mean where it is a term.
        bounds: Of the magnitude of each number less its centre, shape (k,).
        residual_bound: Of |residual|, in the unit in which residuals are summed.
        weight_bound: Of the weights; 1 without weights.
    """
    gradient = [(of.key, Score(1, factor)) for of in terms if of.key for factor in of.factors]
    with_one = [(of.key, Score(2, factor)) for of in terms if of.key for factor in of.factors]
    pairs = [
        (categories_of_both(a, b), Score(2, tuple(sorted((*f, *g)))))
        for a, b in itertools.combinations_with_replacement(terms, 2)
        if categories_of_both(a, b)
        for f in a.factors
        for g in b.factors
    ]
    cells = {key: LevelCells.of(key, levels) for key, _ in [*gradient, *pairs]}
    scores = _by_key([*gradient, *with_one, *pairs])
    robust = sum(cells[key].count * score.parts for key, of_key in scores.items() for score in of_key) <= MOST_SUMS
    if not robust:
        scores = _by_key([*gradient, *with_one])
    return LevelGrids(
        {key: cells[key] for key in scores},
        scores,
        centres,
        np.array([power_of_two_above(bound) for bound in bounds.tolist()]),
        power_of_two_above(weight_bound),
        power_of_two_above(residual_bound),
        robust,
    )


def centres_and_bounds(
    blocks: Sequence[TermBlock],
    scaling: Scaling,
    constant: Sequence[int],
    largest: NDArray[np.float64],
    most_deviations: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of each number of a design, and a bound on the distance of any row from it; shape (k,) each.

    Args:
        blocks: The terms of all features.
        scaling: The scaling of all terms.
        constant: Indices of the terms that are constant.
        largest: The largest magnitude of each number, shape (k,) at least.
        most_deviations: A bound on the distance of any row from the mean, in standard deviations.
    """
    means = np.array([float(m) for m in scaling.means])
    squares = scaling.scales**2
    squares[list(constant)] = 0.0
    ends = np.cumsum([0, *(len(block.labels) for block in blocks)]).tolist()
    count = count_numbers(blocks)
    centres, bounds = np.zeros(count), np.zeros(count)
    for j in range(count):
        # that with the fewest categories has a term for each of their levels, so its terms add up to the number
        b = min((b for b, block in enumerate(blocks) if block.number == j), key=lambda b: len(blocks[b].key))
        of = slice(ends[b], ends[b + 1])
        centres[j] = means[of].sum()
        square = float(squares[of].sum() + (means[of] ** 2).sum()) - centres[j] ** 2
        # the difference has lost digits where the mean is far larger
        deviation = np.sqrt(max(square, 0.0)) * (1 + 2**-20) + abs(centres[j]) * 2.0**-24
        if blocks[b].key == ():
            deviation = np.inf if of.start in constant else scaling.scales[of.start] * (1 + 2**-20)
        bounds[j] = min((largest[j] + abs(centres[j])) * (1 + 2**-20), most_deviations * deviation)
    return centres, bounds


def categories_of_both(a: IncludedTerms, b: IncludedTerms) -> Key:
    """The categories of either feature; () where both are numbers alone."""
    return tuple(sorted({*a.key, *b.key}))


def _by_key(wanted: Sequence[tuple[Key, Score]]) -> dict[Key, tuple[Score, ...]]:
    found: dict[Key, set[Score]] = {}
    for key, score in wanted:
        found.setdefault(key, set()).add(score)
    return {key: tuple(sorted(found[key])) for key in sorted(found)}
