"""The fitted line itself."""

import numpy as np
from numpy.typing import NDArray


def predict(values: NDArray[np.float64], coef: NDArray[np.float64], intercept: float) -> NDArray[np.float64]:
    """Intercept + Σ coefⱼ·xⱼ, added feature by feature in order: the same bits however the rows are cut.

    Args:
        values: Shape (p, m), one line a feature.
        coef: Shape (p,), target units per feature unit.
        intercept: In target units.

    Returns:
        Shape (m,), in target units.
    """
    total = np.full(values.shape[1], intercept)
    term = np.empty(values.shape[1])
    for column, weight in zip(values, coef.tolist(), strict=True):
        np.multiply(column, weight, out=term)
        total += term
    return total
