"""Tails of t, F and chi-squared: closed forms by hand, an oracle, and where the oracle rounds."""

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
from flint import ctx
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import chdtrc, fdtrc, stdtr, stdtrit

from gdpipe.numerics.inference.distributions import chi2_upper, f_upper, t_critical, t_tails

degrees = st.sampled_from([0.5, 1.0, 2.0, 3.0, 10.0, 117.25, 1e4, 5e6, 1e9])


@pytest.mark.parametrize("t", [1e-9, 1e-3, 0.5, 2.0, 40.0, 1e6, 1e160])
def test_t_with_one_degree_of_freedom_is_cauchy(t: float) -> None:
    """P(|T| > t) = 1 - (2/π)·atan(t) = (2/π)·atan(1/t)."""
    assert t_tails(t, 1.0) == pytest.approx(2 / math.pi * math.atan(1 / t), rel=4e-16, abs=0)
    assert t_tails(-t, 1.0) == t_tails(t, 1.0)


@pytest.mark.parametrize("t", [1e-3, 0.5, 3.0, 1e3])
def test_t_with_two_degrees_of_freedom(t: float) -> None:
    """P(|T| > t) = 1 - t/√(2 + t²), in fractions of many digits."""
    square = Fraction(t) ** 2
    root = Fraction(math.isqrt(int(square / (2 + square) * 10**60)), 10**30)
    assert t_tails(t, 2.0) == pytest.approx(float(1 - root), rel=2e-16 if t < 100 else 1e-15, abs=0)


@given(x=st.floats(1e-6, 1400.0))
def test_chi2_with_two_degrees_of_freedom_is_exponential(x: float) -> None:
    assert chi2_upper(x, 2.0) == pytest.approx(math.exp(-x / 2), rel=3e-16, abs=0)


@given(f=st.floats(1e-6, 1e6), df=st.sampled_from([1.0, 8.0, 1e3]))
def test_f_with_two_degrees_of_freedom(f: float, df: float) -> None:
    """P(F > f) = (1 + 2f/df)^(-df/2)."""
    assert f_upper(f, 2.0, df) == pytest.approx(math.exp(-df / 2 * math.log1p(2 * f / df)), rel=1e-12, abs=1e-320)


@given(t=st.floats(1e-6, 60.0), df=degrees)
def test_t_squared_is_f(t: float, df: float) -> None:
    assert f_upper(t * t, 1.0, df) == pytest.approx(t_tails(t, df), rel=1e-12, abs=1e-320)


@given(t=st.floats(1e-3, 37.0), df=degrees)
def test_the_t_oracle_agrees(t: float, df: float) -> None:
    assert t_tails(t, df) == pytest.approx(2 * stdtr(df, -t), rel=1e-12, abs=0)


@given(f=st.floats(0.01, 5.0), df1=st.integers(1, 300), df2=st.sampled_from([3.0, 100.0, 5e6]))
def test_the_f_oracle_agrees(f: float, df1: int, df2: float) -> None:
    # the oracle loses digits where df2 is large
    assert f_upper(f, df1, df2) == pytest.approx(float(fdtrc(df1, df2, f)), rel=1e-8, abs=1e-300)


@given(x=st.floats(1e-3, 1000.0), df=st.integers(1, 256))
def test_the_chi2_oracle_agrees(x: float, df: int) -> None:
    assert chi2_upper(x, df) == pytest.approx(float(chdtrc(df, x)), rel=1e-11, abs=0)


@pytest.mark.parametrize(
    ("f", "df1", "df2"),
    [(1511.0, 5.0, 442.0), (80.0, 20.0, 3764.0), (200.0, 5.0, 1870.0), (240.0, 20.0, 415.0), (1e4, 5.0, 62.0)],
)
def test_where_all_but_the_last_hundred_digits_cancel(f: float, df1: float, df2: float) -> None:
    """As small as the F tests of ordinary fits are, and quick."""
    assert f_upper(f, df1, df2) == pytest.approx(float(fdtrc(df1, df2, f)), rel=1e-11, abs=1e-320)


