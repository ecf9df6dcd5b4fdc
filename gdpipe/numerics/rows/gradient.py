"""The gradient over rows of which only the sums are known."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts


def gradient_of_sums(
    cross: CrossProducts,
    coef: NDArray[np.float64],
    intercept: float,
    means: NDArray[np.float64],
    scales: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Σw·e·zⱼ, where e = y - intercept - Σ coefₖ·xₖ and zⱼ = (xⱼ - meanⱼ) / scaleⱼ; each rounded once.

    With x̄ⱼ and ē the means over these rows, it is Σw · (cov(e, xⱼ) + ē·(x̄ⱼ - meanⱼ)) / scaleⱼ, and cov(e, xⱼ) =
    cov(y, xⱼ) - Σ coefₖ·cov(xₖ, xⱼ). A scan of the rows finds the same but for the rounding of predictions.

    Args:
        cross: Covariances of [features..., target] over the rows, centred.
        coef: The coefficients, shape (p,), in original units.
        intercept: The intercept, in the target's unit.
        means: The means of the fit's standardization, shape (p,).
        scales: The scales of the fit's standardization, shape (p,).

    Returns:
        Shape (p,), in the target's unit times the weights'.
    """
    line = [*(-Fraction(c) for c in coef.tolist()), Fraction(1)]  # e = line · [x, y] - intercept
    averages, covariances = cross.means(), cross.covariances_with(line)
    error = sum((c * a for c, a in zip(line, averages, strict=True)), -Fraction(intercept))
    total = Fraction(cross.total_weight)
    return np.array(
        [
            float(total * (covariance + error * (a - Fraction(m))) / Fraction(s))
            for covariance, a, m, s in zip(covariances, averages, means.tolist(), scales.tolist(), strict=False)
        ]
    )
