"""Fit: gradient descent from zero to within tolerance of the optimum."""

from gdpipe.config import TrainingConfig
from gdpipe.fit import descend, planned
from gdpipe.numerics.descent.descent import Solution, Status
from gdpipe.numerics.problem.regression import Regression
from gdpipe.printable import counted, logger_named
from gdpipe.stages.progress import Activity, telling

logger = logger_named(__name__)


def fit(config: TrainingConfig, regression: Regression, total_weight: float | None = None) -> Solution:
    """Forecast the descent, say so, and descend; `total_weight` is that of all rows, where the problem is of a sample.

    Raises:
        ConfigError: The learning rate would diverge.
    """
    plan = planned(regression, config, total_weight)
    forecast = "never" if plan.forecast_iterations is None else counted(plan.forecast_iterations, "step")
    logger.info(
        "descent: %s, learning rate %.6g, condition number %.6g, forecast %s",
        plan.method,
        plan.learning_rate,
        regression.quadratic.condition_number,
        forecast,
    )
    known, total = "forecast", plan.forecast_iterations
    if total is None or total > plan.max_iterations:
        known, total = "at most", plan.max_iterations
    with telling(Activity("descended", total, "step", known)) as activity:
        solution = descend(regression, plan, lambda step, norm: activity.at(step, f"gradient norm {norm:.1e}"))
        if solution.status is Status.CONVERGED:
            activity.total = solution.iterations  # what was a forecast is now known
        activity.at(solution.iterations)
    return solution
