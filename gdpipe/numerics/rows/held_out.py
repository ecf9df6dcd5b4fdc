"""The error of a model on rows that its fit has not seen, from the sums of those rows alone.

Only what is made of squares: the mean absolute error needs single rows, so a scan that predicts must find it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import (
    CrossProducts,
    ExactProducts,
    Float64Products,
    Scaling,
    nearest_float,
    square_root,
)
from gdpipe.numerics.problem.fixed_point import to_float
from gdpipe.numerics.problem.objective import correlations
from gdpipe.numerics.problem.rational import shortened
from gdpipe.numerics.rows.linear import mean_squared_error


@dataclass(frozen=True, slots=True)
class HeldOutError:
    """The error of a model on some rows.

    Attributes:
        n_samples: Rows counted.
        weight: Σw, rounded once; later steps take it as exact.
        mse: The mean squared error, in the target's unit squared, to 256 bits.
        target_mean: The target's mean over these rows; zero where the fit has no intercept.
        target_variance: The target's variance over these rows; its mean square where the fit has no intercept.
    """

    n_samples: int
    weight: float
    mse: Fraction
    target_mean: Fraction
    target_variance: Fraction

    @classmethod
    def of(cls, cross: CrossProducts, coef: Sequence[float | Fraction], intercept: float | Fraction) -> "HeldOutError":
        """The error of a model.

        Args:
            cross: Covariances of [terms..., target] over these rows, centred where the fit has an intercept.
            coef: Shape (p,), target units per unit of the term, finite.
            intercept: The intercept, in target units.
        """
        mean, variance = cross.means()[-1] if cross.centred else Fraction(0), cross.variances()[-1]
        mse = shortened(*mean_squared_error(cross, coef, intercept).as_integer_ratio())
        return cls(cross.n_samples, cross.total_weight, mse, mean, variance)

    @property
    def rmse(self) -> float:
        """The root of the mean squared error, in target units, rounded once."""
        return square_root(self.mse)

    @property
    def r2(self) -> float:
        """1 - mse / variance, rounded once; NaN where the target does not vary.

        It is about the target's mean over these rows, as scikit-learn's `r2_score` has it; without an intercept about
        zero, as that of the fit is. It is negative where the mean predicts better than the model.
        """
        return nearest_float(1 - self.mse / self.target_variance) if self.target_variance else math.nan


def pooled(errors: Sequence[HeldOutError]) -> HeldOutError:
    """The error on the rows of several parts taken together, each of which may have a model of its own.

    Args:
        errors: Of parts of the rows, one at least, none without weight.
    """
    weights = [Fraction(error.weight) for error in errors]
    weight = sum(weights, Fraction(0))

    def mean(values: Sequence[Fraction]) -> Fraction:
        return sum((w * v for w, v in zip(weights, values, strict=True)), Fraction(0)) / weight

    target_mean = mean([error.target_mean for error in errors])
    return HeldOutError(
        sum(error.n_samples for error in errors),
        math.fsum(error.weight for error in errors),
        mean([error.mse for error in errors]),
        target_mean,
        mean([error.target_variance + (error.target_mean - target_mean) ** 2 for error in errors]),
    )


def squared_errors(cross: CrossProducts, scaling: Scaling, coef_scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean squared error of many fits on the same rows, in float64, in the target's unit squared; shape (n,).

    It is variance · vᵀMv with v = (-w, 1) and M = mean(z·zᵀ), where z is standardized by the scaling of the fits. M is
    rounded once, so that the error is about p·eps of the target's variance: too much for a fit that is nearly perfect,
    on which `HeldOutError.of` is exact.

    Args:
        cross: Covariances of the fits' [terms..., target] over these rows.
        scaling: That of the rows on which the fits were made.
        coef_scaled: The fits' coefficients w, shape (n, p), in target SDs per term SD.
    """
    scales = [*scaling.scales.tolist(), scaling.target_scale]
    if isinstance(cross, ExactProducts):
        moments = to_float(correlations(cross, scales))
    else:
        assert isinstance(cross, Float64Products)
        moments = cross.comoments / np.multiply.outer(scales, scales) / cross.total_weight
    if cross.centred:
        before = [*scaling.means, scaling.target_mean]
        shift = [
            float((now - then) / Fraction(scale))
            for now, then, scale in zip(cross.means(), before, scales, strict=True)
        ]
        moments += np.multiply.outer(shift, shift)
    lines = np.column_stack([-coef_scaled, np.ones(len(coef_scaled))])
    squares: NDArray[np.float64] = np.maximum(np.einsum("ij,ij->i", lines @ moments, lines), 0.0)
    return squares * scaling.target_scale**2
