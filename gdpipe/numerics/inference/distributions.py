"""Tail probabilities of Student's t, F and chi-squared, right to the last bit.

A tail is evaluated in ball arithmetic, with more bits until its ball is within a float64. Most take 0.05 ms, few more
than 2 ms.
"""

import math
import sys
from collections.abc import Callable

from flint import arb

from gdpipe.numerics.exact.balls import precision

# a ball this narrow is a float64
ACCURATE_BITS = 60
# of the first try, beyond those that cancel
FIRST_BITS = ACCURATE_BITS + 20
# below 2^-1080 there is no float64 but zero
LEAST_EXPONENT = 1080
# the incomplete beta of more degrees of freedom is no finite ball; what t and F tend to is then within 1e-11 of them
MOST_DEGREES = 2.0**62


def t_tails(t: float, df: float) -> float:
    """P(|T| > |t|) of Student's t with df > 0 degrees of freedom, whole or not; NaN of NaN."""
    return _beta_tail(abs(t), abs(t), 1.0, df)


def t_critical(probability: float, df: float) -> float:
    """The t with P(|T| > t) = probability, 0 < probability < 1: the next float64 above it, by bisection."""
    low, high = 0.0, 1.0
    while t_tails(high, df) > probability:
        low, high = high, 2.0 * high
    while low < (middle := low + (high - low) / 2) < high:
        low, high = (middle, high) if t_tails(middle, df) > probability else (low, middle)
    return high


def f_upper(f: float, df1: float, df2: float) -> float:
    """P(F > f) of F with df1 and df2 > 0 degrees of freedom; NaN of NaN."""
    return _beta_tail(f, df1, df1, df2)


def chi2_upper(x: float, df: float) -> float:
    """P(X > x) of chi-squared with df > 0 degrees of freedom; NaN of NaN."""
    return _gamma_tail(x, 1.0, df)


def _gamma_tail(above: float, times: float, df: float) -> float:
    """Q(df/2, x/2), the incomplete gamma of DLMF 8.2 at x = above · times."""
    if not 0 < above < math.inf:
        return _end(above)
    return _rounded(lambda: (arb(above) * times / 2).gamma_upper(arb(df) / 2, regularized=1), FIRST_BITS)


def _beta_tail(above: float, times: float, df1: float, df2: float) -> float:
    """1 - I_x(df1/2, df2/2), the incomplete beta of DLMF 8.17 at x = odds / (odds + df2), odds = above · times."""
    if not 0 < above < math.inf:
        return _end(above)
    if df2 > MOST_DEGREES:
        return _gamma_tail(above, times, df1)
    # 1 - I_x(a, b) = I_{1-x}(b, a) <= (1 - x)^b · max(1, 1/(b·B(a, b))), as the series of DLMF 8.17.8 shows, and
    # Γ(a + b)/Γ(b + 1) <= (a + b)^(a - 1), since the digamma function is below the logarithm
    a, b, ratio = df1 / 2, df2 / 2, min(above * (times / df2), sys.float_info.max)
    factor = (a - 1) * math.log(a + b) - math.lgamma(a)
    bits = int((b * math.log1p(ratio) - max(factor, 0.0)) / math.log(2))
    if bits > LEAST_EXPONENT:
        return 0.0

    def far() -> arb:  # slow where x is small and df2 large, and where the tail is nearly 1
        odds = arb(above) * times
        return (df2 / (odds + df2)).beta_lower(arb(df2) / 2, arb(df1) / 2, regularized=1)

    def near() -> arb:  # cancels, and takes minutes where it cancels much and x is not small
        odds = arb(above) * times
        return 1 - (odds / (odds + df2)).beta_lower(arb(df1) / 2, arb(df2) / 2, regularized=1)

    if ratio > 1 / 15 and above * times > df1:
        return _rounded(far, FIRST_BITS)
    return _rounded(near, FIRST_BITS + max(bits, 0))


def _end(above: float) -> float:
    """P(X > x) of what is never less than zero, where x is zero, less, infinite or NaN."""
    return math.nan if math.isnan(above) else float(above <= 0)


def _rounded(tail: Callable[[], arb], bits: int) -> float:
    """The float64 of a ball, evaluated with so many bits or as many more as it takes."""
    while True:
        with precision(bits):
            ball = tail()
            if ball.rel_accuracy_bits() > ACCURATE_BITS or ball.abs_upper() < arb(2) ** -LEAST_EXPONENT:
                return max(0.0, float(ball.mid()))
        bits *= 2
