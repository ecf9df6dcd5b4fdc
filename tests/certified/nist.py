"""NIST StRD linear regression: data and certified values.

National Institute of Standards and Technology, Statistical Reference Datasets (1997), "Linear Regression". Norris is
read from the scipy package, Longley from statsmodels; NoInt and Wampler follow from the formulas on their pages.
"""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reference:
    """One data set.

    Attributes:
        X: Shape (n, p).
        y: Shape (n,).
        estimate: Certified; the intercept first, where there is one.
        std_error: Certified.
        digits: Correct digits of the estimates that are asked for.
        fit_intercept: Whether the model has one.
    """

    X: Floats
    y: Floats
    estimate: Sequence[float]
    std_error: Sequence[float]
    digits: float
    fit_intercept: bool = True


def norris() -> Reference:
    """A line through 36 calibrations of ozone monitors."""
    text = files("scipy.stats.tests.data").joinpath("nist_linregress/Norris.dat").read_text(encoding="utf-8")
    certified = re.findall(r"^\s+B[01]\s+(\S+)\s+(\S+)\s*$", text, re.MULTILINE)
    rows = np.array([line.split() for line in text.split("Data:")[-1].splitlines()[1:] if line.strip()], float)
    estimate, std_error = ([float(v) for v in column] for column in zip(*certified, strict=True))
    return Reference(rows[:, 1:], rows[:, 0], estimate, std_error, 13.5)


def longley() -> Reference:
    """Employment from six strongly related series."""
    from statsmodels.datasets.longley import load_pandas

    data = load_pandas()
    return Reference(
        data.exog.to_numpy(float),
        data.endog.to_numpy(float),
        # in units of thousands, as statsmodels keeps the target: NIST's y is the same
        [
            -3482258.63459582,
            15.0618722713733,
            -0.358191792925910e-01,
            -2.02022980381683,
            -1.03322686717359,
            -0.511041056535807e-01,
            1829.15146461355,
        ],
        [
            890420.383607373,
            84.9149257747669,
            0.334910077722432e-01,
            0.488399681651699,
            0.214274163161675,
            0.226073200069370,
            455.478499142212,
        ],
        13.5,
    )


def no_intercept(number: int) -> Reference:
    """Lines through the origin."""
    if number == 1:
        x, y = np.arange(60.0, 71.0), np.arange(130.0, 141.0)
        return Reference(x[:, None], y, [2.07438016528926], [0.165289256198347e-01], 14, fit_intercept=False)
    x, y = np.array([4.0, 5.0, 6.0]), np.array([3.0, 4.0, 4.0])
    return Reference(x[:, None], y, [0.727272727272727], [0.420827318078432e-01], 14, fit_intercept=False)


# what Wampler 3, 4 and 5 add to the polynomial, 1, 100 and 10,000 times
NOISE = (
    *(759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048),
    *(-2048, 1838, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 759),
)
WAMPLER3_STD_ERROR = (
    2152.32624678170,
    2363.55173469681,
    779.343524331583,
    101.475507550350,
    5.64566512170752,
    0.112324854679312,
)


def wampler(number: int) -> Reference:
    """Polynomials of degree 5 at 0, 1, ..., 20."""
    x = np.arange(21.0)
    X = np.column_stack([x**k for k in range(1, 6)])
    if number == 2:  # the one with decimal coefficients; y has five decimals and is read as written
        y = np.array([round(sum((v / 10) ** k for k in range(6)), 5) for v in range(21)])
        return Reference(X, y, [10.0**-k for k in range(6)], [0.0] * 6, 13)
    scale = {1: 0, 3: 1, 4: 100, 5: 10_000}[number]
    y = 1 + X.sum(axis=1) + scale * np.array(NOISE, float)
    return Reference(X, y, [1.0] * 6, [scale * s for s in WAMPLER3_STD_ERROR], 14)


def filip() -> Reference:
    """A polynomial of degree 10 on the range of NIST's Filip: a problem of its kind, without its certified values."""
    x = np.linspace(-9.0, -3.0, 82)
    X = np.column_stack([x**k for k in range(1, 11)])
    return Reference(X, np.cos(x) + 0.01 * np.sin(37 * x), [], [], 0)


ALL: dict[str, Callable[[], Reference]] = {
    "Norris": norris,
    "Longley": longley,
    **{f"NoInt{n}": functools.partial(no_intercept, n) for n in (1, 2)},
    **{f"Wampler{n}": functools.partial(wampler, n) for n in (1, 2, 3, 4, 5)},
}
