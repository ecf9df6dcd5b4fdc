"""The pictures of a path and of a descent: words that do not lie on names, thousands of steps that are no blob."""

import re

import numpy as np

from gdpipe.numerics.descent.landscape import Plane
from gdpipe.report.pictures.contours import CLEAR_STEPS, contours
from gdpipe.report.pictures.paths import coefficient_paths

ALPHAS = [1.0, 0.1, 0.01, 0.001]


def test_the_alpha_at_the_weak_end_is_written_where_no_name_stands() -> None:
    svg = coefficient_paths(ALPHAS, {"high": [0, 1, 2, 2], "low": [0, -1, -2, -2]}, 0.001)
    [x] = re.findall(r'<text x="([\d.]+)"[^>]*>alpha 0.001<', svg)
    names = [float(place) for place in re.findall(r'<text x="([\d.]+)"[^>]*>(?:high|low)<', svg)]
    assert len(names) == 2
    assert float(x) > max(names) + 200


def test_the_later_ones_of_many_steps_are_a_faint_line() -> None:
    to_and_fro = np.array([[t, 0.3 * (-1) ** k] for k, t in enumerate(np.linspace(-1, 0, 400))])
    for n, faint in ((10, 0), (400, 1)):
        path = np.vstack([to_and_fro[:n], [[0.0, 0.0]]])
        svg = contours(Plane(np.zeros(2), np.eye(2), path, 1.0, None), ("weight", "bias"))
        assert svg.count("path faint") == faint
        assert svg.count('class="step"') <= CLEAR_STEPS