@pytest.mark.parametrize("df", [2.0**62, 1e19, 1e30, 1e300])
def test_degrees_of_freedom_beyond_counting(df: float) -> None:
    """Weights may sum to anything: t tends to the normal, F to chi-squared."""
    assert t_tails(1.5, df) == pytest.approx(math.erfc(1.5 / math.sqrt(2)), rel=1e-15, abs=0)
    assert t_tails(30.0, df) == pytest.approx(math.erfc(30 / math.sqrt(2)), rel=1e-12, abs=0)
    assert f_upper(9.0, 20.0, df) == pytest.approx(float(chdtrc(20, 180.0)), rel=1e-12, abs=0)
    assert f_upper(1e300, 283.0, df) == 0.0
    assert t_critical(0.05, df) == 1.9599639845400543


@pytest.mark.parametrize(("f", "df1", "df2"), [(1.427637378922268e-4, 1179.0, 2.502274717805229), (7e-5, 7194.0, 3.0)])
def test_tails_near_one_of_many_features_and_few_rows_are_quick(f: float, df1: float, df2: float) -> None:
    assert f_upper(f, df1, df2) == pytest.approx(float(fdtrc(df1, df2, f)), rel=1e-11, abs=0)


def test_a_tail_far_smaller_than_odds_alone_would_say() -> None:
    # the incomplete beta by its continued fraction, with 60 digits
    assert f_upper(6.0, 283.0, 5e6) == 5.1788072503374964e-200


def test_threads_keep_their_own_precision() -> None:
    """FLINT has one precision for the process: every thread gets its digits, and the process its precision back."""
    before = ctx.prec
    arguments = [(5.0 + i / 8, 20.0, 5e6) for i in range(200)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(lambda a: f_upper(*a), arguments))
    finally:
        sys.setswitchinterval(interval)
    assert together == [f_upper(*a) for a in arguments]
    assert ctx.prec == before


def test_more_digits_than_the_oracle() -> None:
    """Where SciPy answers 1.0, and 1.26003414963e-12."""
    assert t_tails(1e-9, 1.0) == 1 - 2e-9 / math.pi
    # the density integrated numerically with 60 digits
    assert f_upper(5.0, 20.0, 5e6) == 1.2600341495689196e-12


@given(df=degrees, probability=st.sampled_from([0.05, 0.01, 0.5]))
def test_critical_values_bracket_their_probability(df: float, probability: float) -> None:
    t = t_critical(probability, df)
    assert t_tails(t, df) <= probability < t_tails(math.nextafter(t, 0), df)
    assert t == pytest.approx(float(stdtrit(df, 1 - probability / 2)), rel=1e-12)


def test_the_ends() -> None:
    assert t_tails(0.0, 7.0) == f_upper(0.0, 3.0, 7.0) == chi2_upper(0.0, 3.0) == 1.0
    assert t_tails(-math.inf, 7.0) == 0.0
    assert t_tails(math.inf, 7.0) == f_upper(math.inf, 3.0, 7.0) == chi2_upper(math.inf, 3.0) == 0.0
    assert f_upper(-1.0, 3.0, 7.0) == chi2_upper(-1.0, 3.0) == 1.0
    assert all(math.isnan(p) for p in (t_tails(math.nan, 7.0), f_upper(math.nan, 3.0, 7.0), chi2_upper(math.nan, 3.0)))


@pytest.mark.parametrize(("t", "df"), [(38.6, 5e6), (1e3, 1e4), (1e200, 5.0)])
def test_what_no_float64_can_hold_is_zero(t: float, df: float) -> None:
    assert str(t_tails(t, df)) == str(f_upper(t * t, 1.0, df)) == "0.0"


def test_zero_has_no_sign() -> None:
    """What is left of such a tail, when all has cancelled, is less than zero."""
    assert str(f_upper(4.593122674726811, 1083.0, 172535.4597088152)) == "0.0"


def test_the_smallest_are_kept() -> None:
    """A normal tail of 38 standard deviations, near the least float64: 2φ(t)/t·(1 - 1/t² + 3/t⁴ - ...) by hand."""
    t, df = 38.0, 1e15
    series = 1 - 1 / t**2 + 3 / t**4 - 15 / t**6
    log10 = (math.log(2 / t * series) - t * t / 2 - math.log(2 * math.pi) / 2) / math.log(10)
    assert math.log10(t_tails(t, df)) == pytest.approx(log10, abs=1e-6)
