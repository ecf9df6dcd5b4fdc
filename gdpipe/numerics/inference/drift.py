"""Drift: the difference between two fits, in standard deviations and in standard errors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The numbers of a fit for each of its columns, shape (k,); NaN where there is none.

    Attributes:
        n: Rows, or Σw where they are weighted.
        mean: The mean, in the column's unit.
        scale: The standard deviation (divisor n), in the column's unit; 0 for a constant.
        estimate: The coefficient, in target units per feature unit.
        std_error: The coefficient's standard error.
    """

    n: float
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    estimate: NDArray[np.float64]
    std_error: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """The shifts from one fit to the next, shape (k,); NaN where either fit has no number, or for 0 / 0.

    Attributes:
        mean_shift_sd: The shift of the mean in standard deviations of the earlier fit; infinite where a constant moved.
        mean_shift_se: The shift of the mean in standard errors of the difference.
        scale_ratio: The later scale divided by the earlier one.
        scale_shift_se: ln(scale_ratio) in its standard errors, for normally distributed columns.
        estimate_shift_se: The shift of the estimate in standard errors of the difference.
    """

    mean_shift_sd: NDArray[np.float64]
    mean_shift_se: NDArray[np.float64]
    scale_ratio: NDArray[np.float64]
    scale_shift_se: NDArray[np.float64]
    estimate_shift_se: NDArray[np.float64]


def measure(before: Fitted, now: Fitted) -> Drift:
    """The shifts between two fits of independent rows.

    SE(mean₂ - mean₁)² = scale₁²/(n₁ - 1) + scale₂²/(n₂ - 1)      (Welch 1947, Biometrika 34:28-35)
    SE(ln scale₂ - ln scale₁)² = 1/(2(n₁ - 1)) + 1/(2(n₂ - 1))    for normal columns (Ahn & Fessler 2003, *Standard
                                                                  errors of mean, variance, and standard deviation
                                                                  estimators*, University of Michigan)
    SE(estimate₂ - estimate₁)² = std_error₁² + std_error₂²
    """
    free = np.array([before.n - 1, now.n - 1])
    free = np.where(free > 0, free, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift, ratio = now.mean - before.mean, now.scale / before.scale
        return Drift(
            mean_shift_sd=shift / before.scale,
            mean_shift_se=shift / np.hypot(before.scale / np.sqrt(free[0]), now.scale / np.sqrt(free[1])),
            scale_ratio=ratio,
            # a scale without a mean is a root mean square, which has another standard error
            scale_shift_se=np.where(np.isnan(shift), np.nan, np.log(ratio)) / np.sqrt(np.sum(0.5 / free)),
            estimate_shift_se=(now.estimate - before.estimate) / np.hypot(before.std_error, now.std_error),
        )
