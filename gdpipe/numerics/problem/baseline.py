"""The baseline: ordinary least squares in rational arithmetic, without floating point.

Wide data and rounded sums get a float64 factorization instead, refined on exactly evaluated residuals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from gdpipe.numerics.problem.covariance import ExactProducts, Scaling
from gdpipe.numerics.problem.dependencies import solve_exactly
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.rational import RATIONAL_FEATURES, dot
from gdpipe.numerics.problem.relations import Relation

REFINEMENTS = 10
# refinement stops after a step this small
SETTLED = 1e-24
# below this condition number it reaches it
REFINABLE_CONDITION = 1e10


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The optimum that descent is measured against.

    Attributes:
        coef_scaled: Shape (p,), target SDs per feature SD; exact for exact sums of up to 300 features, otherwise right
            to about 24 digits after the point.
        loss: The mean squared error at the optimum, in the target's unit squared, rounded once.
    """

    coef_scaled: tuple[Fraction, ...]
    loss: float


def solve(problem: LeastSquares, relations: tuple[Relation, ...]) -> Baseline:
    """The least-squares coefficients; of minimum standardized norm where the features' `relations` leave a choice."""
    cross, scaling = problem.cross, problem.scaling
    if problem.n_features > RATIONAL_FEATURES or not isinstance(cross, ExactProducts):
        coef_scaled = refined(problem)
        return Baseline(coef_scaled, problem.loss(coef_scaled))
    coef_scaled = _rational(cross, scaling, relations)
    # wᵀAw = bᵀw at the optimum, also under the constraints, so the loss is variance - cov(prediction, target)
    coef, _ = scaling.to_original(coef_scaled)
    units = [Fraction(2) ** e for e in cross.exponents.tolist()]
    with_target = dot(coef, (u * int(s) for u, s in zip(units[:-1], cross.products[:-1, -1], strict=True)))
    loss = (int(cross.products[-1, -1]) * units[-1] - with_target) * units[-1] / cross.weight**2
    return Baseline(coef_scaled, float(loss))


def solve_many(problem: LeastSquares, relations: tuple[Relation, ...], most: int) -> Baseline:
    """As `solve`; of more than `most` terms right to 24 digits where their condition allows, in a tenth of the time."""
    if problem.n_features > most and problem.condition_number < REFINABLE_CONDITION:
        coef_scaled = refined(problem)
        return Baseline(coef_scaled, problem.loss(coef_scaled))
    return solve(problem, relations)


def _rational(cross: ExactProducts, scaling: Scaling, relations: tuple[Relation, ...]) -> tuple[Fraction, ...]:
    """The solution of the normal equations with the relations as constraints, exact.

    P is the sums of products of the features, s their sums, W the sum of weights, P_y and s_y the same with and of the
    target, D the diagonal of the centred sums of products, and U the relations, all in grid units. Minimizing over
    standardized coefficients that are orthogonal to the relations is the linear system

        [W, sᵀ, 0; s, P, DU; 0, (DU)ᵀ, 0] [intercept; beta; multipliers] = [s_y; P_y; 0],

    without the first row and column where there is no intercept. D stands for the squared scales: it makes the norm
    that of the standardized coefficients, and no square root is needed. With the centred sums W·P - s·sᵀ in place of P
    and s, every entry would be longer by the digits of W, and the solution of 250 features take 1.6 times as long.
    """
    p, k, first = len(cross.sums) - 1, len(relations), int(cross.centred)
    exponents = cross.exponents.tolist()
    products = cross.products[:p] + (np.outer(cross.sums[:p], cross.sums) if cross.centred else 0)
    products //= cross.weight  # exact
    end = first + p
    system, right = np.full((end + k, end + k), 0, object), np.full((end + k, 1), 0, object)
    if cross.centred:
        system[0, 0], right[0, 0] = cross.weight, cross.sums[p]
        system[0, 1:end] = system[1:end, 0] = cross.sums[:p]
    system[first:end, first:end], right[first:end, 0] = products[:, :p], products[:, p]
    for column, relation in enumerate(relations, start=end):
        grid = [c * Fraction(2) ** e for c, e in zip(relation.coefficients, exponents, strict=False)]
        constraint = [int(square) * g for square, g in zip(cross.products.diagonal()[:p], grid, strict=True)]
        common = math.lcm(*(c.denominator for c in constraint))
        system[first:end, column] = system[column, first:end] = [int(c * common) for c in constraint]
    solved = solve_exactly(system, right)[first:end, 0]
    # from target grid steps per feature grid step to target SDs per feature SD
    target = Fraction(2) ** exponents[p] / Fraction(scaling.target_scale)
    return tuple(
        solved[j] * target * Fraction(scale) / Fraction(2) ** exponents[j]
        for j, scale in enumerate(scaling.scales.tolist())
    )


def refined(problem: LeastSquares, start: Sequence[float] | None = None) -> tuple[Fraction, ...]:
    """A float64 solution, refined on exactly evaluated residuals (Higham 2002, section 12.1).

    It is the one nearest to `start`, shape (p,), zeros if not given, where directions are projected out.
    """
    modes, eigenvalues = problem.modes, problem.eigenvalues
    total = np.array([Fraction(w) for w in ([0.0] * problem.n_features if start is None else start)], object)
    before = np.inf
    for _ in range(REFINEMENTS):
        step = -(modes @ (modes.T @ problem.gradient(total) / eigenvalues))
        size = float(np.abs(step).max(initial=0))
        if size > before:
            break  # the condition number is too large for float64: steps would grow
        total = total + np.array([Fraction(s) for s in step.tolist()], object)
        if size <= SETTLED:
            break
        before = size
    return tuple(total)
