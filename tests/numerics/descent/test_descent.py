"""Descent against the textbook, its own forecast, and the optimum."""

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_limits

from gdpipe.errors import ConfigError
from gdpipe.numerics.descent import descent
from gdpipe.numerics.descent.descent import CLOCK_EVERY, Status, minimize, recorded_iterations
from gdpipe.numerics.descent.plan import GradientDescent
from gdpipe.numerics.problem import baseline as ols
from tests.conftest import FLIGHTS
from tests.numerics.build import Floats, problem, random_data


def row_by_row(X: Floats, y: Floats, rate: float, steps: int) -> Floats:
    """The textbook: full-batch gradient descent on standardized rows, one loss a step."""
    Z, t = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    w, losses = np.zeros(X.shape[1]), []
    for _ in range(steps + 1):
        residual = t - Z @ w
        losses.append(residual @ residual / len(t) * y.var())
        w += rate * (Z.T @ residual) / len(t)
    return np.array(losses)


def test_three_known_weights_step_for_step_as_the_textbook() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 50, (2_000, 3))
    y = X @ [2.0, -3.0, 0.5] + 4 + rng.normal(size=2_000)
    loss = problem(X, y).loss
    solution = minimize(loss, GradientDescent(method="gd", learning_rate=0.1).plan(loss))
    textbook = row_by_row(X, y, 0.1, solution.iterations)
    np.testing.assert_allclose(solution.history_loss, textbook, rtol=1e-10)


def test_a_month_of_flights_step_for_step_as_the_textbook() -> None:
    columns = ["dep_delay", "distance", "air_time", "hour", "day", "arr_delay"]
    table = pq.read_table(FLIGHTS / "month=02", columns=columns)
    rows = np.column_stack([c.to_numpy() for c in table.columns]).astype(float)
    rows = rows[~np.isnan(rows).any(axis=1)]
    X, y = rows[:, :-1], rows[:, -1]
    loss = problem(X, y).loss
    plan = GradientDescent().plan(loss)
    solution = minimize(loss, plan)
    assert (solution.status, plan.method) == (Status.CONVERGED, "gd")
    with threadpool_limits(1, user_api="blas"):  # small products: threads would wait for each other
        textbook = row_by_row(X, y, plan.learning_rate, solution.iterations)
    np.testing.assert_allclose(solution.history_loss, textbook[solution.history_iterations], rtol=1e-10)


def test_one_orthogonal_step_by_hand() -> None:
    X = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    loss = problem(X, X @ [3.0, 4.0]).loss
    solution = minimize(loss, GradientDescent(method="gd", learning_rate=0.5, max_iterations=1).plan(loss))
    np.testing.assert_allclose(solution.history_coef_scaled, np.array([[0, 0], [0.3, 0.4]]), rtol=1e-15)
    np.testing.assert_allclose(solution.history_loss, [25.0, 6.25], rtol=1e-14)
    assert solution.status is Status.MAX_ITERATIONS


@pytest.mark.parametrize("method", ["gd", "accelerated"])
@pytest.mark.parametrize("seed", range(5))
def test_descent_reaches_the_exact_optimum_in_the_steps_it_forecast(method: str, seed: int) -> None:
    X, y = random_data(seed)
    built = problem(X, y)
    settings = GradientDescent(method=method, max_iterations=10**7, tolerance=1e-6)  # type: ignore[arg-type]  # a parameter is a str
    plan = settings.plan(built.loss)
    solution = minimize(built.loss, plan)
    optimum = ols.solve(built.loss, ()).coef_scaled
    gap = max(abs(w - float(o)) for w, o in zip(solution.coef_scaled.tolist(), optimum, strict=True))
    assert solution.status is Status.CONVERGED
    assert gap <= solution.distance_bound <= 1e-6
    assert plan.forecast_iterations is not None
    # momentum makes the gradient norm oscillate about its trend; without it the forecast is exact to rounding
    assert solution.iterations == pytest.approx(plan.forecast_iterations, abs=1, rel=0 if method == "gd" else 0.1)


def test_recentring_reaches_full_double_precision() -> None:
    x = np.arange(21.0)
    X = np.column_stack([x**k for k in range(1, 6)])
    built = problem(X, X.sum(axis=1) + 1)
    assert built.loss.condition_number > 1e6
    solution = minimize(built.loss, GradientDescent(tolerance=1e-15, max_iterations=200_000).plan(built.loss))
    coef, intercept = built.scaling.to_original(solution.coef_scaled.tolist())
    assert solution.status is Status.CONVERGED
    np.testing.assert_allclose([float(c) for c in coef], 1.0, rtol=1e-11)
    assert float(intercept) == pytest.approx(1.0, rel=1e-9)


