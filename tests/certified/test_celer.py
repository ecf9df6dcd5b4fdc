"""Lasso and elastic net beside celer 0.7.4 (Massias, Gramfort & Salmon 2018, ICML), to ten decimal places.

The values are those of `celer.Lasso(alpha, tol=1e-15).fit(Z, t).coef_`, and of `celer.ElasticNet(alpha, l1_ratio=...)`,
for the diabetes data of scikit-learn, columns and target standardized, rounded; its duality gaps were below
1e-15. The package was run once, and is no part of the tests' environment.
"""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from gdpipe import GradientDescentRegressor

# alpha, l1_ratio, coefficients in target SDs per column SD
VALUES = [
    (0.3, 1.0, [0, 0, 0.209533757, 0, 0, 0, 0, 0, 0.1723977367, 0]),
    (0.05, 1.0, [0, -0.0553237097, 0.3160236915, 0.1491173193, 0, 0, -0.1112575899, 0, 0.2787901486, 0.002950222]),
    (
        0.005,
        1.0,
        [
            *(0, -0.1365138311, 0.324936539, 0.1922686245, -0.1103516781),
            *(0, -0.1021456691, 0.0538322798, 0.3256286865, 0.0387501823),
        ],
    ),
    (0.3, 0.5, [0, 0, 0.2510648836, 0.0850960757, 0, 0, -0.0432586781, 0, 0.2201241853, 0]),
    (
        0.05,
        0.2,
        [
            *(0, -0.1204594378, 0.3132374414, 0.1828577122, -0.0624144963),
            *(-0.007584434, -0.1261141882, 0.0264620906, 0.2993400913, 0.0406681544),
        ],
    ),
]


@pytest.mark.parametrize(("alpha", "l1_ratio", "expected"), VALUES)
def test_coefficients_are_those_of_celer(alpha: float, l1_ratio: float, expected: list[float]) -> None:
    X, y = load_diabetes(return_X_y=True, scaled=False)
    model = GradientDescentRegressor(
        penalty="elastic_net", alpha=alpha, l1_ratio=l1_ratio, folds=0, tolerance=1e-12
    ).fit(X, y)
    coef = model.coef_ * X.std(axis=0) / y.std()
    np.testing.assert_allclose(coef, expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(coef == 0, np.equal(expected, 0))
    assert model.certificate_.passed
