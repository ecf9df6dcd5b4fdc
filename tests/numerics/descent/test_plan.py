"""The forecast against the descent, where the features outnumber the rows or depend on one another."""

from dataclasses import replace

import numpy as np
import pytest

from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import Status, minimize
from gdpipe.numerics.descent.plan import FORECAST_LIMIT, GradientDescent
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.problem.regression import Regression
from tests.numerics.build import Floats, moments, problem, random_data, rounded_moments

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


@pytest.mark.parametrize(
    ("features", "condition_number", "steps", "method"),
    [
        (20, 6_000.0, 82_400, "gd"),  # 1.7e9 operations
        (20, 8_000.0, 111_000, "accelerated"),  # more than max_iterations
        (100, 4_500.0, 61_200, "gd"),  # 2.4e9
        (100, 6_000.0, 82_400, "accelerated"),  # 3.3e9
        (1_000, 100.0, 1_170, "gd"),  # 2.4e9
        (1_000, 200.0, 2_410, "accelerated"),  # 4.9e9
        (20_000, 1.5, 13, "gd"),  # 9.6e9, but accelerated descent takes about as many steps
    ],
)
def test_auto_is_plain_descent_where_nobody_waits_for_it_or_nothing_is_gained(
    features: int, condition_number: float, steps: int, method: str
) -> None:
    """Two eigenvalues, mu = 2/(κ + 1) and L = κ·mu: the best rate is 1, and a step takes (κ - 1)/(κ + 1) of both."""
    least = 2 / (condition_number + 1)
    loss = replace(
        problem(*random_data(0)).loss,
        linear=np.eye(features, 2).sum(axis=1),
        eigenvalues=np.array([least, condition_number * least]),
        modes=np.eye(features, 2),
    )
    # the gradient begins at √2 and has to fall below mu · tolerance / 2
    shrink = (condition_number - 1) / (condition_number + 1)
    assert np.ceil(np.log(np.sqrt(2) / (least * 0.5e-8)) / -np.log(shrink)) == pytest.approx(steps, rel=0.05)
    plan = GradientDescent().plan(loss)
    assert plan.method == method
    assert plan.forecast_iterations is not None
    assert plan.forecast_iterations <= steps * 1.05
