"""The certificate: how far the descent stopped from the optimum, measured against an exact one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent import MAX_GAP_SE, NEGLIGIBLE_GAP, Solution, Status
from gdpipe.numerics.fixed_point import FIXED_POINT_BITS, to_fixed
from gdpipe.numerics.objective import LeastSquares

# predictions that round away more than this of a target SD cannot vouch for anything
MAX_ROW_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class Certificate:
    """Four distances to the optimum, each with the limit it is held to.

    Attributes:
        coef_gap: max |w - w*|, standardized.
        coef_gap_se: The largest gap in standard errors; NaN where there are none.
        excess_loss: (w - w*)ᵀA(w - w*) · variance, in the target's unit squared.
        excess_loss_limit: What the tolerance allows of it.
        row_gradient: max |mean(e·z)| / target_scale over the raw rows, which is zero at the optimum; NaN where no row
            was read again, and it cannot fail.
        row_gradient_limit: What the tolerance, and the rounding of predictions, allow of it.
        passed: Whether the descent converged and every number keeps its limit.
        reason: Why it passed, or which number did not.
    """

    coef_gap: float
    coef_gap_se: float
    excess_loss: float
    excess_loss_limit: float
    row_gradient: float
    row_gradient_limit: float
    passed: bool
    reason: str


def certify(
    problem: LeastSquares,
    solution: Solution,
    optimum: Sequence[Fraction],
    std_error_scaled: NDArray[np.float64],
    row_gradient: float,
    row_rounding: float,
) -> Certificate:
    """Measure a solution against the exact optimum.

    Args:
        problem: The loss.
        solution: Where the descent ended.
        optimum: w*, shape (p,).
        std_error_scaled: Shape (p,), NaN or 0 where there is none to measure by.
        row_gradient: max |mean(e·z)| / target_scale from the raw rows; NaN where none was read again.
        row_rounding: What rounding of the predictions can add to it.
    """
    tolerance = solution.plan.settings.tolerance
    # the difference is taken before anything is rounded: no cancellation
    difference = to_fixed(solution.coef_scaled.tolist()) - to_fixed(optimum)
    gaps = np.array([abs(int(d)) / (1 << FIXED_POINT_BITS) for d in difference])
    coef_gap = float(gaps.max(initial=0.0))
    measurable = std_error_scaled > 0
    coef_gap_se = float((gaps[measurable] / std_error_scaled[measurable]).max()) if measurable.any() else math.nan
    excess = problem.excess_loss(difference)
    # with every gap within tolerance, ||w - w*||² <= p·tolerance² and A stretches by at most L
    reach = math.sqrt(problem.n_features) * tolerance
    excess_limit = problem.lipschitz * reach**2 * problem.variance
    gradient_limit = problem.lipschitz * reach + row_rounding
    rounding = problem.projection_error * float(np.linalg.norm(solution.coef_scaled))
    limits = (
        ("coef_gap", coef_gap, tolerance),
        ("coef_gap_se", coef_gap_se, MAX_GAP_SE if coef_gap > NEGLIGIBLE_GAP + rounding else math.inf),
        ("excess_loss", excess, excess_limit),
        ("row_gradient", row_gradient, gradient_limit),
        (
            "the rounding of predictions in target SDs (centre features that hardly vary)",
            row_rounding,
            MAX_ROW_ROUNDING,
        ),
    )
    failures = [f"{name} {value:.3g} is above its limit {limit:.3g}" for name, value, limit in limits if value > limit]
    if solution.status is not Status.CONVERGED:
        forecast = solution.plan.forecast_iterations
        needed = "forecast: never" if forecast is None else f"forecast: {forecast:,}"
        failures = [
            f"stopped after {solution.iterations:,} steps of {solution.plan.method} ({needed}): {solution.status.value}"
        ]
    unchecked = "; not checked against the rows, none of which was read again" if math.isnan(row_gradient) else ""
    return Certificate(
        coef_gap,
        coef_gap_se,
        excess,
        excess_limit,
        row_gradient,
        gradient_limit,
        not failures,
        ("; ".join(failures) or Status.CONVERGED.value) + unchecked,
    )
