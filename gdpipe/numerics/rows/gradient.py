"""The residuals' sum with each feature, of rows that are known by their sums only."""

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

    With averages over these very rows, x̄ⱼ and ē, it is Σw · (cov(e, xⱼ) + ē·(x̄ⱼ - meanⱼ)) / scaleⱼ, and cov(e, xⱼ) =
    cov(y, xⱼ) - Σ coefₖ·cov(xₖ, xⱼ). What a scan would find, but for the rounding of its predictions.

    Args:
        cross: Covariances of [features..., target] over the rows, centred.
        coef: Shape (p,), in original units.
        intercept: In the target's unit.
        means: Shape (p,), as the fit standardized.
        scales: Shape (p,), likewise.

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
