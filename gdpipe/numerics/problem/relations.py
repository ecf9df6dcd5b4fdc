"""Linear relations among features in lowest terms, and the precision with which they hold."""

import enum
import functools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts, Scaling, square_root

# a combination is constant to rounding where its spread is at most this many roundings of its terms
ROUNDINGS = 4.0
# largest relative rounding of text with 15 significant digits: half a unit of the last where the first digit is 1
DECIMAL_ROUNDING = 5e-15
LARGEST_DENOMINATOR = 1000


@dataclass(frozen=True, slots=True)
class Relation:
    """Σ coefficientᵢ · featureᵢ = constant, on every row.

    Attributes:
        coefficients: Shape (p,), in original units, in lowest terms: integers where the relation is exact.
        constant: The constant, in the same unit as the terms.
        exact: Whether it holds exactly, and not only to the rounding of the data.
        decimal: Whether that rounding is coarser than float64's, as of text with 15 digits.
    """

    coefficients: tuple[Fraction, ...]
    constant: Fraction
    exact: bool
    decimal: bool = False

    @property
    def features(self) -> list[int]:
        """Indices of the features that take part."""
        return [i for i, c in enumerate(self.coefficients) if c]


class Holds(enum.Enum):
    """How exactly a combination of features is constant whose variance is not 0."""

    TO_ROUNDING = "to rounding"
    TO_15_DIGITS = "to 15 decimal digits"


class Rounding:
    """The effect of rounding, of the data or of the sums, on combinations of features.

    A combination of float64 columns that is constant but for rounding varies by a few units in the last place of its
    terms. Where the columns went through text of 15 digits, each adds half a unit in its last digit.
    """

    def __init__(self, cross: CrossProducts, scaling: Scaling, resolution: NDArray[np.float64] | None) -> None:
        p = len(scaling.scales)
        units = np.full(p, np.finfo(np.float64).eps) if resolution is None else resolution
        self.of_coefficients = max(1e-9, 100 * float(units.max(initial=0.0)))
        self.of_values = ROUNDINGS * float(units.max(initial=0.0)) + DECIMAL_ROUNDING
        self._units = units
        self._scales = scaling.scales
        self._noise = cross.noise * p
        self._cross = cross

    @functools.cached_property  # most runs have no combination to explain
    def _sizes(self) -> NDArray[np.float64]:
        """The root mean square of each feature, in its standard deviations; shape (p,)."""
        cross, p = self._cross, len(self._scales)
        squares = [
            (m**2 if cross.centred else 0) + v for m, v in zip(cross.means()[:p], cross.variances()[:p], strict=True)
        ]
        sizes: NDArray[np.float64] = np.array([square_root(Fraction(s)) for s in squares]) / self._scales
        return sizes

    def explains(self, eigenvalue: float, mode: NDArray[np.float64], features: list[int]) -> Holds | None:
        """How exactly a combination with this variance is constant; None where rounding cannot explain the variance."""
        sizes = np.abs(mode) * self._sizes[features]
        spread = ROUNDINGS * float(sizes @ self._units[features])
        if eigenvalue <= max(spread**2, self._noise):
            return Holds.TO_ROUNDING
        return Holds.TO_15_DIGITS if eigenvalue <= (spread + DECIMAL_ROUNDING * float(sizes.sum())) ** 2 else None

    def of_combination(self, weights: dict[int, Fraction], dependent: int) -> float:
        """The rounding of a feature less its combination of others, in standard deviations of the feature."""
        each = (ROUNDINGS * self._units + DECIMAL_ROUNDING) * self._sizes * self._scales
        terms = (float(abs(weight)) * each[j] for j, weight in weights.items())
        return float((each[dependent] + math.fsum(terms)) / self._scales[dependent])


def rounded_relation(
    cross: CrossProducts,
    scaling: Scaling,
    weights: dict[int, Fraction],
    dependent: int,
    rounding: Rounding,
    *,
    decimal: bool,
) -> Relation:
    """The relation of a feature to the independent ones, to rounding, with simple numbers where they fit.

    Args:
        cross: Covariances of [features..., target].
        scaling: The scaling of the same columns.
        weights: The weight of each independent feature in the dependent one, in original units.
        dependent: The dependent feature.
        rounding: The rounding of the data.
        decimal: Whether the relation holds to 15 decimal digits only.
    """
    terms = {dependent: Fraction(1)}
    means = cross.means()
    of_all, of_constant = rounding.of_combination(weights, dependent), rounding.of_values
    of_weights = max(rounding.of_coefficients, of_all)
    negligible = max(10 * rounding.of_coefficients, of_all) * scaling.scales[dependent]
    for j, weight in weights.items():
        # a term that changes the combination by no more than rounding does is left out
        if abs(weight) * Fraction(float(scaling.scales[j])) > Fraction(float(negligible)):
            terms[j] = -simplest_near(weight, of_weights)
            if terms[j].denominator > LARGEST_DENOMINATOR:
                of_constant = of_weights  # the constant is then no more precise than this weight
    common = math.lcm(*(t.denominator for t in terms.values()))
    if common <= LARGEST_DENOMINATOR:
        terms = {j: t * common for j, t in terms.items()}
    size = sum((abs(t * means[j]) for j, t in terms.items()), Fraction(0))
    coefficients = tuple(terms.get(j, Fraction(0)) for j in range(len(scaling.scales)))
    constant = sum((t * means[j] for j, t in terms.items()), Fraction(0)) if cross.centred else Fraction(0)
    for simple in (Fraction(0), Fraction(round(constant)), constant.limit_denominator(LARGEST_DENOMINATOR)):
        if abs(simple - constant) <= size * Fraction(of_constant):
            constant = simple
            break
    return Relation(coefficients, constant, exact=False, decimal=decimal)


def plain_relation(means: list[float], weights: dict[int, float], dependent: int) -> Relation:
    """The relation with its weights as they are; `means` are those of all features, zeros without an intercept."""
    coefficients = [Fraction(0)] * len(means)
    for j, weight in weights.items():
        coefficients[j] = Fraction(-weight)
    coefficients[dependent] = Fraction(1)
    constant = math.fsum([means[dependent], *(-weight * means[j] for j, weight in weights.items())])
    return Relation(tuple(coefficients), Fraction(constant), exact=False)


def simplest_near(value: Fraction, rounding: float) -> Fraction:
    """The nearest fraction with a small denominator if within the relative rounding, else the value as a float64."""
    simple = value.limit_denominator(LARGEST_DENOMINATOR)
    return simple if abs(simple - value) <= abs(value) * Fraction(rounding) else Fraction(float(value))


def null_directions(relations: tuple[Relation, ...], scaling: Scaling) -> NDArray[np.float64]:
    """The relations as directions among standardized coefficients, shape (p, len(relations))."""
    scales = scaling.scales.tolist()
    directions = np.zeros((len(scales), len(relations)))
    for k, relation in enumerate(relations):
        terms = [c * Fraction(scale) for c, scale in zip(relation.coefficients, scales, strict=True)]
        largest = max(abs(t) for t in terms)
        directions[:, k] = [float(t / largest) for t in terms]
    return directions
