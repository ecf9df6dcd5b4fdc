"""What the errors of several folds say together: their mean, its standard error, and the choice of alpha."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import square_root


def mean_and_variance(errors: NDArray[Any], weights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The mean over folds of their mean squared errors, and the square of its standard error; shape (n,) each.

    mean = Σ W·e / Σ W and variance = Σ W·(e - mean)² / Σ W / (K - 1) with K folds of weight W: cvm and cvsd² of glmnet
    (Friedman, Hastie & Tibshirani 2010, J. Stat. Softw. 33(1)), where rows are grouped by fold.

    Args:
        errors: Shape (K, n), K >= 2; float64 or fractions.
        weights: Shape (K,), > 0, of the same kind.
    """
    total = weights.sum()
    mean = weights @ errors / total
    return mean, weights @ (errors - mean) ** 2 / (total * (len(errors) - 1))


def rmse_standard_error(mse: Fraction, variance: Fraction) -> float:
    """The standard error of √mse from the variance of mse, by the delta method: √variance / (2·√mse), rounded once."""
    return square_root(variance / (4 * mse)) if mse else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class AlphaChoice:
    """The cross-validated error of each alpha, and the two that are chosen by it.

    Attributes:
        mse: The mean squared error, shape (n,), in the target's unit squared.
        std_error: Its standard error over folds, shape (n,).
        least: Index of the alpha with the least error (`auto`); of several the largest.
        one_std_error: Index of the largest alpha whose error lies within one standard error of the least (`auto_1se`).
    """

    mse: NDArray[np.float64]
    std_error: NDArray[np.float64]
    least: int
    one_std_error: int


def choose_alpha(
    alphas: NDArray[np.float64], errors: NDArray[np.float64], weights: NDArray[np.float64]
) -> AlphaChoice | None:
    """The alphas by their errors on unseen rows; None where fewer than two folds have any.

    The rule of one standard error is that of Breiman, Friedman, Olshen & Stone (1984), *Classification and Regression
    Trees*, section 3.4.3.

    Args:
        alphas: Shape (n,), in any order.
        errors: The mean squared error on each fold, shape (K, n).
        weights: The folds' Σw, shape (K,).
    """
    if len(errors) < 2:
        return None
    mse, variance = mean_and_variance(errors, weights)
    std_error = np.sqrt(variance)
    least = _largest(alphas, mse <= mse.min())
    return AlphaChoice(mse, std_error, least, _largest(alphas, mse <= mse[least] + std_error[least]))


def _largest(alphas: NDArray[np.float64], among: NDArray[np.bool_]) -> int:
    return int(np.argmax(np.where(among, alphas, -math.inf)))
