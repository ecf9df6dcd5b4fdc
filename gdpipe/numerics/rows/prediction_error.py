"""How far predictions lie from the target, for rows that no fit has seen; from exact sums, whatever cut the rows."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import square_root
from gdpipe.numerics.sums.moments import Moments
from gdpipe.numerics.sums.unrounded import HIGHEST, unrounded_moments


def error_sums(target: NDArray[np.float64], residual: NDArray[np.float64]) -> Moments:
    """The exact sums of [target, residual, |residual|], to be joined by + in any order.

    Args:
        target: Shape (m,), finite.
        residual: Shape (m,), target - prediction, finite.
    """
    if not len(target):
        return Moments.zero(np.full(3, HIGHEST))
    return unrounded_moments(np.array([target, residual, np.abs(residual)]))


@dataclass(frozen=True, slots=True)
class PredictionError:
    """The error of predictions over rows, weights left aside; NaN where no row has both.

    Attributes:
        n_samples: Rows with a target and a prediction.
        r2: 1 - Σe²/Σ(y - mean(y))², as scikit-learn's `r2_score`; without the mean where R² is uncentred, as in
            statsmodels. Negative where the mean would predict better; NaN where the target does not vary.
        rmse: √mean(e²), in target units.
        mae: mean(|e|), in target units.
    """

    n_samples: int
    r2: float
    rmse: float
    mae: float

    @classmethod
    def of(cls, sums: Moments, *, centred: bool) -> "PredictionError":
        """From the sums that `error_sums` gives; each number is rounded once."""
        n = sums.n_samples
        if not n:
            return cls(0, math.nan, math.nan, math.nan)
        units = [Fraction(2) ** int(exponent) for exponent in sums.exponents]
        square = sums.products[1, 1] * units[1] ** 2
        total = sums.products[0, 0] * units[0] ** 2
        if centred:
            total -= (sums.sums[0] * units[0]) ** 2 / n
        return cls(
            n,
            _nearest(1 - square / total) if total else math.nan,
            square_root(square / n),
            float(sums.sums[2] * units[2] / n),
        )


def _nearest(value: Fraction) -> float:
    """The nearest float64; -inf where a share is below all of them."""
    try:
        return float(value)
    except OverflowError:
        return -math.inf
