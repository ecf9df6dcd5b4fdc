"""The ground of a descent against the loss itself, row by row, and the forecast against the descent."""

import tracemalloc

import numpy as np
import pytest

from gdpipe.numerics.descent.descent import minimize
from gdpipe.numerics.descent.landscape import Landscape, Plane
from gdpipe.numerics.descent.plan import GradientDescent
from gdpipe.report.pictures.contours import RINGS, contours
from tests.numerics.build import Floats, Problem, problem, random_data


def landscape(found: Problem, **settings: object) -> Landscape:
    loss = found.loss
    solution = minimize(loss, GradientDescent(**settings).plan(loss))  # type: ignore[arg-type]  # each test knows its own
    optimum = np.asarray(np.linalg.solve(loss.hessian, loss.linear), np.float64)
    return Landscape.of(loss, solution, optimum, loss.loss(optimum))


def one_feature() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 50, 300)
    return x, 4 + 2 * x + rng.normal(size=300)


def test_weight_and_bias_have_the_loss_of_the_rows() -> None:
    x, y = one_feature()
    plane = landscape(problem(x[:, None], y), method="gd", learning_rate=0.2).plane
    assert plane is not None
    assert plane.direction is None
    for radius in (0.0, 1.0, 30.0):
        for weight, bias in plane.ring(radius, np.linspace(0, 6, 7)).tolist():
            assert np.mean((y - weight * x - bias) ** 2) == pytest.approx(plane.floor + radius**2, rel=1e-9)
    # the start is the flat line through the mean, and the path ends where least squares does
    np.testing.assert_allclose(plane.path[0], [0.0, y.mean()], atol=1e-12)
    np.testing.assert_allclose(plane.path[-1], np.polyfit(x, y, 1), rtol=1e-6)
    assert plane.radii[0] ** 2 + plane.floor == pytest.approx(y.var(), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_a_slice_has_the_loss_of_its_points(seed: int) -> None:
    found = problem(*random_data(seed))
    seen = landscape(found)
    plane, loss = seen.plane, found.loss
    assert plane is not None
    assert plane.direction is not None
    optimum = np.linalg.solve(loss.hessian, loss.linear)
    toward = optimum / np.linalg.norm(optimum)
    assert abs(float(toward @ plane.direction)) < 1e-12
    for right, up in plane.ring(0.7, np.linspace(0, 6, 7)).tolist():
        assert loss.loss(right * toward + up * plane.direction) == pytest.approx(plane.floor + 0.49, rel=1e-9)
    np.testing.assert_allclose(plane.path[0], [0, 0], atol=1e-15)
    np.testing.assert_allclose(plane.optimum, [float(np.linalg.norm(optimum)), 0.0], atol=1e-15)
    # no direction at right angles is steeper
    beside = np.eye(len(optimum)) - np.outer(toward, toward)
    steepest = np.linalg.eigvalsh(beside @ loss.hessian @ beside)[-1]
    assert plane.direction @ loss.hessian @ plane.direction == pytest.approx(steepest, rel=1e-12)


@pytest.mark.parametrize("settings", [{"method": "gd"}, {"method": "accelerated"}, {"learning_rate": 0.1}])
def test_the_excess_is_the_one_that_was_expected(settings: dict[str, object]) -> None:
    seen = landscape(problem(*random_data(5)), **settings)
    both = np.intersect1d(seen.iterations, seen.expected_iterations)
    both = both[both < seen.iterations[-1] / 2]
    assert len(both) > 10
    measured = seen.excess[np.searchsorted(seen.iterations, both)]
    expected = seen.expected[np.searchsorted(seen.expected_iterations, both)]
    np.testing.assert_allclose(measured, expected, rtol=1e-5)


def test_a_descent_that_stopped_early_is_expected_to_its_end() -> None:
    seen = landscape(problem(*random_data(5)), method="gd", max_iterations=3)
    assert seen.iterations.tolist() == [0, 1, 2, 3]
    assert seen.expected_iterations[-1] > 100
    assert seen.expected[-1] < 1e-12 * seen.expected[0]


def test_the_steepest_other_direction_of_alike_features() -> None:
    # two features at right angles: every direction is as steep
    a, b = np.array([1.0, 1.0, -1.0, -1.0]), np.array([1.0, -1.0, 1.0, -1.0])
    plane = landscape(problem(np.column_stack([a, b]), 3 * a + 4 * b)).plane
    assert plane is not None
    assert plane.direction is not None
    np.testing.assert_allclose(plane.direction, [0.8, -0.6], atol=1e-12)
    np.testing.assert_allclose(plane.half_widths(5.0), [1.0, 1.0], rtol=1e-12)


def test_a_narrow_valley_is_drawn_with_few_rings() -> None:
    """Nearly dependent features: millions of rings would lead from the descent to the corners of the picture."""
    axes = np.array([[1.0, 1e9], [0.0, 1.0]])
    plane = Plane(np.zeros(2), axes, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1e-9]]), 0.0, np.array([1.0, 0.0]))
    tracemalloc.start()
    try:
        drawn = contours(plane, np.arange(3), ("a", "b"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0 < drawn.count('class="ring') <= RINGS + 1
    assert peak < 2**20
