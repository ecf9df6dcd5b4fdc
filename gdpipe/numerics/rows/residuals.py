"""What the predict scan learns of the residuals, summed exactly as the moments are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns
from gdpipe.numerics.rows.level_cells import Codes
from gdpipe.numerics.rows.level_scores import LevelGrids, LevelScoresAccumulator, LevelTotals
from gdpipe.numerics.rows.level_statistics import ScoreMeans
from gdpipe.numerics.rows.level_terms import IncludedTerms
from gdpipe.numerics.rows.meat import Meat
from gdpipe.numerics.sums.digits import BLOCK_ROWS, Scratch
from gdpipe.numerics.sums.float_moments import Float64Accumulator, Float64Moments
from gdpipe.numerics.sums.levels import Key
from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator, grid_exponents

# a score's factors in products: 42 bits of its largest possible value, which leaves a robust standard error 6 digits
# and more, and the row gradient, which is a sum, all of them
LOWEST_SCORE_DIGIT = 1


@dataclass(frozen=True, slots=True, eq=False)
class ResidualSums:
    """Sums over the rows of one stretch of the input; joined in input order by +. r is the residual.

    Attributes:
        scores: Of [r·z₁, ..., r·zₚ, r], z standardized terms that are numbers alone: their sums hold the row gradient,
            their products the robust covariance.
        powers: Of [r, |r|, r²], exact.
        steps: Of the differences rₜ - rₜ₋₁, unweighted, within the stretch; exact.
        ends: The first and the last residual, shape (2,), or (0,) where there is no row.
        levels: By combination of categories, where terms have any.
    """

    scores: Moments | Float64Moments
    powers: Moments
    steps: Moments
    ends: NDArray[np.float64]
    levels: dict[Key, LevelTotals] = field(default_factory=dict)

    def __add__(self, other: "ResidualSums") -> "ResidualSums":
        steps = self.steps + other.steps
        if len(self.ends) and len(other.ends):
            seam = MomentsAccumulator(self.steps.exponents)
            seam.add(np.array([[other.ends[0] - self.ends[-1]]]))
            steps = steps + seam.moments()
        ends = np.concatenate([self.ends, other.ends])
        return ResidualSums(
            self.scores + other.scores,  # type: ignore[operator]  # of one kind: both come from the same grids
            self.powers + other.powers,
            steps,
            ends[[0, -1]] if len(ends) else ends,
            {key: totals + other.levels[key] for key, totals in self.levels.items()},
        )


@dataclass(frozen=True, slots=True)
class ResidualGrids:
    """The grids on which residuals are summed: from bounds known beforehand, so that every shard uses the same.

    Attributes:
        score_exponents: For `ResidualSums.scores`, shape (p + 1,).
        power_exponents: For the powers.
        step_exponents: For the differences.
        weight_exponent: For the weights; None where rows are unweighted.
        exact: Whether the scores are summed on their grid; else in float64, for data too wide.
        unit: A power of two near the target's scale: residuals are summed in this unit, so that no power of them
            overflows.
        levels: For the sums by level; None where no term has a category.
    """

    score_exponents: NDArray[np.int64]
    power_exponents: NDArray[np.int64]
    step_exponents: NDArray[np.int64]
    weight_exponent: int | None
    exact: bool
    unit: float
    levels: LevelGrids | None = None

    @classmethod
    def of(
        cls,
        largest_z: NDArray[np.float64],
        largest_residual: float,
        weight_exponent: int | None,
        target_scale: float = 1.0,
        *,
        exact: bool = True,
    ) -> "ResidualGrids":
        """From bounds of |z| per term that is a number alone, shape (p,), and of |residual|."""
        unit = float(np.ldexp(1.0, np.frexp(target_scale)[1]))
        r = largest_residual / unit
        return cls(
            grid_exponents(np.array([*(r * largest_z), r]), every=1),
            grid_exponents(np.array([r, r, r * r]), every=1),
            grid_exponents(np.array([2 * r]), every=1),
            weight_exponent,
            exact,
            unit,
        )


class ResidualAccumulator:
    """Gathers `ResidualSums` of consecutive rows. One thread's; not to be shared.

    Args:
        grids: On which to sum.
        means: Of the terms that are numbers alone, shape (p,).
        per_scale: The inverse of their scales, shape (p,).
        included: The indices of these terms among the numbers of the rows; None takes them all.
    """

    def __init__(
        self,
        grids: ResidualGrids,
        means: NDArray[np.float64],
        per_scale: NDArray[np.float64],
        included: Sequence[int] | None = None,
    ) -> None:
        self._per_scale = per_scale[:, None]
        # what is subtracted from each number; terms come first, whose centres are their means
        self._centres = dict(zip(range(len(means)) if included is None else included, means.tolist(), strict=True))
        if grids.levels:
            others = [j for j in grids.levels.numbers if j not in self._centres]
            self._centres |= {j: float(grids.levels.centres[j]) for j in others}
        scratch = Scratch()
        self._scores = (
            MomentsAccumulator(grids.score_exponents, grids.weight_exponent, LOWEST_SCORE_DIGIT, scratch)
            if grids.exact
            else Float64Accumulator(len(grids.score_exponents))
        )
        self._powers = MomentsAccumulator(grids.power_exponents, grids.weight_exponent, scratch=scratch)
        self._steps = MomentsAccumulator(grids.step_exponents, scratch=scratch)
        self._levels = LevelScoresAccumulator(grids.levels, list(self._centres), scratch) if grids.levels else None
        self._ends = np.empty(0)
        self._per_unit = 1.0 / grids.unit
        self._block = np.empty((0, 0))

    def add(
        self,
        numbers: FloatColumns,
        residual: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        codes: Sequence[Codes] = (),
    ) -> None:
        """Add rows.

        Args:
            numbers: All numbers of the design, in original units, shape (m,) each.
            residual: Shape (m,), in target units.
            weights: Shape (m,), > 0; given exactly when there is a grid for them.
            codes: The level of each category, of shape (m,) and all known, where sums by level are gathered.
        """
        for start in range(0, len(residual), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            r = residual[block] * self._per_unit
            of_block = None if weights is None else weights[block]
            if self._block.shape[1] < len(r):
                self._block = np.empty((len(self._centres) + 1, len(r)))
            centred = self._block[:-1, : len(r)]
            for (j, centre), line in zip(self._centres.items(), centred, strict=True):
                np.subtract(numbers[j][block], centre, out=line)
            if self._levels is not None:
                self._levels.add(centred, [level[block] for level in codes], r, of_block)
            scores = self._block[: len(self._per_scale) + 1, : len(r)]
            np.multiply(scores[:-1], self._per_scale, out=scores[:-1])
            np.multiply(scores[:-1], r, out=scores[:-1])
            scores[-1] = r  # over the first number that is no term by itself, if there is any
            self._scores.add(scores, of_block)
            self._powers.add([r, np.abs(r), r * r], of_block)
            self._steps.add([np.diff(r, prepend=self._ends[-1:])])
            self._ends = np.concatenate([self._ends, r])[[0, -1]]

    def sums(self) -> ResidualSums:
        """The sums so far."""
        return ResidualSums(
            self._scores.moments(),
            self._powers.moments(),
            self._steps.moments(),
            self._ends,
            self._levels.totals() if self._levels else {},
        )


@dataclass(frozen=True, slots=True, eq=False)
class ResidualStatistics:
    """Means over rows; e is a residual in units of `unit`, z a standardized term.

    Attributes:
        gradient: mean(e·z), shape (p,).
        meat: mean(e²·z·zᵀ).
        square_by_feature: mean(e²·z), shape (p,).
        absolute: mean(|e|).
        powers: mean(e), mean(e²), mean(e³), mean(e⁴).
        unit: In target units.
        durbin_watson: Σ(eₜ - eₜ₋₁)² / Σw·e², over rows in input order.
    """

    gradient: NDArray[np.float64]
    meat: Meat
    square_by_feature: NDArray[np.float64]
    absolute: float
    powers: tuple[float, float, float, float]
    unit: float
    durbin_watson: float

    @classmethod
    def unknown(cls, n_features: int, unit: float = 1.0) -> "ResidualStatistics":
        """NaN throughout: of rows that were not read."""
        p, nan = n_features, math.nan
        by_feature, none = np.full(p, nan), np.empty(0, np.intp)
        # one unknown entry, so that none is known
        meat = Meat(
            none,
            np.empty((0, 0)),
            np.zeros(1, np.intp),
            np.zeros(1, np.intp),
            by_feature[:1],
            by_feature,
            by_feature,
            nan,
        )
        return cls(np.full(p, nan), meat, by_feature, nan, (nan, nan, nan, nan), unit, nan)

    @classmethod
    def of(cls, sums: ResidualSums, grids: ResidualGrids, terms: Sequence[IncludedTerms] = ()) -> "ResidualStatistics":
        """From sums on these grids, each mean rounded once; those by level as often as they are added up.

        `terms` are those that take part, where there are sums by level.
        """
        gradient, meat = _means(sums.scores)
        (residual, absolute, _), products = _means(sums.powers)
        squares = float(products[0, 0])
        means = ScoreMeans(gradient[:-1], Meat.of_all(meat[:-1, :-1], meat[:-1, -1]), meat[:-1, -1])
        # the steps count rows, the squares weights
        weight = sums.powers.weight
        step = float(sums.steps.products[0, 0] / max(weight, 1)) * float(np.ldexp(1.0, sums.steps.exponents[0])) ** 2
        steps = step / float(np.ldexp(1.0, sums.powers.weight_exponent))
        if grids.levels is not None:
            total = float(weight * Fraction(2) ** sums.powers.weight_exponent)
            means = means.with_levels(terms, grids.levels, sums.levels, total, float(residual), squares)
        return cls(
            gradient=means.gradient,
            meat=means.meat,
            square_by_feature=means.square_by_feature,
            absolute=float(absolute),
            powers=(float(residual), squares, float(products[0, 2]), float(products[2, 2])),
            unit=grids.unit,
            durbin_watson=steps / squares if squares else math.nan,
        )


def _means(sums: Moments | Float64Moments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """mean(zᵢ) and mean(zᵢ·zⱼ), whoever summed."""
    if isinstance(sums, Float64Moments):
        return sums.means, sums.comoments / sums.weight + np.outer(sums.means, sums.means)
    units = np.ldexp(1.0, sums.exponents)
    means = (sums.sums / sums.weight).astype(np.float64) * units
    return means, (sums.products / sums.weight).astype(np.float64) * np.multiply.outer(units, units)
