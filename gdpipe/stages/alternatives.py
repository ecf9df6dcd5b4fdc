"""Outlook: what other settings would have cost a run that was not published."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.config import TrainingConfig
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import GradientDescent
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.standardize import Standardized

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


def alternatives(
    config: TrainingConfig, ingested: Ingested, standardized: Standardized, vif: NDArray[np.float64]
) -> tuple[Forecast, ...]:
    """Forecasts for both methods, a larger tolerance, and without the feature that the others nearly make up.

    Args:
        config: The settings that did not do.
        ingested: The names.
        standardized: The problem.
        vif: Variance inflation factors of the kept features, shape (p,); NaN where there is none.
    """
    cases: list[tuple[float, int | None]] = [(config.tolerance, None)]
    if config.tolerance * LARGER_TOLERANCE <= LARGEST_TOLERANCE:
        cases.append((config.tolerance * LARGER_TOLERANCE, None))
    if len(vif) > 1 and not standardized.relations and np.nanmax(np.append(vif, 0.0)) > LARGE_VIF:
        cases.append((config.tolerance, int(np.nanargmax(vif))))
    names = [ingested.columns.features[j] for j in standardized.kept]
    found: list[Forecast] = []
    for tolerance, left_out in cases:
        problem, agreement = standardized.problem, standardized.agreement()
        if left_out is not None:
            problem, agreement = _without(standardized, left_out)
        without = None if left_out is None else names[left_out]
        for method in ("gd", "accelerated"):
            plan = GradientDescent(method=method, tolerance=tolerance).plan(problem, agreement)
            steps = plan.forecast_iterations
            # a larger tolerance that is held to the same distance, for the standard errors, is no way out
            if all((f.method, f.without, f.iterations) != (method, without, steps) for f in found):
                found.append(Forecast(method, tolerance, without, steps))
    return tuple(found)


def _without(standardized: Standardized, feature: int) -> tuple[LeastSquares, Agreement | None]:
    """The problem of the other features, and what they would be held to."""
    others = [j for j in range(len(standardized.kept)) if j != feature]
    cross, scaling = standardized.cross, standardized.kept_scaling
    cross, scaling = cross.select([*others, len(standardized.kept)]), scaling.select(others)
    problem = LeastSquares.of(cross, scaling)
    return problem, Agreement.foreseen(problem, scaling, (), cross.total_weight, centred=cross.centred)
