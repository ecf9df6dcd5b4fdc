"""Features that are linear combinations of others, exactly or to the rounding of the data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import fmpz_mat, nmod_mat
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts, ExactProducts, Scaling
from gdpipe.numerics.problem.fixed_point import FIXED_POINT_BITS, to_fixed
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.rational import in_lowest_terms
from gdpipe.numerics.problem.relations import Holds, Relation, Rounding, plain_relation, rounded_relation

# 2^61 - 1 and the primes before it: a rank modulo a prime is never too large, and too small for about one matrix in
# 2^60; so each relation found this way is checked in integers afterwards
PRIMES = (2305843009213693951, 2305843009213693921, 2305843009213693907)
# float64 eigenvalues below this fraction of the largest are computed again in rational arithmetic
TRUSTED_EIGENVALUE = 1e-9
INVERSE_ITERATIONS = 3
# weight of the last feature relative to the first in the choice of the redundant ones: where several features could be
# left out equally well, the later one is
PREFERENCE = 10.0


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The features that carry no information of their own.

    Attributes:
        constant: Indices of features that are the same on every row.
        relations: Linear relations among the others, as many as their rank is short of their number.
        redundant: One feature of each relation, the last that will do: without these the others are independent.
        smallest_eigenvalue: The least eigenvalue of the correlation matrix without the redundant features, where
            float64 cannot tell it; otherwise None.
        null_space: The relations as directions among the standardized coefficients of the features that vary, one a
            column, where they come from eigenvectors; None where `null_directions` computes them from the relations.
    """

    constant: list[int]
    relations: tuple[Relation, ...]
    redundant: list[int]
    smallest_eigenvalue: float | None
    null_space: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        cross: CrossProducts,
        problem: LeastSquares,
        resolution: NDArray[np.float64] | None = None,
        scaling: Scaling | None = None,
        rounding: Rounding | None = None,
    ) -> "Dependencies":
        """All dependencies; the exact ones are found first.

        Args:
            cross: Covariances of [features..., target].
            problem: The loss over the features that vary.
            resolution: Relative rounding of each feature's values, shape (p,); that of float64 if not given.
            scaling: That of the covariances, if known.
            rounding: That of the features, if it is not what the covariances say.
        """
        variances = cross.variances()[:-1]
        constant = [j for j, variance in enumerate(variances) if not variance]
        varying = [j for j, variance in enumerate(variances) if variance]
        scaling = scaling or Scaling.of(cross)
        rounding = rounding or Rounding(cross, scaling, resolution)
        if not isinstance(cross, ExactProducts):
            relations, redundant, null_space = _float64_relations(cross, scaling, problem, rounding, varying)
            return cls(constant, relations, redundant, None, null_space)
        found_relations, redundant = _exact_relations(cross, varying, scaling.means)
        independent = [j for j in varying if j not in redundant]
        rounded: dict[int, Holds] = {}
        smallest = None
        while independent:
            if len(independent) < len(varying):
                chosen = cross.select([*independent, len(cross.sums) - 1])
                problem = LeastSquares.of(chosen, scaling.select(independent))
            found = smallest_mode(problem)
            if found is None:
                break
            smallest, mode = found
            holds = rounding.explains(smallest, mode, independent)
            if holds is None:
                break  # nearly dependent, but by more than rounding
            last = max(range(len(mode)), key=lambda i: (abs(mode[i]) > 0.1 * np.abs(mode).max(), i))
            rounded[independent.pop(last)] = holds
            smallest = None
            if redundant:
                # an exact relation that the feature just left out took part in no longer holds
                left = [j for j in varying if j not in rounded]
                found_relations, redundant = _exact_relations(cross, left, scaling.means)
                independent = [j for j in left if j not in redundant]
        for j in sorted(rounded):
            weights = _regression(cross, independent, j)
            found_relations.append(
                rounded_relation(cross, scaling, weights, j, rounding, decimal=rounded[j] is Holds.TO_15_DIGITS)
            )
        return cls(constant, tuple(found_relations), [*redundant, *rounded], smallest)


