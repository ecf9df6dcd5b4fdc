"""Tails of t, F and chi-squared: closed forms by hand, and ball arithmetic, which knows its own error."""

import math
import random
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import chdtri, fdtri, stdtrit

from gdpipe.numerics.inference.distributions import chi2_upper, f_upper, t_critical, t_tails
from tests.conftest import FLIGHTS

TWELVE_DIGITS = 1e-12
degrees = st.sampled_from([0.5, 1.0, 2.0, 3.0, 10.0, 117.25, 1e4, 5e6, 1e9])


def ball(tail: Callable[[], arb], bits: int) -> float:
    """The value of a tail in ball arithmetic."""
    with ctx.workprec(bits):
        value = tail()
        assert value.rel_accuracy_bits() > 60
        return float(value.mid())


def f_ball(f: float, df1: float, df2: float) -> float:
    """P(F > f) as an incomplete beta: of the forms that do and do not cancel the one that is quick."""
    if f * df1 > df2 / 15 and f > 1:
        return ball(lambda: (df2 / (arb(f) * df1 + df2)).beta_lower(arb(df2) / 2, arb(df1) / 2, regularized=1), 200)
    return ball(
        lambda: 1 - (1 / (1 + df2 / (arb(f) * df1))).beta_lower(arb(df1) / 2, arb(df2) / 2, regularized=1), 1200
    )


def chi2_ball(x: float, df: float) -> float:
    """P(X > x) as an incomplete gamma."""
    return ball(lambda: (arb(x) / 2).gamma_upper(arb(df) / 2, regularized=1), 200)


@pytest.mark.parametrize("seed", range(8))
def test_twelve_digits_of_any_tail(seed: int) -> None:
    """Tails from 1 to 1e-300; 0.3 to 1e12 degrees of freedom, whole or not."""
    rng = random.Random(seed)  # noqa: S311  # no secret
    for _ in range(100):
        df1, df2 = round(10 ** rng.uniform(0, 2.5)), 10 ** rng.uniform(-0.5, 12)
        df2 = float(max(round(df2), 1)) if rng.random() < 0.5 else df2
        tail = 10 ** -rng.choice([rng.uniform(0, 300), rng.uniform(0, 12), rng.uniform(0, 1)])
        x = float(chdtri(df1, tail))
        t = abs(float(stdtrit(df2, tail / 2)))
        f = float(fdtri(df1, df2, 1 - tail)) if tail > 1e-3 else x / df1
        if 0 < t < 1e150:
            assert t_tails(t, df2) == pytest.approx(f_ball(t * t, 1, df2), rel=TWELVE_DIGITS, abs=1e-300), (t, df2)
        if 0 < f < 1e150:
            assert f_upper(f, df1, df2) == pytest.approx(f_ball(f, df1, df2), rel=TWELVE_DIGITS, abs=1e-300), (f, df1)
        exact = chi2_ball(x, df1)
        assert chi2_upper(x, df1) == pytest.approx(exact, rel=TWELVE_DIGITS, abs=1e-300), (x, df1)


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
    assert t_tails(t, 2.0) == pytest.approx(float(1 - root), rel=1e-14, abs=0)


@given(x=st.floats(1e-6, 1400.0))
def test_chi2_with_two_degrees_of_freedom_is_exponential(x: float) -> None:
    assert chi2_upper(x, 2) == pytest.approx(math.exp(-x / 2), rel=3e-16, abs=0)


@given(f=st.floats(1e-6, 1e6), df=st.sampled_from([1.0, 8.0, 1e3, 1e6]))
def test_f_with_two_degrees_of_freedom(f: float, df: float) -> None:
    """P(F > f) = (1 + 2f/df)^(-df/2)."""
    assert f_upper(f, 2, df) == pytest.approx(math.exp(-df / 2 * math.log1p(2 * f / df)), rel=1e-12, abs=1e-320)


