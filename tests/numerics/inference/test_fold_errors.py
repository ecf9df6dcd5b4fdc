"""The mean of the errors of folds, its standard error, and the choice of alpha; by hand and as glmnet does."""

from fractions import Fraction

import numpy as np
import pytest

from gdpipe.numerics.inference.fold_errors import choose_alpha, mean_and_variance, rmse_standard_error


def test_by_hand() -> None:
    errors, weights = np.array([[1.0, 2.0], [4.0, 2.0], [10.0, 2.0]]), np.array([2.0, 1.0, 1.0])
    mean, variance = mean_and_variance(errors, weights)
    assert mean.tolist() == [4.0, 2.0]
    assert variance.tolist() == [(2 * 9 + 0 + 36) / 4 / 2, 0.0]


def test_fractions_stay_fractions() -> None:
    errors = np.array([[Fraction(1, 3)], [Fraction(1, 7)]], object)
    [mean], [variance] = mean_and_variance(errors, np.array([Fraction(1), Fraction(2)], object))
    assert mean == Fraction(1, 3) * Fraction(1, 3) + Fraction(2, 3) * Fraction(1, 7)
    assert variance == (Fraction(1, 3) - mean) ** 2 / 3 + (Fraction(1, 7) - mean) ** 2 * 2 / 3
    assert rmse_standard_error(Fraction(4), Fraction(9)) == 3 / 4
    assert rmse_standard_error(Fraction(0), Fraction(0)) == 0


@pytest.mark.parametrize("order", [1, -1])
def test_the_least_error_and_the_largest_alpha_within_one_standard_error(order: int) -> None:
    alphas = np.array([8.0, 4.0, 2.0, 1.0, 0.5])[::order]
    errors = np.array([[9.0, 4.0, 3.0, 3.0, 5.0], [9.0, 8.0, 5.0, 5.0, 5.0]])[:, ::order]
    found = choose_alpha(alphas, errors, np.array([1.0, 1.0]))
    assert found is not None
    assert found.mse[::order].tolist() == [9, 6, 4, 4, 5]
    assert found.std_error[::order].tolist() == [0, 2, 1, 1, 0]
    assert alphas[found.least] == 2.0  # of two with the same error the simpler
    assert alphas[found.one_std_error] == 2.0
    wider = choose_alpha(alphas, errors + np.array([[-1.0], [1.0]]), np.array([1.0, 1.0]))
    assert wider is not None
    assert alphas[wider.one_std_error] == 4.0  # 6 <= 4 + 2


def test_one_fold_chooses_nothing() -> None:
    assert choose_alpha(np.array([1.0]), np.array([[2.0]]), np.array([5.0])) is None
