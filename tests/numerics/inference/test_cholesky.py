"""Inverted Cholesky factors: those of NumPy's inverse, with sizes that are cut in halves and not."""

import numpy as np
import pytest

from gdpipe.numerics.inference.cholesky import SMALL, inverse_factor


@pytest.mark.parametrize("size", [1, SMALL, SMALL + 1, 3 * SMALL + 5])
def test_the_factor_inverts_the_matrix(size: int) -> None:
    rows = np.random.default_rng(size).normal(size=(size, 2 * size))
    matrix = rows @ rows.T
    factor = inverse_factor(matrix)
    assert factor is not None
    assert not np.triu(factor, 1).any()
    np.testing.assert_allclose(factor @ matrix @ factor.T, np.eye(size), atol=1e-11)
    np.testing.assert_allclose(factor.T @ factor, np.linalg.inv(matrix), rtol=1e-9, atol=1e-11)


def test_a_matrix_that_is_not_definite_has_none() -> None:
    assert inverse_factor(np.array([[1.0, 2.0], [2.0, 1.0]])) is None
    assert inverse_factor(np.full((2, 2), np.nan)) is None
