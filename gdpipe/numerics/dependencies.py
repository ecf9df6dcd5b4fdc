"""Which features are combinations of others: exactly, or to the rounding of the data."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import fmpz_mat, nmod_mat
from numpy.typing import NDArray

from gdpipe.numerics.covariance import CrossProducts, power_of_two, square_root
from gdpipe.numerics.objective import LeastSquares, to_fixed
from gdpipe.numerics.scaling import Scaling

# 2^61 - 1 and neighbours: a rank modulo a prime is never too large, and too small once in about 2^60 matrices;
# each relation found this way is checked in integers afterwards
PRIMES = (2305843009213693951, 2305843009213693921, 2305843009213693907)
# float64 eigenvalues below this fraction of the largest are found again in rational arithmetic
TRUSTED_EIGENVALUE = 1e-9
# a combination is constant to rounding when its spread is at most this many roundings of its terms
ROUNDINGS = 4.0
INVERSE_ITERATIONS = 3
LARGEST_DENOMINATOR = 1000


@dataclass(frozen=True, slots=True)
class Relation:
    """Σ coefficientᵢ · featureᵢ = constant, on every row.

    Attributes:
        coefficients: Shape (p,), in original units, in lowest terms: integers where the relation is exact.
        constant: In the same unit as the terms.
        exact: False where it holds only to the rounding of the data.
    """

    coefficients: tuple[Fraction, ...]
    constant: Fraction
    exact: bool

    @property
    def features(self) -> list[int]:
        """Indices of the features that take part."""
        return [i for i, c in enumerate(self.coefficients) if c]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What of the features carries no information of its own.

    Attributes:
        constant: Indices of features that are the same on every row.
        relations: One for each further rank that is missing.
        redundant: One feature of each relation, the last that can be spared: without these the rest is independent.
        smallest_eigenvalue: Of the correlation matrix of the rest, where float64 cannot tell it; else None.
    """

    constant: list[int]
    relations: tuple[Relation, ...]
    redundant: list[int]
    smallest_eigenvalue: float | None

    @classmethod
    def of(
        cls, cross: CrossProducts, scaling: Scaling, resolution: NDArray[np.float64] | None = None
    ) -> "Dependencies":
        """Find them all, the exact ones first.

        Args:
            cross: Covariances of [features..., target].
            scaling: Of the same columns.
            resolution: Relative rounding of each feature's values, shape (p,); float64's if not given.
        """
        p = len(cross.sums) - 1
        constant = [j for j in range(p) if not cross.products[j, j]]
        varying = [j for j in range(p) if cross.products[j, j]]
        # rounded sums obey no relation exactly
        relations, redundant = _exact_relations(cross, varying) if not cross.noise else ([], [])
        independent = [j for j in varying if j not in redundant]
        rounding = _Rounding(cross, scaling, resolution)
        rounded: list[int] = []
        smallest = None
        while independent:
            found = _smallest_mode(cross, scaling, independent)
            if found is None:
                break
            smallest, mode = found
            if not rounding.explains(smallest, mode, independent):
                break  # nearly dependent, but with something of its own to say
            spared = max(range(len(mode)), key=lambda i: (abs(mode[i]) > 0.1 * np.abs(mode).max(), i))
            rounded.append(independent.pop(spared))
            smallest = None
        relations += [
            _rounded_relation(cross, scaling, independent, j, rounding.of_coefficients) for j in sorted(rounded)
        ]
        return cls(constant, tuple(relations), redundant + rounded, smallest)


class _Rounding:
    """What the rounding of the data, or of the sums, can do to a combination of features.

    A combination of float64 columns that is constant but for rounding moves by a few units in the last place of
    its terms.
    """

    def __init__(self, cross: CrossProducts, scaling: Scaling, resolution: NDArray[np.float64] | None) -> None:
        p = len(cross.sums) - 1
        squares = [
            (m**2 if cross.centred else 0) + v for m, v in zip(cross.means()[:p], cross.variances()[:p], strict=True)
        ]
        magnitudes = np.array([square_root(Fraction(s)) for s in squares])
        units = np.full(p, np.finfo(np.float64).eps) if resolution is None else resolution
        self.of_coefficients = max(1e-9, 100 * float(units.max(initial=0.0)))
        self._per_weight = units * magnitudes / scaling.scales
        self._noise = cross.noise * p

    def explains(self, eigenvalue: float, mode: NDArray[np.float64], features: list[int]) -> bool:
        """Whether a combination with this variance may be constant."""
        spread = float(np.abs(mode) @ self._per_weight[features])
        return eigenvalue <= max((ROUNDINGS * spread) ** 2, self._noise)


def null_directions(relations: tuple[Relation, ...], scaling: Scaling, kept: list[int]) -> NDArray[np.float64]:
    """The relations as directions among standardized coefficients, shape (len(kept), len(relations))."""
    directions = np.zeros((len(kept), len(relations)))
    for k, relation in enumerate(relations):
        terms = [relation.coefficients[j] * Fraction(float(scaling.scales[j])) for j in kept]
        largest = max(abs(t) for t in terms)
        directions[:, k] = [float(t / largest) for t in terms]
    return directions


