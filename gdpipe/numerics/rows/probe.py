"""A line that no fit has chosen, to see what the fitted one cannot: columns that it gives no weight."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns
from gdpipe.numerics.problem.scaling import Scaling
from gdpipe.numerics.rows import linear
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """The line y - intercept - Σ coefⱼ·xⱼ = target_scale · (1 + Σ aⱼ·zⱼ), z standardized columns, target included.

    The aⱼ are fixed numbers from 1 to 2, no two alike, and 1 for the target. So the mean square of the line holds every
    sum and every product of two columns with a factor other than zero: rows that differ from their sums in one of them
    differ in it too, whatever the coefficients of the fit. (Freivalds (1977), "Probabilistic machines can use less
    running time", IFIP Congress 77:839-842, checks products of matrices so.)

    Attributes:
        coef: Shape (p,), target units per feature unit.
        intercept: In target units.
        unit: In which the line is summed, in target units: a power of two.
        exponents: The grid of those sums, shape (1,).
        weight_exponent: That of the weights; None where rows are unweighted.
    """

    coef: NDArray[np.float64]
    intercept: float
    unit: float
    exponents: NDArray[np.int64]
    weight_exponent: int | None

    @classmethod
    def of(
        cls,
        scaling: Scaling,
        constant: Sequence[int],
        largest: NDArray[np.float64],
        unit: float,
        weight_exponent: int | None,
    ) -> "Probe":
        """For columns of these scales, shape (p,), some constant, and largest magnitudes, shape (p + 1,) at least."""
        p = len(scaling.scales)
        means = np.array([float(m) for m in scaling.means])
        # a constant has a scale of 1, whatever its size
        scales = scaling.scales.copy()
        scales[list(constant)] = np.maximum(largest[list(constant)], 1.0)
        factors = 1 + np.modf(np.arange(1, p + 1) * (np.sqrt(5) - 1) / 2)[0]
        coef = -factors * (scaling.target_scale / scales)
        intercept = float(scaling.target_mean) - float(coef @ means) - scaling.target_scale
        reach = abs(intercept) + float(np.abs(coef) @ largest[:p]) + float(largest[p])
        return cls(coef, intercept, unit, grid_exponents(np.array([2 * reach / unit]), every=1), weight_exponent)

    def values(self, features: FloatColumns, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """The line at each row in units of `unit`, shape (m,): the same bits however the rows are cut."""
        return (target - linear.predict(features, self.coef, self.intercept)) / self.unit

    def accumulator(self) -> MomentsAccumulator:
        """A new one for `values`."""
        return MomentsAccumulator(self.exponents, self.weight_exponent)
