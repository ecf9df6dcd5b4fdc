"""Digits: those of Python's own integers, at every tie and at the limits."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gdpipe.numerics.sums.digits import DIGIT_BITS, DIGITS, MAX_BITS, GridOverflow, Scratch, weighted_lines

LARGEST = 2.0**MAX_BITS
TIES = [
    s * (a * 2.0**42 + b * 2.0**41 + c * 2.0**20 + 0.5)
    for s in (1, -1)
    for a in (0, 1, 2)
    for b in (0, 1)
    for c in (0, 1)
]


def by_hand(value: float) -> list[int]:
    """Low, mid, high: the nearest multiple is taken from the top, ties to even."""
    rest, digits = Fraction(value), []
    for place in (2 * DIGIT_BITS, DIGIT_BITS, 0):
        digits.append(round(rest / 2**place))
        rest -= digits[-1] * 2**place
    return digits[::-1]


@given(st.lists(st.floats(-LARGEST, LARGEST), min_size=1, max_size=9), st.sampled_from([0, -1050, 700]))
@example([LARGEST, -LARGEST, *TIES], 0)
def test_digits_are_those_of_integers_and_balanced(values: list[float], exponent: int) -> None:
    scaled = np.ldexp(np.array(values), exponent)  # tiny ones lose bits here, and both sides see what is left
    lines = Scratch().split([scaled, -scaled], np.array([exponent, exponent]))
    of_array = Scratch().split(np.array([scaled, -scaled]), np.array([exponent, exponent]))
    assert of_array.tolist() == lines.tolist()
    low, mid, high = lines[:-1].reshape(DIGITS, 2, -1)
    expected = np.array([by_hand(v) for v in np.ldexp(scaled, -exponent).tolist()]).T
    assert [low[0].tolist(), mid[0].tolist(), high[0].tolist()] == expected.tolist()
    assert [low[1].tolist(), mid[1].tolist(), high[1].tolist()] == (-expected).tolist()
    assert np.abs(lines).max() <= 2 ** (DIGIT_BITS - 1)
    assert (lines[-1] == 1).all()


@pytest.mark.parametrize("value", [1.0001 * LARGEST, -1.0001 * LARGEST, 1e30, -1e300, np.inf, np.nan])
def test_a_number_of_more_than_three_digits_is_noticed_in_its_column(value: float) -> None:
    with pytest.raises(GridOverflow) as caught:
        Scratch().split([np.array([1.0, LARGEST]), np.array([1.0, value])], np.zeros(2, np.int64))
    assert caught.value.column == 1


@given(st.floats(0, LARGEST), st.floats(-LARGEST, LARGEST), st.sampled_from([0, 1]))
def test_digits_of_a_product_are_balanced_and_exact(weight: float, value: float, lowest: int) -> None:
    weights = Scratch().split([np.array([weight])], np.array([0]))[:-1]
    lines = Scratch().split([np.array([value])], np.array([0]))
    found = weighted_lines(weights, lines, lowest)
    low, mid, high = by_hand(value)
    counted = (low if not lowest else 0) + mid * 2**21 + high * 2**42
    assert (
        sum(int(d) * 2 ** (DIGIT_BITS * place) for place, [d] in enumerate(found[:6]))
        == round(Fraction(weight)) * counted
    )
    assert np.abs(found).max() <= 2 ** (DIGIT_BITS - 1)
    assert found[6:].tolist() == weights.tolist()
