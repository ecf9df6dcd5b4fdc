"""Outlook: what other settings would have cost a run that was not published."""

from dataclasses import dataclass

import numpy as np

from gdpipe.config import TrainingConfig
from gdpipe.fit import Fit
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import GradientDescent
from gdpipe.numerics.problem.objective import LeastSquares

# a tolerance larger by this is forecast beside the one asked for, up to what still means something
LARGER_TOLERANCE, LARGEST_TOLERANCE = 100.0, 1e-3
# a variance inflation factor above this is much: what the feature says, others nearly say (Marquardt 1970)
LARGE_VIF = 10.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """A descent that was not made, at its best learning rate.

    Attributes:
        method: `gd` or `accelerated`.
        tolerance: The setting.
        without: The feature left out; None where all are in.
        iterations: Steps until it would have converged; None where it never would.
    """

    method: str
    tolerance: float
    without: str | None
    iterations: int | None


def alternatives(config: TrainingConfig, fit: Fit) -> tuple[Forecast, ...]:
    """Forecasts for both methods, a larger tolerance, and without the feature that the others nearly make up.

    Args:
        config: The settings that did not do.
        fit: What they led to.
    """
    regression, vif = fit.regression, fit.terms.vif[1:]
    cases: list[tuple[float, int | None]] = [(config.tolerance, None)]
    if config.tolerance * LARGER_TOLERANCE <= LARGEST_TOLERANCE:
        cases.append((config.tolerance * LARGER_TOLERANCE, None))
    if len(vif) > 1 and not regression.relations and np.nanmax(np.append(vif, 0.0)) > LARGE_VIF:
        cases.append((config.tolerance, int(np.nanargmax(vif))))
    found: list[Forecast] = []
    for tolerance, left_out in cases:
        problem = regression.problem
        if left_out is not None:
            problem = _without(problem, left_out)
        agreement = Agreement.foreseen(problem, regression.relations)
        without = None if left_out is None else fit.included[left_out]
        for method in ("gd", "accelerated"):
            plan = GradientDescent(method=method, tolerance=tolerance).plan(problem, agreement)
            steps = plan.forecast_iterations
            # a larger tolerance that is held to the same distance, for the standard errors, is no way out
            if all((f.method, f.without, f.iterations) != (method, without, steps) for f in found):
                found.append(Forecast(method, tolerance, without, steps))
    return tuple(found)


def _without(problem: LeastSquares, feature: int) -> LeastSquares:
    """The problem of the other features."""
    return LeastSquares.of(problem.cross.select([j for j in range(problem.n_features + 1) if j != feature]))
