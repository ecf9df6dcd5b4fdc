"""Tail probabilities of Student's t, F and chi-squared, to 12 digits.

SciPy's incomplete beta has them for few degrees of freedom, and loses up to half of them for many: there t is nearly
normal, and F is t and a sum of positive terms. So SciPy, which takes longer to load than a small run takes to compute,
loads for few degrees of freedom only.
"""

import math
import sys
from statistics import NormalDist

# from here on t and F are the normal and chi-squared with a correction
MANY_DEGREES = 5e3
# from here on terms of the sums for chi-squared have 11 digits
MANY_FEATURES = 1000
# more degrees of freedom change no tail by 1e-12
MOST_DEGREES = 2.0**62
# of the tail, up to which the next correction, about its square, is below rounding
LARGEST_CORRECTION = 3e-7
# e^-746 is 0 in float64
LEAST_EXPONENT = 746.0


def t_tails(t: float, df: float) -> float:
    """P(|T| > |t|) of Student's t with df > 0 degrees of freedom, whole or not; NaN of NaN, 0 beyond |t| of 1e154."""
    if df == 1:  # Cauchy's distribution, of which the incomplete beta has but the digits of 1 - x
        return math.atan2(1.0, abs(t)) * 2 / math.pi
    return f_upper(t * t, 1, df)


def t_critical(probability: float, df: float) -> float:
    """The t with P(|T| > t) = probability, 0 < probability < 1."""
    if df > MANY_DEGREES:
        z = NormalDist().inv_cdf(1 - probability / 2)
        # Abramowitz & Stegun 26.7.5
        first, second = z**3 + z, 5 * z**5 + 16 * z**3 + 3 * z
        third = 3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z
        return z + (first / 4 + (second / 96 + third / 384 / df) / df) / df
    from scipy.special import betaincinv  # stdtrit has 10 digits before SciPy 1.17

    below = float(betaincinv(df / 2, 0.5, probability))  # df/(df + t²)
    return math.sqrt(df * (1 - below) / below)


def chi2_upper(x: float, df: int) -> float:
    """P(X > x) of chi-squared with df > 0 degrees of freedom; NaN of NaN."""
    return _gamma_tail(df, x / 2) if 0 < x < math.inf else _end(x)


def f_upper(f: float, df1: int, df2: float) -> float:
    """P(F > f) of F with df1 and df2 > 0 degrees of freedom, df2 whole or not; NaN of NaN.

    It is 1 - I_x(a, b), the incomplete beta of DLMF 8.17, with a = df1/2, b = df2/2 and x = odds/(1 + odds).
    """
    if not 0 < f < math.inf:
        return _end(f)
    a, b = df1 / 2, min(df2, MOST_DEGREES) / 2
    odds = min(f * (a / b), sys.float_info.max)
    # 1 - I_x(a, b) <= (1 - x)^b · max(1, 1/(b·B(a, b))), as the series of DLMF 8.17.8 shows, and Γ(a + b)/Γ(b + 1) <=
    # (a + b)^(a - 1), since the digamma function is below the logarithm
    if b * math.log1p(odds) - max((a - 1) * math.log(a + b) - math.lgamma(a), 0.0) > LEAST_EXPONENT:
        return 0.0
    if df1 < MANY_FEATURES and df2 > MANY_DEGREES:
        first = _nearly_normal(b, odds) if df1 % 2 else 0.0
        if first is not None:
            return first + _by_recurrence(df1, b, odds)
    from scipy.special import betainc, betaincc

    # of the two forms each rounds where the other does not; f.sf (fdtrc) has no far tails
    near = df2 > MANY_DEGREES or f <= 1
    return float(betaincc(a, b, odds / (1 + odds)) if near else betainc(b, a, 1 / (1 + odds)))


def _nearly_normal(b: float, odds: float) -> float | None:
    """1 - I_x(1/2, b) for a large b; None where that has no 12 digits.

    It is Q(1/2, u) and a correction, the first two terms of Didonato & Morris (1992, ACM TOMS 18:360-373, section 9)
    taken together.
    """
    middle = b - 0.25
    u = middle * math.log1p(odds)
    correction = -(u + 1.5) / (48 * middle**2)
    if abs(correction) * u >= LARGEST_CORRECTION:
        return None
    return math.erfc(math.sqrt(u)) + correction / 2 * _gamma_term(0.5, u)


def _by_recurrence(df1: int, b: float, odds: float) -> float:
    """What 1 - I_x(df1/2, b) has above 1 - I_x(a, b), with a = 0 or 1/2: a sum of positive terms, DLMF 8.17.20.

    A term is x^a·(1 - x)^b / (a·B(a, b)), and the next one the same times x·(a + b)/(a + 1).
    """
    a = df1 % 2 / 2
    x, logarithm = odds / (1 + odds), -b * math.log1p(odds)
    shift = math.floor(logarithm / math.log(2))
    term = math.exp(logarithm - shift * math.log(2))
    if a:  # Γ(b + 1/2)/Γ(b), DLMF 5.11.13
        term *= math.sqrt(x * b) * (1 - (1 - (1 / 16 + 5 / 128 / b) / b) / (8 * b)) / math.gamma(1.5)
    terms = []
    for _ in range(df1 // 2):
        term, exponent = math.frexp(term)  # the first terms may be too small for float64
        shift += exponent
        terms.append(math.ldexp(term, shift))
        term *= x * (a + b) / (a + 1)
        a += 1
    return math.fsum(terms)


def _gamma_tail(df: int, u: float) -> float:
    """Q(df/2, u), the incomplete gamma of DLMF 8.2 by its recurrence 8.8.6: a sum of positive terms."""
    first = df % 2 / 2
    return (math.erfc(math.sqrt(u)) if first else 0.0) + math.fsum(_gamma_term(first + k, u) for k in range(df // 2))


def _gamma_term(power: float, u: float) -> float:
    """u^power·e^-u / Γ(power + 1)."""
    return math.exp(power * math.log(u) - u - math.lgamma(power + 1)) if u else float(not power)


def _end(x: float) -> float:
    """P(X > x) of what is never less than zero, where x is zero, less, infinite or NaN."""
    return math.nan if math.isnan(x) else float(x <= 0)
