"""The forecast against the descent, where the features outnumber the rows or depend on one another."""

import numpy as np
import pytest

from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import Status, minimize
from gdpipe.numerics.descent.plan import FORECAST_LIMIT, GradientDescent
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.problem.regression import Regression
from tests.numerics.build import Floats, moments, rounded_moments

EPSILON = float(np.finfo(np.float64).eps)


def wide(rows: int, features: int) -> tuple[Floats, Floats]:
    """Features of any scale far from zero: the first few alone are much worse conditioned than all together."""
    rng = np.random.default_rng(rows)
    X = rng.normal(size=(rows, features)) * 10.0 ** rng.integers(-4, 5, features) + rng.normal(0, 100, features)
    return X, rng.normal(size=rows)


def doubled() -> tuple[Floats, Floats]:
    """Columns that are there twice."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 4)) * [1, 10, 100, 1000]
    return np.column_stack([X, X[:, :2]]), X[:, 0] + rng.normal(size=60)


def regression(X: Floats, y: Floats, *, centred: bool, exact: bool, drop: bool) -> Regression:
    columns = np.column_stack([X, y]).T
    cross = CrossProducts.of(moments(columns) if exact else rounded_moments(columns), centred=centred)
    return Regression.of(cross, np.full(X.shape[1], EPSILON), drop=drop)


@pytest.mark.parametrize("method", ["gd", "accelerated"])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("data", [wide(10, 32), wide(5, 100), doubled()], ids=["10x32", "5x100", "doubled"])
def test_a_descent_that_arrives_takes_the_steps_it_was_forecast(
    data: tuple[Floats, Floats], method: str, exact: bool, centred: bool, drop: bool
) -> None:
    found = regression(*data, centred=centred, exact=exact, drop=drop)
    settings = GradientDescent(method=method, max_iterations=5_000)  # type: ignore[arg-type]  # a parameter is a str
    agreement = Agreement.foreseen(found.problem, found.relations)
    plan = settings.plan(found.problem, agreement)
    solution = minimize(found.problem, plan)
    if method == "accelerated":  # however flat: √κ steps are never out of reach here
        assert plan.forecast_iterations is not None
    forecast = FORECAST_LIMIT if plan.forecast_iterations is None else plan.forecast_iterations
    if solution.status is Status.CONVERGED:
        assert solution.iterations == pytest.approx(forecast, abs=2)
    else:
        assert forecast > 5_000


@pytest.mark.parametrize("rows", [5, 10])
def test_all_features_together_are_no_worse_conditioned_than_the_independent_ones_alone(rows: int) -> None:
    data = wide(rows, 40)
    together = regression(*data, centred=False, exact=True, drop=False).problem
    alone = regression(*data, centred=False, exact=True, drop=True).problem
    # the eigenvalues of ZᵀZ are the squared singular values of Z, which has these few rows
    Z = data[0] / np.sqrt(np.mean(data[0] ** 2, axis=0)) / np.sqrt(rows)
    least = float(np.linalg.svd(Z)[1][-1] ** 2)
    assert together.strong_convexity == pytest.approx(least, rel=1e-3)
    assert alone.strong_convexity <= least * (1 + 1e-3)
