"""The pictures of a path and of a descent: names beside their lines, thousands of steps that are no blob."""

import re

import numpy as np
import pytest

from gdpipe.numerics.descent.landscape import Plane
from gdpipe.report.pictures.axes import BOTTOM, HEIGHT, TOP, WIDTH
from gdpipe.report.pictures.contours import CLEAR_STEPS, contours
from gdpipe.report.pictures.curves import loss_curve
from gdpipe.report.pictures.letters import text_width
from gdpipe.report.pictures.paths import NAME_HEIGHT, coefficient_paths, error_curve

ALPHAS = [1.0, 0.1, 0.01, 0.001]


def points(svg: str, style: str) -> list[np.ndarray]:
    """The points of the lines of a style, each of shape (n, 2)."""
    found = re.findall(rf'<polyline class="{style}" points="([^"]*)"', svg)
    return [np.array([pair.split(",") for pair in line.split()], float) for line in found]


def test_each_line_has_its_name_beside_the_weakest_alpha() -> None:
    paths = {f"term_{j}": [0.0, 0.0, 0.01 * j, 0.02 * j] for j in range(12)} | {"far": [0.0, 5.0, 5.0, 5.0]}
    svg = coefficient_paths(ALPHAS, paths, 0.1)
    names = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="name">([^<]+)<', svg)
    assert {name for _, _, name in names} == set(paths)
    places = np.array([(x, y) for x, y, _ in names], float)
    lines = points(svg, "line") + points(svg, "line faint")
    assert max(line[:, 0].max() for line in lines) < places[:, 0].min()
    assert all(float(x) + text_width(name) <= WIDTH for x, _, name in names)
    heights = np.sort(places[:, 1])
    assert np.diff(heights).min() >= NAME_HEIGHT - 0.1
    assert heights[0] > TOP
    assert heights[-1] < HEIGHT - BOTTOM + 4
    # in the order of their lines
    ends = [paths[name][-1] for _, _, name in sorted(names, key=lambda at: float(at[1]))]
    assert ends == sorted(ends, reverse=True)


def test_the_penalty_weakens_to_the_right_and_terms_that_are_out_are_faint() -> None:
    svg = coefficient_paths(ALPHAS, {"in": [0, 1, 2, 2], "out": [0, 0, -2, -2]}, 0.1)
    [line], [faint] = points(svg, "line"), points(svg, "line faint")
    for drawn in (line, faint):
        assert (np.diff(drawn[:, 0]) > 0).all()
    assert line[-1, 1] < faint[-1, 1]


def test_words_on_the_error_stand_below_its_band() -> None:
    svg = error_curve(ALPHAS, [4.0, 2.0, 1.0, 1.1], [0.3] * 4, {"least": 0.01, "1 SE": 0.1}, 0.1, "y")
    lower = points(svg, "dash thin")[0]
    for name, place in (("least", 2), ("1 SE", 1)):
        [(x, y)] = re.findall(rf'<text x="([\d.]+)" y="([\d.]+)"[^>]*>{name}<', svg)
        assert float(x) == lower[place, 0]
        assert lower[place, 1] + 10 < float(y) < HEIGHT - BOTTOM


def test_of_steps_that_go_to_and_fro_the_middle_is_drawn() -> None:
    # each step is recorded, or pairs of them, of which the second and the next first lie on one side
    pairs = np.repeat(np.arange(200), 2) * 3 + np.tile([0, 1], 200)
    for recorded in (np.arange(401), np.append(pairs, 601)):
        path = np.column_stack([np.linspace(-1, 0, 401), 0.3 * (-1.0) ** recorded])
        path[-1] = 0.0
        plane = Plane(np.zeros(2), np.eye(2), path, 1.0, None)
        svg = contours(plane, recorded, ("coefficient", "intercept"))
        first, later = points(svg, "path")
        assert len(first) <= CLEAR_STEPS + 1
        assert np.ptp(first[:, 1]) > 50
        # from the last clear step, by the middles, to the optimum, which is no neighbour of the step before
        assert np.ptp(later[1:-2, 1]) < 1
        assert len(later) > 20
        assert svg.count('class="step"') <= CLEAR_STEPS


def test_few_steps_are_drawn_one_by_one() -> None:
    path = np.array([[-1.0, 0.3], [-0.5, -0.3], [0.2, 0.2], [0.0, 0.0]])
    [line] = points(contours(Plane(np.zeros(2), np.eye(2), path, 1.0, None), np.arange(4), ("a", "b")), "path")
    assert len(line) == 4


def test_a_stretched_slice_has_its_true_shape_beside_it() -> None:
    path, across = np.array([[-1.0, 0.0], [0.0, 0.0]]), np.array([1.0, 0.0])
    for axes, stretched in ((np.eye(2), False), (np.diag([1.0, 0.1]), True)):
        svg = contours(Plane(np.zeros(2), axes, path, 1.0, across), np.arange(2), ("a", "b"))
        assert ("true shape" in svg) == stretched
    outline = re.findall(r'class="line" d="M([^"Z]*)Z"', svg)
    drawn = np.array([pair.split() for pair in outline[0].split("L")], float)
    wide, high = np.ptp(drawn, axis=0)
    assert high / wide == pytest.approx(0.1, rel=0.05)


def test_the_least_loss_is_written_below_its_line_which_no_loss_can_cross() -> None:
    svg = loss_curve(list(range(50)), [4.0 * 0.9**t + 1.0 for t in range(50)], 1.0, "y²")
    [floor], [curve] = points(svg, "dash"), points(svg, "line")
    [y] = re.findall(r'<text x="[\d.]+" y="([\d.]+)" class="end second halo">OLS 1<', svg)
    assert curve[:, 1].max() <= floor[0, 1] + 0.1
    assert float(y) - 9 > floor[0, 1]


def test_a_descent_that_starts_at_a_perfect_fit_has_no_curve_of_the_loss() -> None:
    assert loss_curve([0], [0.0], 0.0, "y²") == ""
