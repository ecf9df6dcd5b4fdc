"""Sums of fractions with thousands of digits, as those of an exact solution."""

from fractions import Fraction

import numpy as np

from gdpipe.numerics.problem.rational import dot, in_lowest_terms, over_one_denominator, shortened

LARGE = 3**900


def test_a_sum_of_products_is_that_of_pythons_fractions() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(2, 40)).tolist()
    left = [Fraction(x) / (LARGE if j % 2 else 7 * LARGE**2) for j, x in enumerate(numbers[0])]
    right = [Fraction(x) / 60_000 for x in numbers[1]]
    assert dot(left, right) == sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))
    assert dot([], []) == 0


def test_the_common_denominator_is_the_least() -> None:
    assert over_one_denominator([Fraction(1, 6), Fraction(-3, 4), Fraction(2)]) == ([2, -9, 24], 12)
    assert over_one_denominator([]) == ([], 1)


def test_a_fraction_in_lowest_terms_is_one_of_pythons() -> None:
    fraction = in_lowest_terms(-LARGE, 2**1000)
    assert type(fraction) is Fraction
    assert fraction == Fraction(-LARGE, 2**1000)
    assert fraction * 2**1000 == -LARGE


def test_a_shortened_value_is_right_to_its_bits() -> None:
    for value in (Fraction(LARGE, 7**400), Fraction(7**400, LARGE), Fraction(-1, LARGE), Fraction(LARGE)):
        short = shortened(*value.as_integer_ratio())
        assert abs(short - value) <= abs(value) / 2**254
        assert min(short.numerator.bit_length(), short.denominator.bit_length()) <= 257
    for exact in (Fraction(0), Fraction(3, 4), Fraction(-(2**300))):
        assert shortened(*exact.as_integer_ratio()) == exact
