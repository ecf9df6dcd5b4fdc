"""A linear combination with fixed weights for every term, to check those that the fit gives no weight."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import Scaling
from gdpipe.numerics.rows.linear import LineSize, count_numbers, number_blocks
from gdpipe.numerics.sums.levels import TermBlock
from gdpipe.numerics.sums.moments import grid_exponents


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """The line y - intercept - Σ coefⱼ·xⱼ = target_scale · (1 + Σ aⱼ·zⱼ), where z are all terms, standardized.

    The aⱼ are fixed numbers from 1 to 2, all different, and 1 for the target. So every sum of a term and of a product
    of two terms has a factor other than zero in the mean square of the line. Where one of them differs between rows
    and sums, the mean square differs too, whatever the coefficients of the fit. (Freivalds (1977), "Probabilistic
    machines can use less running time", IFIP Congress 77:839-842, checks products of matrices in this way.)

    Attributes:
        coef: Shape (p,), target units per unit of the term.
        intercept: The intercept, in target units.
        unit: The unit in which the line is summed, in target units: a power of two.
        exponents: The grid of those sums, shape (1,).
    """

    coef: NDArray[np.float64]
    intercept: float
    unit: float
    exponents: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        scaling: Scaling,
        constant: Sequence[int],
        largest: NDArray[np.float64],
        unit: float,
        blocks: Sequence[TermBlock] | None = None,
    ) -> "Probe":
        """The line for the terms of a fit.

        Args:
            scaling: The scaling of terms and target.
            constant: Indices of constant terms.
            largest: Largest magnitude of each number of the design and of the target, shape (k + 1,) at least.
            unit: The unit in which the line is summed, in target units: a power of two.
            blocks: The terms of each feature; None where each term is a number.
        """
        p = len(scaling.scales)
        blocks = number_blocks(p) if blocks is None else blocks
        means = np.array([float(m) for m in scaling.means])
        # the scale of a constant is 1, however large the constant is
        scales = scaling.scales.copy()
        of_terms = [block.number for block in blocks for _ in block.labels]
        sizes = np.array([1.0 if number is None else largest[number] for number in of_terms])
        scales[list(constant)] = np.maximum(sizes[list(constant)], 1.0)
        factors = 1 + np.modf(np.arange(1, p + 1) * (np.sqrt(5) - 1) / 2)[0]
        coef = -factors * (scaling.target_scale / scales)
        intercept = float(scaling.target_mean) - float(coef @ means) - scaling.target_scale
        reach = LineSize.of(coef, intercept, blocks, largest).reach + float(largest[count_numbers(blocks)])
        return cls(coef, intercept, unit, grid_exponents(np.array([2 * reach / unit]), every=1))

    def values(self, prediction: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
        """The line at each row in units of `unit`, shape (m,), from the prediction by its coefficients."""
        return (target - prediction) / self.unit
