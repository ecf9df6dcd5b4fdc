"""The errors of any line over rows of which only the sums are known."""

from collections.abc import Sequence
from fractions import Fraction

from gdpipe.numerics.problem.covariance import CrossProducts


def mean_error(cross: CrossProducts, coef: Sequence[float], intercept: float) -> Fraction:
    """mean(y - Σ coefⱼ·xⱼ - intercept), exact; in the target's unit.

    Args:
        cross: Covariances of z = [features..., target].
        coef: Shape (p,), target units per feature unit, finite.
        intercept: The intercept, in target units.
    """
    *of_features, of_target = cross.means()
    return sum((-Fraction(c) * m for c, m in zip(coef, of_features, strict=True)), of_target - Fraction(intercept))


def mean_squared_error(cross: CrossProducts, coef: Sequence[float], intercept: float) -> Fraction:
    """mean((y - Σ coefⱼ·xⱼ - intercept)²), exact; in the target's unit squared.

    With v = (-coef, 1) the error is v·z - intercept, and its mean square is

        vᵀ·cov(z)·v + (v·mean(z) - intercept)²                              where `cross` is centred,
        vᵀ·mean(z·zᵀ)·v - 2·intercept·(v·mean(z)) + intercept²              where it is not.

    Args:
        cross: Covariances of z = [features..., target].
        coef: Shape (p,), target units per feature unit, finite.
        intercept: The intercept, in target units.
    """
    line = [*(-Fraction(c) for c in coef), Fraction(1)]
    b = Fraction(intercept)
    square = sum((v * c for v, c in zip(line, cross.covariances_with(line), strict=True)), Fraction(0))
    mean = sum((v * m for v, m in zip(line, cross.means(), strict=True)), Fraction(0))
    loss = square + (mean - b) ** 2 if cross.centred else square - 2 * b * mean + b**2
    return max(loss, Fraction(0))  # float64 sums may round a loss of zero to less