def test_a_tolerance_below_float64_stalls_and_says_so() -> None:
    X, y = random_data(1)
    loss = problem(X, y).loss
    solution = minimize(loss, GradientDescent(tolerance=1e-40, max_iterations=10**6).plan(loss))
    assert solution.status is Status.STALLED
    assert 0 < solution.distance_bound < 1e-15


def test_the_loss_falls_at_every_step_of_plain_descent() -> None:
    X, y = random_data(2)
    loss = problem(X, y).loss
    solution = minimize(loss, GradientDescent(method="gd", max_iterations=5_000).plan(loss))
    assert (np.diff(solution.history_loss) <= 0).all()


def test_a_rate_of_two_over_l_is_refused_with_the_limit() -> None:
    loss = problem(*random_data(0)).loss
    limit = 2 / loss.lipschitz
    with pytest.raises(ConfigError, match=f"{limit:.10g}"):
        GradientDescent(learning_rate=limit).plan(loss)
    GradientDescent(learning_rate=math.nextafter(limit, 0)).plan(loss)


def test_acceleration_needs_a_rate_of_at_most_one_over_l() -> None:
    loss = problem(*random_data(0)).loss
    with pytest.raises(ConfigError, match="at most 1/L"):
        GradientDescent(method="accelerated", learning_rate=1.5 / loss.lipschitz).plan(loss)
    # auto keeps to gd where acceleration would diverge, however long it takes
    assert GradientDescent(learning_rate=1.5 / loss.lipschitz, max_iterations=1).plan(loss).method == "gd"


def test_auto_accelerates_only_where_plain_descent_takes_too_long() -> None:
    loss = problem(*random_data(0)).loss
    steps = GradientDescent(method="gd").plan(loss).forecast_iterations
    assert steps is not None
    assert GradientDescent(max_iterations=steps).plan(loss).method == "gd"
    assert GradientDescent(max_iterations=steps - 1).plan(loss).method == "accelerated"


def test_the_clock_ends_a_descent_honestly() -> None:
    loss = problem(*random_data(0)).loss
    plan = GradientDescent(learning_rate=1e-9, method="gd", max_iterations=10**9, max_seconds=0.05).plan(loss)
    solution = minimize(loss, plan)
    assert solution.status is Status.MAX_SECONDS
    assert len(solution.history_iterations) <= 10_000
    assert solution.history_iterations[-1] == solution.iterations


def test_a_descent_tells_its_step_and_gradient_norm_now_and_then() -> None:
    loss = problem(*random_data(0)).loss
    plan = GradientDescent(learning_rate=1e-9, method="gd", max_iterations=1_000).plan(loss)
    told: list[tuple[int, float]] = []
    solution = minimize(loss, plan, lambda step, norm: told.append((step, norm)))
    assert [step for step, _ in told] == list(range(0, 1_000, CLOCK_EVERY))
    assert [norm for _, norm in told] == solution.history_gradient_norm[:1_000:CLOCK_EVERY].tolist()
    assert len(told) > 2


@pytest.mark.parametrize("max_iterations", [1, 2, 9_998, 9_999, 10_000, 12_345, 100_000, 10**9])
def test_histories_keep_first_and_last_and_are_thinned_evenly_in_the_logarithm(max_iterations: int) -> None:
    recorded = recorded_iterations(max_iterations)
    assert len(recorded) <= 9_999
    assert recorded[0] == 0
    assert recorded[-1] == max_iterations
    gaps = np.diff(recorded)
    assert (gaps >= 1).all()
    # a gap is 1, or else about the same fraction of the step: within the rounding to whole steps
    wide = gaps > 20
    if wide.any():
        ratios = recorded[1:][wide] / recorded[:-1][wide]
        assert ratios.max() - 1 <= 1.2 * (ratios.min() - 1)


def test_a_history_of_many_terms_has_fewer_rows_and_the_same_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = problem(*random_data(0)).loss
    plan = GradientDescent(learning_rate=1e-3 / loss.lipschitz, method="gd", max_iterations=2_000).plan(loss)
    whole = minimize(loss, plan)
    monkeypatch.setattr(descent, "HISTORY_NUMBERS", 200 * loss.n_features)
    thinned = minimize(loss, plan)
    assert len(thinned.history_iterations) <= 200 < len(whole.history_iterations)
    assert thinned.history_iterations[[0, -1]].tolist() == whole.history_iterations[[0, -1]].tolist()
    same = np.isin(whole.history_iterations, thinned.history_iterations)
    assert (thinned.history_coef_scaled == whole.history_coef_scaled[same]).all()
    monkeypatch.setattr(descent, "HISTORY_NUMBERS", 1)
    assert len(minimize(loss, plan).history_iterations) > 50


def test_no_feature_and_a_target_unrelated_to_any_need_no_step() -> None:
    X = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    loss = problem(X, np.array([1.0, -1.0, 1.0, -1.0])).loss
    solution = minimize(loss, GradientDescent().plan(loss))
    assert (solution.iterations, solution.status) == (0, Status.CONVERGED)
