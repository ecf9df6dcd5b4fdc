"""Fit: gradient descent from zero to within tolerance of the optimum."""

from gdpipe.config import TrainingConfig
from gdpipe.numerics.descent.descent import GradientDescent, Plan, Solution, Status, minimize
from gdpipe.printable import logger_named
from gdpipe.stages.progress import Activity, telling
from gdpipe.stages.standardize import Standardized

logger = logger_named(__name__)


def fit(config: TrainingConfig, standardized: Standardized, total_weight: float | None = None) -> Solution:
    """Forecast the descent, say so, and descend.

    Args:
        config: The settings.
        standardized: The problem.
        total_weight: Of all rows, where the problem is that of a sample.

    Raises:
        ConfigError: The learning rate would diverge.
    """
    settings = GradientDescent(
        method=config.method,
        learning_rate=config.learning_rate,
        tolerance=config.tolerance,
        max_iterations=config.max_iterations,
        max_seconds=config.max_seconds,
    )
    plan = settings.plan(standardized.problem, standardized.agreement(total_weight))
    forecast = "never" if plan.forecast_iterations is None else f"{plan.forecast_iterations:,} steps"
    logger.info(
        "descent: %s, learning rate %.6g, condition number %.6g, forecast %s",
        plan.method,
        plan.learning_rate,
        standardized.problem.condition_number,
        forecast,
    )
    with telling(_descent(plan)) as activity:
        solution = minimize(
            standardized.problem, plan, lambda step, norm: activity.at(step, f"gradient norm {norm:.1e}")
        )
        if solution.status is Status.CONVERGED:
            activity.total = solution.iterations  # what was a forecast is now known
        activity.at(solution.iterations)
    return solution


def _descent(plan: Plan) -> Activity:
    forecast, most = plan.forecast_iterations, plan.settings.max_iterations
    if forecast is None or forecast > most:
        return Activity("descended", most, "steps", "at most")
    return Activity("descended", forecast, "steps", "forecast")
