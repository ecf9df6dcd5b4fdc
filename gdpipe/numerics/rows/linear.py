"""Predictions of a linear model."""

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns


def predict(columns: FloatColumns, coef: NDArray[np.float64], intercept: float) -> NDArray[np.float64]:
    """Intercept + Σ coefⱼ·xⱼ, added feature by feature in order: the same bits however the rows are split.

    Args:
        columns: The p features, shape (m,) each, or one array of shape (p, m).
        coef: Shape (p,), target units per feature unit.
        intercept: The intercept, in target units.

    Returns:
        Shape (m,), in target units; NaN or infinite where a feature is.
    """
    total = np.full(len(columns[0]), intercept)
    term = np.empty(len(total))
    with np.errstate(invalid="ignore"):
        for column, weight in zip(columns, coef.tolist(), strict=True):
            np.multiply(column, weight, out=term)
            total += term
    return total
