"""Limits of each published term's distance to ordinary least squares: the wanted ones, and what float64 allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.absorbed import Absorbed
from gdpipe.numerics.problem.baseline import refined
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.relations import Relation

# a term agrees where it has nine digits of OLS, or lies within a thousandth of its standard error
NINE_DIGITS, OF_STD_ERROR = 1e-9, 1e-3
# zero, relative to the length of the coefficients or to 1: 16 times the last digit of an iterate
ZERO = 2.0**-76
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Limits of each term's distance to OLS: the intercept's first, then the features'; shape (p + 1,).

    Units are standardized: target SDs per feature SD, and target SDs for the intercept.

    Attributes:
        std_error: The standard error; NaN where there is none.
        wanted: 1e-9 of the OLS estimate or 0.001 of its standard error, whichever is larger.
        possible: The smallest distance that coefficients in float64 can reach for certain.
        shift: mean / scale of each feature, shape (p,): the effect of a coefficient on the intercept.
    """

    std_error: NDArray[np.float64]
    wanted: NDArray[np.float64]
    possible: NDArray[np.float64]
    shift: NDArray[np.float64]

    @classmethod
    def of(
        cls, problem: LeastSquares | Absorbed, optimum: Sequence[Fraction], std_error: NDArray[np.float64]
    ) -> "Agreement":
        """The limits from the optimum.

        Args:
            problem: The loss.
            optimum: w*, shape (p,).
            std_error: Standardized standard errors of intercept and features, shape (p + 1,); NaN where there is none.
        """
        scaling, coef = problem.scaling, np.array([float(w) for w in optimum])
        intercept = float(scaling.to_original(optimum)[1] / Fraction(scaling.target_scale))
        wanted = np.maximum(NINE_DIGITS * np.abs([intercept, *coef]), OF_STD_ERROR * np.nan_to_num(std_error))
        length = float(np.linalg.norm(coef))
        floor = np.full(len(coef), ZERO * max(length, 1.0) + problem.projection_error * length)
        if isinstance(problem, Absorbed):
            # the block's coefficients are the best ones for the others', which are rounded
            rounded = EPSILON * np.abs(coef[problem.others]) + floor[problem.others]
            floor[problem.block] += np.abs(problem.slopes) @ rounded
        shift = np.array([float(mean / Fraction(s)) for mean, s in zip(scaling.means, scaling.scales, strict=True)])
        # the intercept belongs to the published coefficients, which are rounded
        carried = float(np.abs(shift) @ (EPSILON * np.abs(coef) + floor)) + ZERO
        return cls(std_error, wanted, np.array([carried, *floor]), shift)

    @classmethod
    def foreseen(
        cls, problem: LeastSquares | Absorbed, relations: Sequence[Relation], total_weight: float | None = None
    ) -> "Agreement | None":
        """The limits before a descent, from the eigenvalues; None where float64 cannot tell the least from zero.

        Features in one of the `relations` have no standard error. `total_weight` is that of all rows, where the problem
        is that of a sample.
        """
        absorbed = problem if isinstance(problem, Absorbed) else None
        descended = problem.within if isinstance(problem, Absorbed) else problem
        if not descended.strong_convexity > 0:
            return None
        optimum = refined(descended)
        cross, scaling, p = problem.cross, problem.scaling, problem.n_features
        weight = cross.total_weight if total_weight is None else total_weight
        rank = len(descended.eigenvalues) + (len(absorbed.block) if absorbed else 0)
        df = weight - rank - cross.centred
        std_error = np.full(p + 1, math.nan)
        if df > 0:
            noise = descended.loss(optimum) / problem.variance / df
            inverse_root = descended.modes / np.sqrt(descended.eigenvalues)
            inverse = absorbed.inverse(inverse_root) if absorbed else None
            of_terms = inverse.diagonal() if inverse else np.sum(inverse_root**2, axis=1)
            std_error[1 + (absorbed.independent if absorbed else np.arange(p))] = np.sqrt(noise * of_terms)
            std_error[[j + 1 for relation in relations for j in relation.features]] = math.nan
            if cross.centred and not any(relation.constant for relation in relations):
                shift = np.array([float(mean) for mean in scaling.means]) / scaling.scales
                pull = absorbed.explained(shift) if absorbed else float(np.sum((shift @ inverse_root) ** 2))
                std_error[0] = math.sqrt(noise * (1 + pull))
        return cls.of(problem, absorbed.expanded(optimum) if absorbed else optimum, std_error)

    @property
    def limits(self) -> NDArray[np.float64]:
        """The wanted distance, or the possible one if that is larger; shape (p + 1,)."""
        limits: NDArray[np.float64] = np.maximum(self.wanted, self.possible)
        return limits

    @property
    def distance(self) -> float:
        """The distance ||d|| to w* within which every term agrees: |dⱼ| <= ||d||, the intercept moves by shift·d."""
        intercept, *coef = self.limits.tolist()
        length = float(np.linalg.norm(self.shift))
        return min([*coef, intercept / length if length else math.inf], default=math.inf)

    @property
    def least_std_error(self) -> float:
        """The least of the features' standard errors; infinite where there is none."""
        return float(np.nanmin(np.append(self.std_error[1:], math.inf)))

    def gaps(self, difference: NDArray[np.float64]) -> NDArray[np.float64]:
        """The distance of each term, shape (p + 1,), from the difference of the coefficients, shape (p,)."""
        return np.abs([float(self.shift @ difference), *difference])