def _exact_relations(cross: CrossProducts, varying: list[int]) -> tuple[list[Relation], list[int]]:
    """The integer null space: pivots found modulo a prime, relations solved and checked over the rationals."""
    products = cross.products[np.ix_(varying, varying)]
    for prime in PRIMES:
        pivots = _pivots(nmod_mat(integer_matrix(products), prime))
        free = [c for c in range(len(varying)) if c not in pivots]
        if not free:
            return [], []
        # what each free column is of the pivot columns
        combination = solve_exactly(products[np.ix_(pivots, pivots)], products[np.ix_(pivots, free)])
        if (products[np.ix_(free, pivots)] @ combination != products[np.ix_(free, free)]).any():
            continue  # the prime divides a minor: the rank modulo it is too small
        relations = []
        for k, column in enumerate(free):
            weights = {varying[c]: -combination[r, k] for r, c in enumerate(pivots)}
            relations.append(_relation(cross, {**weights, varying[column]: Fraction(1)}))
        return relations, [varying[c] for c in free]
    raise ArithmeticError("every prime divides a minor of the matrix")  # pragma: no cover


def _pivots(matrix: nmod_mat) -> list[int]:
    reduced, rank = matrix.rref()
    columns = range(reduced.ncols())
    return [next(c for c in columns if int(reduced[r, c])) for r in range(rank)]


def _relation(cross: CrossProducts, grid_weights: dict[int, Fraction]) -> Relation:
    """An exact relation between grid integers, in the user's units and lowest terms."""
    terms = {j: w * power_of_two(-int(cross.exponents[j])) for j, w in grid_weights.items() if w}
    common = math.lcm(*(t.denominator for t in terms.values()))
    divisor = math.gcd(*(int(t * common) for t in terms.values()))
    terms = {j: t * common / divisor for j, t in terms.items()}
    means = cross.means()
    constant = sum((t * means[j] for j, t in terms.items()), Fraction(0)) if cross.centred else Fraction(0)
    return Relation(tuple(terms.get(j, Fraction(0)) for j in range(len(cross.sums) - 1)), constant, exact=True)


def _smallest_mode(
    cross: CrossProducts, scaling: Scaling, features: list[int]
) -> tuple[float, NDArray[np.float64]] | None:
    """The least eigenvalue and its vector, where float64 cannot be trusted with them; else None.

    Inverse iteration in rational arithmetic (Golub & Van Loan, 4th ed., section 8.2.2): each solve gains the ratio of
    the two least eigenvalues, and no digit is lost to the condition number.
    """
    problem = LeastSquares.of(cross.select([*features, len(cross.sums) - 1]), scaling.select(features))
    eigenvalues, modes = problem.eigenvalues, problem.modes
    if eigenvalues[0] > TRUSTED_EIGENVALUE * eigenvalues[-1]:
        return None
    if cross.noise:  # rounded sums hold no digits that rational arithmetic could find
        return max(float(eigenvalues[0]), 0.0), modes[:, 0]
    mode = modes[:, 0]
    value = 0.0
    for _ in range(INVERSE_ITERATIONS):
        image = solve_exactly(problem.exact_hessian, to_fixed(mode.tolist())[:, None])[:, 0].astype(np.float64)
        norm = float(np.linalg.norm(image))
        value, mode = 1.0 / norm, image / norm
    return value, mode


def _rounded_relation(
    cross: CrossProducts, scaling: Scaling, independent: list[int], dependent: int, rounding: float
) -> Relation:
    """What a feature is of the independent ones, to rounding: its regression on them, cleaned of noise."""
    square = cross.products[np.ix_(independent, independent)]
    solved = solve_exactly(square, cross.products[independent, dependent][:, None])
    terms = {dependent: Fraction(1)}
    means = cross.means()
    constant = means[dependent]
    for r, j in enumerate(independent):
        weight = solved[r, 0] * power_of_two(int(cross.exponents[dependent] - cross.exponents[j]))
        constant -= weight * means[j]
        # a term that moves the combination by no more than rounding does not belong to it
        if abs(weight) * Fraction(float(scaling.scales[j])) > 10 * Fraction(rounding) * Fraction(
            float(scaling.scales[dependent])
        ):
            terms[j] = -simplest_near(weight, rounding)
    common = math.lcm(*(t.denominator for t in terms.values()))
    if common <= LARGEST_DENOMINATOR:
        terms = {j: t * common for j, t in terms.items()}
    size = sum((abs(t * means[j]) for j, t in terms.items()), Fraction(0))
    constant *= terms[dependent]
    coefficients = tuple(terms.get(j, Fraction(0)) for j in range(len(cross.sums) - 1))
    if not cross.centred or abs(constant) <= size * Fraction(rounding):
        constant = Fraction(0)
    return Relation(coefficients, constant, exact=False)


def simplest_near(value: Fraction, rounding: float) -> Fraction:
    """A fraction with a small denominator if one is as near as the relative rounding, else the value as a float64."""
    simple = value.limit_denominator(LARGEST_DENOMINATOR)
    return simple if abs(simple - value) <= abs(value) * Fraction(rounding) else Fraction(float(value))


def integer_matrix(values: NDArray[np.object_]) -> fmpz_mat:
    """A matrix of Python integers as one of flint's."""
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
    fractions = [Fraction(int(value.p), int(value.q)) for value in solved.entries()]
    return np.array(fractions, object).reshape(right.shape)
