"""Sums of residuals by level of categories, and by combination of levels: the same bits however the rows are cut.

A score is w·r·f or w·r²·f, where r is the residual and f is 1, a number, or a product of two. Its factors are divided
by powers of two that bound them, so that it lies between -1 and 1, and it is rounded to 44 bits: an integer. Integers
are added in int64, in which 2^18 of them fit before a carry; so neither the order nor the cut of the rows matters, and
a row costs the same for any number of levels.

44 bits are enough for a robust standard error: where a typical r is 1/100 of its bound and a typical number 1/10 of
its own, r²·f is 2^-17 of the bound and keeps 27 bits, so a row's error is 4e-9 of it, and those of many rows cancel.
Scores without a number, and those of the row gradient, which must come out as nothing but rounding, are two integers
of 44 bits each, which hold all 53 bits of a float64 down to 2^-35 of the bound.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.rows.level_cells import Codes, LevelCells
from gdpipe.numerics.sums.digits import GridOverflow, Scratch
from gdpipe.numerics.sums.levels import Key

SCORE_BITS = 44
# what int64 holds of such integers with a remainder that was not carried: 2^44 · (2^18 + 1) < 2^63
ROWS_BEFORE_CARRY = 2**18
# x + 1.5 · 2^52 is rounded to a whole number, ties to even, which the last bits of the float64 are: |x| < 2^51
_TO_INTEGER = 1.5 * 2.0**52
_BITS_OF_ZERO = np.float64(_TO_INTEGER).view(np.int64)


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """What is summed: w·r^power times numbers.

    Attributes:
        power: 1 or 2.
        numbers: Indices of the numbers, ascending, two at most.
    """

    power: int
    numbers: tuple[int, ...] = ()

    @property
    def parts(self) -> int:
        """The integers of 44 bits that hold a row's score."""
        return 1 if self.power == 2 and self.numbers else 2


@dataclass(frozen=True, slots=True, eq=False)
class LevelTotals:
    """The sums of one combination of categories by cell: (high·2^44 + low) / 2^44 for each part; + adds rows.

    Attributes:
        high: Shape (parts of all scores, cells), int64.
        low: Shape (parts of all scores, cells), int64, from 0 to 2^44 - 1.
    """

    high: NDArray[np.int64]
    low: NDArray[np.int64]

    def __add__(self, other: "LevelTotals") -> "LevelTotals":
        return LevelTotals(self.high + other.high, self.low + other.low).carried()

    def carried(self) -> "LevelTotals":
        """The same numbers as each is written in one way only."""
        carry = self.low >> SCORE_BITS
        return LevelTotals(self.high + carry, self.low - (carry << SCORE_BITS))

    def sums(self, scores: Sequence[Score]) -> dict[Score, NDArray[np.float64]]:
        """The sums by cell, shape (cells,), in units of the scores' bounds."""
        parts = iter(self.high + np.ldexp(self.low.astype(np.float64), -SCORE_BITS))
        return {
            score: sum(
                (np.ldexp(next(parts), -SCORE_BITS * part) for part in range(score.parts)),
                start=np.zeros(self.high.shape[1]),
            )
            for score in scores
        }


@dataclass(frozen=True, slots=True, eq=False)
class LevelGrids:
    """What is summed by which levels, and the bounds of all factors: known beforehand, so the same for every shard.

    Attributes:
        cells: The cells of each combination of categories by which rows are summed.
        scores: The scores of each.
        centres: What is subtracted from each number first, shape (k,).
        bounds: Of the magnitude of each number less its centre, shape (k,): powers of two.
        weight_bound: Of the weights: a power of two.
        residual_bound: Of |residual|, in the unit in which residuals are summed: a power of two.
        robust: Whether the sums hold the robust covariance; not where levels combine to too many.
    """

    cells: dict[Key, LevelCells]
    scores: dict[Key, tuple[Score, ...]]
    centres: NDArray[np.float64]
    bounds: NDArray[np.float64]
    weight_bound: float
    residual_bound: float
    robust: bool = True

    @property
    def numbers(self) -> list[int]:
        """The numbers that scores are made of, ascending."""
        return sorted({j for scores in self.scores.values() for score in scores for j in score.numbers})

    def unit(self, power: int) -> float:
        """The unit of sums of w·r^power·f; numbers stay divided by their bounds, so that no product overflows."""
        return self.weight_bound * self.residual_bound**power


