"""The error of predictions on rows that no fit has seen, from exact sums: the same however the rows are split."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import nearest_float, square_root
from gdpipe.numerics.sums.moments import Moments
from gdpipe.numerics.sums.unrounded import unrounded_moments


def error_sums(target: NDArray[np.float64], residual: NDArray[np.float64]) -> Moments:
    """The exact sums of [target, residual, |residual|]; + joins them in any order.

    Args:
        target: Shape (m,), finite.
        residual: Shape (m,), target - prediction, finite.
    """
    return unrounded_moments(np.array([target, residual, np.abs(residual)]))


@dataclass(frozen=True, slots=True)
class PredictionError:
    """The unweighted error of predictions over rows; NaN where no row has both a target and a prediction.

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
        """The error from the sums of `error_sums`; each number is rounded once."""
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
            nearest_float(1 - square / total) if total else math.nan,
            square_root(square / n),
            float(sums.sums[2] * units[2] / n),
        )
