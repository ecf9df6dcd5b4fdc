"""The optimum with a penalty, proven: signs from a descent, coefficients in rationals, and the KKT conditions."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.baseline import refined
from gdpipe.numerics.problem.covariance import ExactProducts
from gdpipe.numerics.problem.dependencies import TRUSTED_EIGENVALUE, independent_columns, solve_exactly
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.penalty import Penalty, duality_gap
from gdpipe.numerics.problem.rational import RATIONAL_FEATURES, over_one_denominator

# changes of the signs after which no proof is looked for any more: a descent that converged has them all or nearly so
CORRECTIONS = 10
# relative to the penalty: a term whose condition is met with equality, but for this, might enter the optimum
NEARLY_EQUAL = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class PenalizedBaseline:
    """The optimum that a descent with a penalty is measured against.

    Attributes:
        coef_scaled: Shape (p,), target SDs per term SD; exact where `proven`, otherwise right to about 24 digits after
            the point for the signs of the descent.
        loss: The mean squared error there, without the penalty, in the target's unit squared.
        proven: Whether the optimality (KKT) conditions hold exactly, between rationals.
        duality_gap: A bound of the objective above its least value, in units of the target's variance, evaluated
            exactly; 0 where proven.
        convexity: The least eigenvalue of the terms that are or might be in the optimum; 0 where rounding hides it.
        undecided: Terms at a knot of the path, shape (p,): zero or about to become so, and about to leave or to enter.
    """

    coef_scaled: tuple[Fraction, ...]
    loss: float
    proven: bool
    duality_gap: float
    convexity: float
    undecided: NDArray[np.bool_]

    @property
    def unique(self) -> bool:
        """Whether no other coefficients are as good; otherwise dependent terms could share their weight in another way.

        Predictions are unique in any case.
        """
        return self.convexity > 0


def solve_penalized(problem: LeastSquares, penalty: Penalty, coef_scaled: NDArray[np.float64]) -> PenalizedBaseline:
    """The optimum, from the signs of coefficients that are near it.

    Ridge has one optimum, also where terms depend on each other. With exact sums of up to 300 terms the coefficients
    solve a rational system. For the lasso and the elastic net the proof is that of any convex problem: the solution has
    the signs assumed, and |g| <= l1 for the terms that are zero; signs that fail it are corrected. For more terms,
    and for rounded sums, the system is refined on exactly evaluated residuals, and a duality gap takes the proof's
    place.

    Args:
        problem: The loss.
        penalty: The penalty.
        coef_scaled: The end of a descent, shape (p,).
    """
    quadratic, l1 = problem.ridge(penalty.l2), penalty.l1
    signs = np.sign(coef_scaled)
    exact = isinstance(quadratic.cross, ExactProducts) and len(signs) <= RATIONAL_FEATURES
    found = _proven(quadratic, penalty, signs) if exact else None
    if found is None:
        face = quadratic.tilted(l1 * signs).restricted(np.flatnonzero(signs) if l1 else np.arange(len(signs)))
        optimum = refined(face, coef_scaled.tolist())
        gap = duality_gap(quadratic, l1, optimum, optimum)
    else:
        optimum, gap = found, 0.0
    # the terms that satisfy their condition with equality are or might be in an optimum: where they are independent,
    # there is no other (Tibshirani 2013, "The lasso problem and uniqueness", lemma 2)
    equal = (np.abs(quadratic.gradient(optimum)) >= l1 * (1 - NEARLY_EQUAL)) | (l1 == 0)
    eigenvalues = np.linalg.eigvalsh(quadratic.hessian[np.ix_(equal, equal)])
    convexity = float(eigenvalues[0]) if len(eigenvalues) else quadratic.lipschitz
    if convexity < TRUSTED_EIGENVALUE * quadratic.lipschitz:
        convexity = 0.0
    undecided = equal & (np.abs(np.array([float(w) for w in optimum])) <= NEARLY_EQUAL) & (l1 > 0)
    return PenalizedBaseline(optimum, problem.loss(optimum), found is not None, gap, convexity, undecided)


def _proven(quadratic: LeastSquares, penalty: Penalty, signs: NDArray[np.float64]) -> tuple[Fraction, ...] | None:
    """The coefficients that satisfy the KKT conditions exactly; None where no signs near those given do.

    In grid units, with beta the coefficients, S the centred sums of products, s those with the target, h the scales and
    W the total weight, the conditions are, multiplied by W²·hᵢ·h_target,

        Σⱼ Sᵢⱼ·betaⱼ + l2·W²·hᵢ²·betaᵢ - sᵢ = -signᵢ·limitᵢ,   or within ±limitᵢ where betaᵢ = 0,

    with limitᵢ = l1·W²·hᵢ·h_target. All of these are binary fractions, so that one power of two makes them integers.
    """
    cross, scaling, p = quadratic.cross, quadratic.scaling, len(signs)
    assert isinstance(cross, ExactProducts)
    exponents = cross.exponents.tolist()
    *h, h_target = (
        Fraction(scale) / Fraction(2) ** e
        for scale, e in zip([*scaling.scales.tolist(), scaling.target_scale], exponents, strict=True)
    )
    l1, l2 = (Fraction(weight) * cross.weight**2 for weight in (penalty.l1, penalty.l2))
    numerators, unit = over_one_denominator([l1 * hi * h_target for hi in h] + [l2 * hi**2 for hi in h])
    limits, ridge = np.array(numerators[:p], object), np.array(numerators[p:], object)
    matrix, right = cross.products[:p, :p] * unit, cross.products[:p, p] * unit
    matrix.flat[:: p + 1] += ridge
    if not l1:
        limits, signs = np.full(p, 0, object), np.ones(p)
    integer_signs = signs.astype(int).astype(object)
    for _ in range(CORRECTIONS):
        active = np.flatnonzero(integer_signs)
        if not l2:
            active = active[independent_columns(matrix[np.ix_(active, active)])]
        tilted = (right - limits * integer_signs)[active]
        solved = solve_exactly(matrix[np.ix_(active, active)], tilted[:, None])[:, 0] if len(active) else tilted
        if l1 and (wrong := [i for i, beta in zip(active, solved, strict=True) if beta * integer_signs[i] <= 0]):
            integer_signs[wrong] = 0
            continue
        steps, below = over_one_denominator(solved.tolist())
        gradient = matrix[:, active] @ np.array(steps, object) - right * below
        beyond = np.abs(gradient) > limits * below
        if not beyond.any():
            coef = dict(zip(active.tolist(), solved.tolist(), strict=True))
            return tuple(coef.get(i, Fraction(0)) * h[i] / h_target for i in range(p))
        integer_signs[beyond] = np.where(gradient[beyond] > 0, -1, 1)
    return None
