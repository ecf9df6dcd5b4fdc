"""Fit: gradient descent from zero to within tolerance of the optimum."""

import logging

from gdpipe.config import TrainingConfig
from gdpipe.numerics.descent import GradientDescent, Solution, minimize
from gdpipe.stages.standardize import Standardized

logger = logging.getLogger(__name__)


def fit(config: TrainingConfig, standardized: Standardized) -> Solution:
    """Forecast the descent, say so, and descend.

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
    plan = settings.plan(standardized.problem, standardized.cross.total_weight)
    forecast = "never" if plan.forecast_iterations is None else f"{plan.forecast_iterations:,} steps"
    logger.info(
        "descent: %s, learning rate %.6g, condition number %.6g, forecast %s",
        plan.method,
        plan.learning_rate,
        standardized.problem.condition_number,
        forecast,
    )
    return minimize(standardized.problem, plan)
