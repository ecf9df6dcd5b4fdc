"""The cost surface of one feature, however far its mean lies above its standard deviation."""

import re
import tracemalloc
from xml.etree import ElementTree

import numpy as np
import pytest

from gdpipe.numerics.descent.descent import minimize
from gdpipe.numerics.descent.landscape import Landscape, Plane
from gdpipe.numerics.descent.plan import GradientDescent
from gdpipe.report.pictures.contours import RINGS, contours
from tests.numerics.build import Floats, problem

NOISE = np.random.default_rng(0).normal(size=(2, 60))


def plane_of(x: Floats, y: Floats) -> Plane:
    built = problem(x[:, None], y)
    solution = minimize(built.loss, GradientDescent(learning_rate=0.2).plan(built.loss))
    optimum = built.loss.linear / built.loss.hessian[0]
    plane = Landscape.of(built.loss, solution, optimum, built.loss.loss(optimum)).plane
    assert plane is not None
    return plane


@pytest.mark.parametrize("mean", [0.0, 3.0, 1e3, -1e9, 1e9, 1e15])
def test_a_narrow_valley_takes_no_more_to_draw_than_a_wide_one(mean: float) -> None:
    x = mean + NOISE[0]
    plane = plane_of(x, 3 * x + NOISE[1])
    tracemalloc.start()
    svg = contours(plane, np.arange(len(plane.path)), ("coefficient", "intercept"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**22
    assert len(svg) < 100_000
    assert "nan" not in svg
    ElementTree.fromstring(svg)  # noqa: S314  # our own
    rings = svg.count('class="ring')
    assert 1 <= rings <= RINGS
    # what lies above the rings is one ground, as tall as the frame
    assert bool(re.search(r"H348V320H\d+Z", svg)) == (rings == RINGS)


@pytest.mark.parametrize(
    ("optimum", "start"), [([0.0, 1e15], [1e-20, 1e15]), ([6e-17, 0.0], [6e-17 * (1 + 1e-15), 0.0])]
)
def test_a_start_within_rounding_of_the_optimum_has_no_contours(optimum: Floats, start: Floats) -> None:
    optimum, start = np.array(optimum), np.array(start)
    plane = Plane(optimum, np.eye(2), np.array([start, optimum]), 1.0, None)
    assert contours(plane, np.arange(2), ("coefficient", "intercept")) == ""
