"""L·D·Lᵀ in units of 2^-256, beside rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from gdpipe.numerics.problem.dependencies import solve_exactly
from gdpipe.numerics.problem.fixed_cholesky import fixed_product, inverse_root, solve_fixed
from gdpipe.numerics.problem.fixed_point import to_fixed
from tests.numerics.build import Floats


def fixed(matrix: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    return to_fixed(matrix.ravel().tolist()).reshape(matrix.shape)


def hilbert(size: int) -> Floats:
    """A matrix with a condition number of 10^(1.5·size)."""
    return 1 / (1.0 + np.add.outer(np.arange(size), np.arange(size)))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 10])
def test_a_solution_is_that_of_rational_arithmetic(size: int) -> None:
    matrix, right = fixed(hilbert(size)), fixed(np.arange(1.0, size + 1))
    exact = solve_exactly(matrix, right[:, None])[:, 0].tolist() if size else []
    for ours, theirs in zip(solve_fixed(matrix, right), exact, strict=True):
        assert abs(Fraction(int(ours), 1 << 256) - theirs) < Fraction(1, 10**50)


@pytest.mark.parametrize("size", [1, 2, 5, 10])
def test_a_root_of_the_inverse_has_all_digits(size: int) -> None:
    matrix = fixed(hilbert(size))
    root = fixed(inverse_root(matrix))
    identity = fixed_product(fixed_product(root.T, matrix), root)
    # each number of the root is rounded once
    gap = np.array([[float(Fraction(int(v), 1 << 256)) for v in line] for line in identity]) - np.eye(size)
    assert np.abs(gap).max() < 1e-15 * np.linalg.norm(inverse_root(matrix))
    assert (np.triu(inverse_root(matrix)) == inverse_root(matrix)).all()


def test_a_matrix_that_is_not_positive_definite_has_no_root() -> None:
    for values in ([[0.0]], [[1.0, 2.0], [2.0, 1.0]], np.diag([1.0, 1.0, -1.0])):
        assert np.isnan(inverse_root(fixed(np.array(values)))).all()