def _exact_relations(
    cross: ExactProducts, varying: list[int], means: Sequence[Fraction]
) -> tuple[list[Relation], list[int]]:
    """The exact relations and the redundant features: pivots modulo a prime, then solved and checked in rationals."""
    products = cross.products[np.ix_(varying, varying)]
    for prime in PRIMES:
        reduced, rank = nmod_mat(integer_matrix(products), prime).rref()
        pivots = [next(c for c in range(len(varying)) if int(reduced[r, c])) for r in range(rank)]
        free = [c for c in range(len(varying)) if c not in pivots]
        if not free:
            return [], []
        # each free column as a combination of the pivot columns
        combination = solve_exactly(products[np.ix_(pivots, pivots)], products[np.ix_(pivots, free)])
        if (products[np.ix_(free, pivots)] @ combination != products[np.ix_(free, free)]).any():
            continue  # the prime divides a minor: the rank modulo it is too small
        relations = []
        for k, column in enumerate(free):
            weights = {varying[c]: -combination[r, k] for r, c in enumerate(pivots)}
            weights[varying[column]] = Fraction(1)
            units = {j: w / Fraction(2) ** int(cross.exponents[j]) for j, w in weights.items() if w}
            relations.append(exact_relation(means, units))
        return relations, [varying[c] for c in free]
    # no matrix is known for which three such primes fail
    raise ArithmeticError("every prime divides a minor of the matrix")


def exact_relation(means: Sequence[Fraction], terms: dict[int, Fraction]) -> Relation:
    """An exact relation in lowest terms.

    Args:
        means: Those of all features; zeros without an intercept.
        terms: The weights of features in original units, none of them 0.
    """
    common = math.lcm(*(t.denominator for t in terms.values()))
    divisor = math.gcd(*(int(t * common) for t in terms.values()))
    terms = {j: t * common / divisor for j, t in terms.items()}
    constant = sum((t * means[j] for j, t in terms.items()), Fraction(0))
    zero = Fraction(0)
    return Relation(tuple(terms.get(j, zero) for j in range(len(means))), constant, exact=True)


def is_independent(problem: LeastSquares) -> bool:
    """Whether float64 can tell the least eigenvalue from zero, so that no feature depends on others."""
    eigenvalues = problem.eigenvalues
    # correlations have eigenvalues of 1 on average, but where a block is eliminated all may be small
    return not len(eigenvalues) or bool(eigenvalues[0] > TRUSTED_EIGENVALUE * max(eigenvalues[-1], 1.0))


def smallest_mode(problem: LeastSquares) -> tuple[float, NDArray[np.float64]] | None:
    """The least eigenvalue and its eigenvector, where float64 is too coarse for them; otherwise None.

    Inverse iteration in rational arithmetic (Golub & Van Loan, 4th ed., section 8.2.2): each solve reduces the error by
    the ratio of the two least eigenvalues, and the condition number costs no digit. Where directions are projected out,
    the iteration runs in the space of the remaining eigenvectors. These are orthogonal to the directions but for
    rounding, which enters squared.
    """
    if is_independent(problem):
        return None
    modes = problem.modes
    assert isinstance(problem.exact_hessian, np.ndarray)
    p, rank = modes.shape
    matrix, mode = problem.exact_hessian, modes[:, 0]
    if rank < p:
        basis = integer_matrix(to_fixed(modes.ravel().tolist()).reshape(modes.shape))
        entries = (basis.transpose() * integer_matrix(matrix) * basis).entries()
        matrix = np.array([int(v) >> 2 * FIXED_POINT_BITS for v in entries], object).reshape(rank, rank)
        matrix, mode = (matrix + matrix.T) >> 1, np.eye(rank)[0]
    # entries rounded by half a unit may make the matrix singular or indefinite; p units on its diagonal prevent that
    definite = matrix + np.diag(np.full(rank, p, object))
    value = 0.0
    for _ in range(INVERSE_ITERATIONS):
        image = solve_exactly(definite, to_fixed(mode.tolist())[:, None])[:, 0].astype(np.float64)
        norm = float(np.linalg.norm(image))
        value, mode = 1.0 / norm, image / norm
    return value, modes @ mode if rank < p else mode


