"""Shifts between two fits, by hand."""

import math
from dataclasses import astuple

import numpy as np
import pytest

from gdpipe.numerics.inference.drift import Fitted, measure

NAN, INF = math.nan, math.inf


def fitted(n: float, mean: float, scale: float, estimate: float = NAN, std_error: float = NAN) -> Fitted:
    return Fitted(n, *(np.array([value]) for value in (mean, scale, estimate, std_error)))


def shifts(before: Fitted, now: Fitted) -> list[float]:
    return [float(values[0]) for values in astuple(measure(before, now))]


def test_by_hand() -> None:
    # se of the means 3/3 = 1 and 24/√(145 - 1) = 2; of the logarithms √(1/18 + 1/288)
    found = shifts(fitted(10, 5.0, 3.0, 1.0, 0.3), fitted(145, 11.0, 24.0, 2.0, 0.4))
    assert found == pytest.approx([2.0, 6 / math.sqrt(5), 8.0, math.log(8) / math.sqrt(17 / 288), 2.0], rel=1e-15)


def test_nothing_has_moved() -> None:
    same = fitted(10, 5.0, 3.0, 1.0, 0.3)
    assert shifts(same, same) == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        # a constant that moved, one that stayed, one that began to vary, one that stopped
        (fitted(5, 1.0, 0.0), fitted(5, 2.0, 0.0), [INF, INF, NAN, NAN, NAN]),
        (fitted(5, 1.0, 0.0), fitted(5, 1.0, 0.0), [NAN, NAN, NAN, NAN, NAN]),
        (fitted(5, 1.0, 0.0), fitted(5, 2.0, 4.0), [INF, 0.5, INF, INF, NAN]),
        (fitted(5, 2.0, 4.0), fitted(5, 1.0, 0.0), [-0.25, -0.5, 0.0, -INF, NAN]),
        # root mean squares: no mean was taken out
        (fitted(5, NAN, 4.0), fitted(5, NAN, 2.0), [NAN, NAN, 0.5, NAN, NAN]),
        # one row says nothing of its spread
        (fitted(1, 1.0, 2.0), fitted(5, 2.0, 2.0), [0.5, NAN, 1.0, NAN, NAN]),
        # a perfect fit has no error to compare with; one without a standard error no answer
        (fitted(5, 1.0, 1.0, 2.0, 0.0), fitted(5, 1.0, 1.0, 3.0, 0.0), [0, 0, 1, 0, INF]),
        (fitted(5, 1.0, 1.0, 0.0, NAN), fitted(5, 1.0, 1.0, 3.0, 1.0), [0, 0, 1, 0, NAN]),
    ],
)
def test_where_there_is_no_answer(before: Fitted, now: Fitted, expected: list[float]) -> None:
    assert shifts(before, now) == pytest.approx(expected, nan_ok=True)
