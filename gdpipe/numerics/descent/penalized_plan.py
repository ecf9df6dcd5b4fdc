"""The plan of a descent with a penalty: rate, momentum and steps, from the terms that the optimum will have."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent.plan import NEGLIGIBLE_GAP, GradientDescent, Plan, forecast
from gdpipe.numerics.problem.active_set import minimum
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.penalty import Penalty

# half a unit of the ninth digit after the point: there are no standard errors that would make digits meaningless
NINTH_DIGIT = 5e-10


def plan_penalized(settings: GradientDescent, problem: LeastSquares, penalty: Penalty) -> Plan:
    """The descent for a loss with a penalty, to be started as `minimize(problem.ridge(l2), plan, l1=l1)`.

    Ridge is a quadratic problem as any other, and its forecast is exact.

    With an l1 penalty the rate, the momentum and the forecast are those of a descent that knows from the start which
    terms are zero at the optimum; a fast float64 solution tells. Proximal descent finds out after some steps (Nutini,
    Schmidt & Hare 2019, "Active-set complexity of proximal gradient"), which are not forecast: few, but many where
    terms nearly depend on each other. Where plain descent would take too long for all terms, `auto` is therefore
    `accelerated` with the momentum for all of them. The descent goes on until the set is certain: its distance to the
    optimum is then below the least coefficient, and below what keeps the others from entering.

    Where `nine_digits` are stricter than the tolerance, the descent goes on until it has them.

    Raises:
        ConfigError: The learning rate would diverge.
    """
    l1, quadratic = penalty.l1, problem.ridge(penalty.l2)
    optimum = minimum(quadratic, l1, 0.0, np.zeros(quadratic.n_features)) if l1 else _quadratic_minimum(quadratic)
    certain = replace(settings, tolerance=min(settings.tolerance, nine_digits(optimum)))
    if not l1:
        return replace(certain.plan(quadratic), tolerance=settings.tolerance)
    active = np.flatnonzero(optimum)
    margins = (l1 - np.abs(quadratic.hessian @ optimum - quadratic.linear)) / quadratic.lipschitz
    margins[active] = np.abs(optimum[active])
    # a smaller margin is a tie: float64 does not tell on which side such a term is
    margins = margins[margins > NEGLIGIBLE_GAP]
    certain = replace(certain, tolerance=min(certain.tolerance, float(margins.min(initial=math.inf))))
    near = quadratic.tilted(l1 * np.sign(optimum)).restricted(active)
    # the rate is bounded by the largest eigenvalue of all terms: one more mode, along which nothing moves
    near = replace(
        near,
        eigenvalues=np.append(near.eigenvalues, quadratic.lipschitz),
        modes=np.column_stack([near.modes, np.zeros(len(optimum))]),
    )
    plan = certain.plan(near)
    if settings.method == "auto":
        of_all = certain.plan(quadratic.restricted(np.arange(len(optimum))))
        if of_all.method == "accelerated":
            stop, rate, momentum = plan.stop_gradient_norm, of_all.learning_rate, of_all.momentum
            steps = forecast(near, rate, momentum, stop)
            plan = replace(of_all, stop_gradient_norm=stop, forecast_iterations=steps)
    return replace(plan, tolerance=settings.tolerance)


def nine_digits(optimum: NDArray[np.float64]) -> float:
    """The distance that keeps nine digits after the point, or nine of the largest coefficient where all are below 1."""
    return max(NINTH_DIGIT * min(float(np.abs(optimum).max(initial=0.0)), 1.0), NEGLIGIBLE_GAP)


def _quadratic_minimum(quadratic: LeastSquares) -> NDArray[np.float64]:
    real = quadratic.eigenvalues > 0
    modes = quadratic.modes[:, real]
    minimum: NDArray[np.float64] = modes @ (modes.T @ quadratic.linear / quadratic.eigenvalues[real])
    return minimum