class LevelScoresAccumulator:
    """Gathers `LevelTotals` by combination of categories. One thread's; not to be shared.

    Args:
        grids: What is summed.
        numbers: The indices of the design's numbers, in the order in which rows bring them.
        scratch: That of the thread, where it has other accumulators.
    """

    def __init__(self, grids: LevelGrids, numbers: Sequence[int], scratch: Scratch | None = None) -> None:
        self._grids = grids
        self._numbers = list(numbers)
        self._per_bound = 1.0 / grids.bounds[self._numbers, None]
        wanted = sorted({score for scores in grids.scores.values() for score in scores})
        # the line of a number becomes that of its product with w·r², once all others are made
        of_numbers = {Score(2, (j,)): line for line, j in enumerate(self._numbers)}
        others = [score for score in wanted if score not in of_numbers]
        *firsts, self._count = itertools.accumulate((score.parts for score in others), initial=len(of_numbers))
        self._others = dict(zip(others, firsts, strict=True))
        first = self._others | of_numbers
        # new memory for each block takes longer than what is done in it
        self._scratch = scratch or Scratch()
        # the lines of each key's scores among all
        self._lines = {
            key: [first[score] + part for score in scores for part in range(score.parts)]
            for key, scores in grids.scores.items()
        }
        self._totals = {
            key: LevelTotals(*np.zeros((2, len(lines), grids.cells[key].count), np.int64))
            for key, lines in self._lines.items()
        }
        self._sums = {key: np.zeros_like(totals.low) for key, totals in self._totals.items()}
        self._gathered = 0

    def add(
        self,
        numbers: NDArray[np.float64],
        codes: Sequence[Codes],
        residual: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
    ) -> None:
        """Add a block of rows, 2^18 at most.

        Args:
            numbers: The numbers of the design, less their centres, shape (k, m).
            codes: The level of each category, shape (m,) each; all known.
            residual: Shape (m,), in the unit in which residuals are summed.
            weights: Shape (m,), or None.

        Raises:
            GridOverflow: A number lies beyond its bound.
        """
        if self._gathered + len(residual) > ROWS_BEFORE_CARRY:
            self._carry()
        self._gathered += len(residual)
        integers = self._integers(numbers, residual, weights)
        for key, sums in self._sums.items():
            at = self._grids.cells[key].index([codes[c] for c in key])
            for total, line in zip(sums, self._lines[key], strict=True):
                np.add.at(total, at, integers[line])

    def totals(self) -> dict[Key, LevelTotals]:
        """The sums so far, by combination of categories."""
        self._carry()
        return dict(self._totals)

    def _carry(self) -> None:
        for key, sums in self._sums.items():
            totals = self._totals[key]
            self._totals[key] = LevelTotals(totals.high, totals.low + sums).carried()
            sums[:] = 0
        self._gathered = 0

    def _integers(
        self, numbers: NDArray[np.float64], residual: NDArray[np.float64], weights: NDArray[np.float64] | None
    ) -> NDArray[np.int64]:
        """The integers of all scores, shape (parts of them, m); until the next block."""
        grids, m = self._grids, len(residual)
        lines = self._scratch.room(self._count, m)
        scaled = lines[: len(self._numbers)]
        r = residual * (1.0 / grids.residual_bound)
        first = r if weights is None else r * (weights * (1.0 / grids.weight_bound))
        powers = {1: first * 2.0**SCORE_BITS, 2: first * r * 2.0**SCORE_BITS}
        np.multiply(numbers, self._per_bound, out=scaled)
        if not (scaled.max(initial=0.0) <= 1.0 and scaled.min(initial=0.0) >= -1.0):
            raise GridOverflow(self._numbers[int(np.argmax(np.abs(scaled).max(axis=1)))])
        of = dict(zip(self._numbers, scaled, strict=True))
        for score, at in self._others.items():
            line = lines[at]
            if score.numbers:
                np.multiply(powers[score.power], of[score.numbers[0]], out=line)
            else:
                line[:] = powers[score.power]
            for j in score.numbers[1:]:
                line *= of[j]
            if score.parts > 1:  # what a float64 has beyond its whole part is exact
                rest = lines[at + 1]
                np.rint(line, out=rest)
                np.subtract(line, rest, out=rest)
                rest *= 2.0**SCORE_BITS
        np.multiply(scaled, powers[2], out=scaled)
        lines += _TO_INTEGER
        integers = lines.view(np.int64)
        integers -= _BITS_OF_ZERO
        return integers


def power_of_two_above(bound: float) -> float:
    """The least power of two that is no less than `bound`; 1 for 0."""
    mantissa, exponent = np.frexp(bound or 1.0)
    return float(np.ldexp(1.0, exponent - (mantissa == 0.5)))
