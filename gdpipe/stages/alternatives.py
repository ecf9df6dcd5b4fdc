"""Alternatives: the steps that other settings would take, for a run that was not published."""

from dataclasses import dataclass

import numpy as np

from gdpipe.config import TrainingConfig
from gdpipe.fit import Fit
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.penalized_plan import plan_penalized
from gdpipe.numerics.descent.plan import GradientDescent
from gdpipe.numerics.problem.absorb import least_squares

# a tolerance larger by this factor is forecast as well, up to the largest one that is of use
LARGER_TOLERANCE, LARGEST_TOLERANCE = 100.0, 1e-3
# a feature with a larger variance inflation factor is nearly a combination of others (Marquardt 1970)
LARGE_VIF = 10.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast of a descent that was not made, at its best learning rate.

    Attributes:
        method: `gd` or `accelerated`.
        tolerance: The setting.
        without: The feature left out; None where there is none.
        iterations: Steps until the descent would converge; None where it never would.
    """

    method: str
    tolerance: float
    without: str | None
    iterations: int | None


def alternatives(config: TrainingConfig, fit: Fit) -> tuple[Forecast, ...]:
    """Forecasts for both methods, for a larger tolerance, and without the feature with the largest VIF."""
    regression, tests = fit.regression, fit.features
    # of a feature with several terms the square of what compares with √VIF
    vif = np.where(tests.df == 1, tests.gvif, tests.gvif_root**2)
    cases: list[tuple[float, int | None]] = [(config.tolerance, None)]
    if config.tolerance * LARGER_TOLERANCE <= LARGEST_TOLERANCE:
        cases.append((config.tolerance * LARGER_TOLERANCE, None))
    if (
        len(vif) > 1
        and not regression.relations
        and regression.penalty is None
        and np.nanmax(np.append(vif, 0.0)) > LARGE_VIF
    ):
        cases.append((config.tolerance, int(np.nanargmax(vif))))
    found: list[Forecast] = []
    for tolerance, left_out in cases:
        whole = regression.whole
        if left_out is not None:
            terms = range(*fit.design.slices[left_out].indices(len(fit.design.terms)))
            places = [*regression.included, len(fit.design.terms)]
            others = [i for i, j in enumerate(places) if j not in terms]
            whole = least_squares(regression.cross.select(others))
        agreement = None if regression.penalty else Agreement.foreseen(whole, regression.relations)
        without = None if left_out is None else fit.design.features[left_out].name
        for method in ("gd", "accelerated"):
            descent = GradientDescent(method=method, tolerance=tolerance)
            if regression.penalty:
                plan = plan_penalized(descent, regression.problem.ridge(0.0), regression.penalty)
            else:
                plan = descent.plan(whole, agreement)
            steps = plan.forecast_iterations
            # a larger tolerance is no alternative where the standard errors demand the same distance
            if all((f.method, f.without, f.iterations) != (method, without, steps) for f in found):
                found.append(Forecast(method, tolerance, without, steps))
    return tuple(found)
