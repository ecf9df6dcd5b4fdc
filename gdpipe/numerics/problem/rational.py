"""Exact fractions of thousands of digits, as an exact solution has them, without a gcd of all digits at each step."""

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

# with more features the rational solution takes more than seconds
RATIONAL_FEATURES = 300


def dot(left: Iterable[Fraction], right: Iterable[Fraction]) -> Fraction:
    """Σ leftᵢ·rightᵢ, exact: integers over common denominators are added, and only the sum is put in lowest terms."""
    (above_left, below_left), (above_right, below_right) = (over_one_denominator([*v]) for v in (left, right))
    return Fraction(sum(a * b for a, b in zip(above_left, above_right, strict=True)), below_left * below_right)


def over_one_denominator(values: Sequence[Fraction]) -> tuple[list[int], int]:
    """The numerators over the least common denominator, and that denominator."""
    below = 1
    for value in values:
        if below % value.denominator:  # seldom, where all come from one linear system: lcm takes a gcd, % does not
            below = math.lcm(below, value.denominator)
    return [value.numerator * (below // value.denominator) for value in values], below


def shortened(numerator: int, denominator: int, bits: int = 256) -> Fraction:
    """A quotient to so many significant bits, rounded down: what is made of several such values stays short."""
    shift = bits - numerator.bit_length() + denominator.bit_length()
    above, below = (numerator << max(shift, 0)), (denominator << max(-shift, 0))
    return binary(above // below, -shift)


def binary(numerator: int, exponent: int, denominator: int = 1) -> Fraction:
    """Numerator / denominator · 2^exponent."""
    return Fraction(numerator << max(exponent, 0), denominator << max(-exponent, 0))


def in_lowest_terms(numerator: int, denominator: int) -> Fraction:
    """The fraction of two integers that have no common factor, which is not looked for; the denominator is positive."""
    fraction: Fraction = Fraction(_LowestTerms(numerator, denominator))  # type: ignore[call-overload]  # mypy knows no registered classes
    return fraction


@numbers.Rational.register  # Fraction takes the numerator and the denominator of any rational as they are
@dataclass(frozen=True, slots=True)
class _LowestTerms:
    numerator: int
    denominator: int
