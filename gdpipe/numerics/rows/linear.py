"""Linear models: predictions, their size, and their errors over rows of which only the sums are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.problem.rational import dot
from gdpipe.numerics.sums.levels import TermBlock


def predict(columns: FloatColumns, coef: NDArray[np.float64], intercept: float) -> NDArray[np.float64]:
    """Intercept + Σ coefⱼ·xⱼ, added feature by feature in order: the same bits however the rows are split.

    Args:
        columns: The p features, shape (m,) each, or one array of shape (p, m).
        coef: Shape (p,), target units per feature unit.
        intercept: The intercept, in target units.

    Returns:
        Shape (m,), in target units; NaN or infinite where a feature is.
    """
    total = np.full(len(columns[0]), intercept)
    term = np.empty(len(total))
    with np.errstate(invalid="ignore"):
        for column, weight in zip(columns, coef.tolist(), strict=True):
            np.multiply(column, weight, out=term)
            total += term
    return total


def number_blocks(p: int) -> list[TermBlock]:
    """The features of a design in which each term is a number."""
    return [TermBlock(j, (), ((),)) for j in range(p)]


def count_numbers(blocks: Sequence[TermBlock]) -> int:
    """The number of a design's numbers: the place of the target among the columns of dense sums."""
    return 1 + max((block.number for block in blocks if block.number is not None), default=-1)


@dataclass(frozen=True, slots=True, eq=False)
class LineSize:
    """The size of what a prediction adds up: one product for each feature, as a row has one level of each category.

    Attributes:
        intercept: |intercept|.
        slopes: The largest |coefficient| of each feature's terms, shape (f,).
        largest: The largest magnitude of each feature's number, 1 without one, shape (f,).
        steps: The step of the grid to which each feature's number was rounded in the sums, 0 without one, shape (f,).
    """

    intercept: float
    slopes: NDArray[np.float64]
    largest: NDArray[np.float64]
    steps: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        coef: NDArray[np.float64],
        intercept: float,
        blocks: Sequence[TermBlock],
        largest: NDArray[np.float64],
        exponents: NDArray[np.int64] | None = None,
    ) -> "LineSize":
        """The size of a line.

        Args:
            coef: The coefficients of all terms, shape (p,).
            intercept: The intercept.
            blocks: The terms of all features.
            largest: The largest magnitude of each number of the design, shape (k,) at least.
            exponents: The grid of the terms in exact sums, shape (p,) at least; None for other sums.
        """
        ends = np.cumsum([0, *(len(block.labels) for block in blocks)]).tolist()
        slopes, sizes, steps = np.zeros(len(blocks)), np.ones(len(blocks)), np.zeros(len(blocks))
        for f, block in enumerate(blocks):
            slopes[f] = np.abs(coef[ends[f] : ends[f + 1]]).max(initial=0.0)
            if block.number is not None:
                sizes[f] = largest[block.number]
                # a level is 0 or 1 on any grid; a category with one level may have no term
                if exponents is not None and block.labels:
                    steps[f] = np.ldexp(1.0, exponents[ends[f]])
        return cls(abs(intercept), slopes, sizes, steps)

    @property
    def reach(self) -> float:
        """A bound on |prediction|, were there no rounding."""
        return self.intercept + float(self.slopes @ self.largest)

    def with_target(self, largest: float, step: float = 0.0) -> "LineSize":
        """The size of what is added up in target - prediction."""
        return LineSize(
            self.intercept, np.append(self.slopes, 1.0), np.append(self.largest, largest), np.append(self.steps, step)
        )


def mean_error(cross: CrossProducts, coef: Sequence[float | Fraction], intercept: float | Fraction) -> Fraction:
    """mean(y - Σ coefⱼ·xⱼ - intercept), exact; in the target's unit.

    Args:
        cross: Covariances of [features..., target].
        coef: Shape (p,), target units per feature unit, finite.
        intercept: The intercept, in target units.
    """
    *of_features, of_target = cross.means()
    return of_target - Fraction(intercept) - dot([Fraction(c) for c in coef], of_features)


def mean_squared_error(cross: CrossProducts, coef: Sequence[float | Fraction], intercept: float | Fraction) -> Fraction:
    """mean(e²) of e = y - Σ coefⱼ·xⱼ - intercept, exact; in the target's unit squared. Arguments as in `mean_error`.

    With z = [x..., y] and v = (-coef, 1) it is

        vᵀ·cov(z)·v + mean(e)²                                    where `cross` is centred,
        vᵀ·mean(z·zᵀ)·v - 2·intercept·mean(e) - intercept²        where it is not.
    """
    line = [*(-Fraction(c) for c in coef), Fraction(1)]
    square = dot(line, cross.covariances_with(line))
    error, b = mean_error(cross, coef, intercept), Fraction(intercept)
    loss = square + error**2 if cross.centred else square - 2 * b * error - b**2
    return max(loss, Fraction(0))  # float64 sums may round a loss of zero to less


def gradient_of_sums(
    cross: CrossProducts,
    coef: NDArray[np.float64],
    intercept: float,
    means: NDArray[np.float64],
    scales: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Σw·e·zⱼ, where e = y - intercept - Σ coefₖ·xₖ and zⱼ = (xⱼ - meanⱼ) / scaleⱼ; each rounded once.

    With x̄ⱼ and ē the means over these rows, it is Σw · (cov(e, xⱼ) + ē·(x̄ⱼ - meanⱼ)) / scaleⱼ, and cov(e, xⱼ) =
    cov(y, xⱼ) - Σ coefₖ·cov(xₖ, xⱼ). A scan of the rows finds the same but for the rounding of predictions.

    Args:
        cross: Covariances of [features..., target] over the rows, centred.
        coef: The coefficients, shape (p,), in original units.
        intercept: The intercept, in the target's unit.
        means: The means of the fit's standardization, shape (p,).
        scales: The scales of the fit's standardization, shape (p,).

    Returns:
        Shape (p,), in the target's unit times the weights'.
    """
    covariances = cross.covariances_with([*(-Fraction(c) for c in coef.tolist()), Fraction(1)])
    error, total = mean_error(cross, coef.tolist(), intercept), Fraction(cross.total_weight)
    return np.array(
        [
            float(total * (covariance + error * (average - Fraction(mean))) / Fraction(scale))
            for covariance, average, mean, scale in zip(
                covariances, cross.means(), means.tolist(), scales.tolist(), strict=False
            )
        ]
    )