@pytest.mark.parametrize("df", [2.0**62, 1e19, 1e30, 1e300])
def test_degrees_of_freedom_beyond_counting(df: float) -> None:
    """Weights may sum to anything: t tends to the normal, F to chi-squared."""
    assert t_tails(1.5, df) == pytest.approx(math.erfc(1.5 / math.sqrt(2)), rel=1e-15, abs=0)
    assert t_tails(30.0, df) == pytest.approx(math.erfc(30 / math.sqrt(2)), rel=1e-12, abs=0)
    assert f_upper(9.0, 20, df) == pytest.approx(chi2_upper(180.0, 20), rel=1e-12, abs=0)
    assert f_upper(1e300, 283, df) == 0.0
    assert t_critical(0.05, df) == pytest.approx(1.9599639845400543, rel=4e-16)


def test_values_of_sixty_digits() -> None:
    # the incomplete beta by its continued fraction, and the density integrated numerically
    assert f_upper(6.0, 283, 5e6) == pytest.approx(5.1788072503374964e-200, rel=TWELVE_DIGITS, abs=0)
    assert f_upper(5.0, 20, 5e6) == pytest.approx(1.2600341495689196e-12, rel=TWELVE_DIGITS, abs=0)


@given(df=degrees, probability=st.sampled_from([0.05, 0.01, 0.5]))
def test_critical_values_have_their_probability(df: float, probability: float) -> None:
    t = t_critical(probability, df)
    assert t_tails(t, df) == pytest.approx(probability, rel=TWELVE_DIGITS)
    assert t == pytest.approx(float(stdtrit(df, 1 - probability / 2)), rel=TWELVE_DIGITS)


@pytest.mark.parametrize("df", [7.0, 7e9])
def test_the_ends(df: float) -> None:
    assert t_tails(0.0, df) == f_upper(0.0, 3, df) == chi2_upper(0.0, 3) == 1.0
    assert t_tails(-math.inf, df) == 0.0
    assert 1e150 < t_critical(0.05, 1e-3) < math.inf  # as far as the incomplete beta has numbers
    assert t_tails(math.inf, df) == f_upper(math.inf, 3, df) == chi2_upper(math.inf, 3) == 0.0
    assert f_upper(-1.0, 3, df) == chi2_upper(-1.0, 3) == 1.0
    assert f_upper(5e-324, 3, df) == f_upper(5e-324, 2, df) == 1.0
    assert all(math.isnan(p) for p in (t_tails(math.nan, df), f_upper(math.nan, 3, df), chi2_upper(math.nan, 3)))


@pytest.mark.parametrize(("t", "df"), [(38.6, 5e6), (1e3, 1e4), (1e200, 5.0)])
def test_what_no_float64_can_hold_is_zero(t: float, df: float) -> None:
    assert str(t_tails(t, df)) == str(f_upper(t * t, 1, df)) == "0.0"
    assert str(f_upper(4.593122674726811, 1083, 172535.4597088152)) == "0.0"


def test_scipy_loads_for_few_degrees_of_freedom_only() -> None:
    """It takes longer than the rest of a small run."""
    many = "d.t_tails(2.0, 3e5), d.t_critical(0.05, 3e5), d.f_upper(1e5, 9, 3e5), d.chi2_upper(9.0, 4)"
    script = f"import sys; import gdpipe.numerics.inference.distributions as d; {many}; print('scipy' in sys.modules)"
    script += "; d.t_tails(2.0, 30.0); print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_run_with_categories_does_not_load_scipy(tmp_path: Path) -> None:
    features, output = ["dep_delay", "carrier", "C(hour)"], str(tmp_path / "runs")
    script = f"""
import sys, gdpipe
run = gdpipe.train({str(FLIGHTS)!r}, target='arr_delay', features={features}, output={output!r})
print(run.manifest['verdict']['passed'], [name for name in sys.modules if name.startswith('scipy')])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"