def _regression(cross: ExactProducts, independent: list[int], dependent: int) -> dict[int, Fraction]:
    """The weight of each independent feature in the dependent one, in original units."""
    square = cross.products[np.ix_(independent, independent)]
    solved = solve_exactly(square, cross.products[independent, dependent][:, None])[:, 0]
    return {
        j: weight * Fraction(2) ** int(cross.exponents[dependent] - cross.exponents[j])
        for j, weight in zip(independent, solved, strict=True)
    }


def _float64_relations(
    cross: CrossProducts, scaling: Scaling, problem: LeastSquares, rounding: Rounding, varying: list[int]
) -> tuple[tuple[Relation, ...], list[int], NDArray[np.float64]]:
    """The relations (all to rounding), the redundant features and the null space, from eigenvectors.

    Rational arithmetic would gain nothing here: rounded sums have no more digits.
    """
    eigenvalues, modes = problem.eigenvalues, problem.modes
    unsure = int(np.searchsorted(eigenvalues, TRUSTED_EIGENVALUE * problem.lipschitz, side="right"))
    explained = [rounding.explains(float(eigenvalues[i]), modes[:, i], varying) for i in range(unsure)]
    deficiency = explained.index(None) if None in explained else unsure
    decimal = Holds.TO_15_DIGITS in explained[:deficiency]
    null_space = modes[:, :deficiency]
    if not deficiency:
        return (), [], null_space
    import scipy.linalg

    preference = np.linspace(1.0, PREFERENCE, len(varying))
    order = scipy.linalg.qr((null_space * preference[:, None]).T, mode="r", pivoting=True)[1]
    left_out = np.sort(order[:deficiency])
    # a basis of the same space in which each redundant feature stands in one line only
    lines = np.linalg.solve(null_space[left_out].T, null_space.T)
    redundant = [varying[i] for i in left_out]
    free = np.setdiff1d(np.arange(len(varying)), left_out)
    independent = [varying[i] for i in free]
    # in original units
    weights = -lines[:, free] * scaling.scales[redundant][:, None] / scaling.scales[independent]
    combinations = [
        (j, dict(zip(independent, w, strict=True))) for j, w in zip(redundant, weights.tolist(), strict=True)
    ]
    if len(independent) >= cross.n_samples - cross.centred:
        # any features are dependent on so few rows: the weights are no simple numbers
        means = [float(mean) for mean in scaling.means]
        relations = [plain_relation(means, line, dependent) for dependent, line in combinations]
    else:
        relations = [
            rounded_relation(
                cross, scaling, {j: Fraction(w) for j, w in line.items()}, dependent, rounding, decimal=decimal
            )
            for dependent, line in combinations
        ]
    return tuple(relations), redundant, null_space


def independent_columns(matrix: NDArray[np.object_]) -> list[int]:
    """The first columns of a matrix of integers of which all others are combinations; each is no such of those before.

    The rank is that modulo a prime: never too large, and too small for about one matrix in 2^60.
    """
    reduced, rank = nmod_mat(integer_matrix(matrix), PRIMES[0]).rref()
    return [next(c for c in range(matrix.shape[1]) if int(reduced[r, c])) for r in range(rank)]


def integer_matrix(values: NDArray[np.object_]) -> fmpz_mat:
    """A FLINT matrix of Python integers."""
    rows, columns = values.shape
    return fmpz_mat(rows, columns, values.ravel().tolist())


def solve_exactly(matrix: NDArray[np.object_], right: NDArray[np.object_]) -> NDArray[np.object_]:
    """The solution of matrix · x = right in rational arithmetic.

    Args:
        matrix: Shape (n, n), Python integers, not singular.
        right: Shape (n, k), Python integers.

    Returns:
        Shape (n, k), fractions.
    """
    solved = integer_matrix(matrix).solve(integer_matrix(right))
    fractions = [in_lowest_terms(int(value.p), int(value.q)) for value in solved.entries()]
    return np.array(fractions, object).reshape(right.shape)
