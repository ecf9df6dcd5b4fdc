"""Tail probabilities of Student's t, F and chi-squared, right to the last bit.

In ball arithmetic (Johansson 2017, IEEE Trans. Comput. 66:1281-1292), which knows its own error: a tail is evaluated
with more bits until its ball is within a float64. Most take 0.05 ms, the smallest 2 ms.
"""

import math
from collections.abc import Callable

from flint import arb, ctx

# the square of a float64, or its product with another, is exact
EXACT_BITS = 106
# a ball this narrow is a float64
ACCURATE_BITS = 60
# of the first try, beyond those that cancel
FIRST_BITS = ACCURATE_BITS + 20
# below 2^-1080 there is no float64 but zero
LEAST_EXPONENT = 1080


def t_tails(t: float, df: float) -> float:
    """P(|T| > |t|) of Student's t with df > 0 degrees of freedom, whole or not; NaN of NaN."""
    return _beta_tail(t, t, 1.0, df)


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
    return _beta_tail(f, df1, df1, df2) if f > 0 else _end(f)


def chi2_upper(x: float, df: float) -> float:
    """P(X > x) of chi-squared with df > 0 degrees of freedom; NaN of NaN."""
    if not 0 < x < math.inf:
        return _end(x)
    return _rounded(lambda: (arb(x) / 2).gamma_upper(arb(df) / 2, regularized=1), FIRST_BITS)


def _beta_tail(above: float, times: float, df1: float, df2: float) -> float:
    """1 - I_x(df1/2, df2/2), the incomplete beta of DLMF 8.17 at x = odds / (odds + df2), odds = above · times."""
    if not math.isfinite(above):
        return _end(above)
    with ctx.workprec(EXACT_BITS):
        odds = arb(above) * times
        # 1 - I_x(a, b) = I_{1-x}(b, a) <= (1 - x)^b · max(1, 1/(b·B(a, b))), as the series of DLMF 8.17.8 shows
        a, b = df1 / 2, df2 / 2
        factor = math.lgamma(a + b) - math.lgamma(b + 1) - math.lgamma(a)
        cancelled = (b * float((odds / df2).log1p().mid()) - max(factor, 0.0)) / math.log(2)
    if cancelled > LEAST_EXPONENT:
        return 0.0

    def tail() -> arb:
        return 1 - (odds / (odds + df2)).beta_lower(arb(df1) / 2, arb(df2) / 2, regularized=1)

    return _rounded(tail, FIRST_BITS + max(int(cancelled), 0))


def _end(above: float) -> float:
    """P(X > x) where x is no positive number: of one that is never less than zero."""
    return math.nan if math.isnan(above) else float(above <= 0)


def _rounded(tail: Callable[[], arb], bits: int) -> float:
    """The float64 of a ball, evaluated with so many bits or as many more as it takes."""
    while True:
        with ctx.workprec(bits):
            ball = tail()
            if ball.rel_accuracy_bits() > ACCURATE_BITS or ball.abs_upper() < arb(2) ** -LEAST_EXPONENT:
                return float(ball.mid())
        bits *= 2
