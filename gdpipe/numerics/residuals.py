"""What the predict scan learns of the residuals, summed exactly as the moments are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.moments import Moments, MomentsAccumulator, grid_exponents

# columns gathered beside residual · z: the residual, its magnitude, its square
EXTRA = 3


@dataclass(frozen=True, slots=True, eq=False)
class ResidualSums:
    """Exact sums over the rows of one stretch of the input; joined in input order by +.

    Attributes:
        moments: Of [r·z₁, ..., r·zₚ, r, |r|, r²], z standardized features: their sums hold the row gradient, their
            products the robust covariance.
        steps: Of the differences rₜ - rₜ₋₁, unweighted, within the stretch.
        ends: The first and the last residual, shape (2,), or (0,) where there is no row.
    """

    moments: Moments
    steps: Moments
    ends: NDArray[np.float64]

    def __add__(self, other: "ResidualSums") -> "ResidualSums":
        steps = self.steps + other.steps
        if len(self.ends) and len(other.ends):
            seam = MomentsAccumulator(self.steps.exponents)
            seam.add(np.array([[other.ends[0] - self.ends[-1]]]))
            steps = steps + seam.moments()
        ends = np.concatenate([self.ends, other.ends])
        return ResidualSums(self.moments + other.moments, steps, ends[[0, -1]] if len(ends) else ends)


@dataclass(frozen=True, slots=True)
class ResidualGrids:
    """The grids on which residuals are summed: from bounds known beforehand, so that every shard uses the same.

    Attributes:
        exponents: For the columns of `ResidualSums.moments`.
        step_exponents: For the differences.
        weight_exponent: For the weights; None where rows are unweighted.
        unit: A power of two near the target's scale: residuals are summed in this unit, so that no power of them
            overflows.
    """

    exponents: NDArray[np.int64]
    step_exponents: NDArray[np.int64]
    weight_exponent: int | None
    unit: float

    @classmethod
    def of(
        cls,
        largest_z: NDArray[np.float64],
        largest_residual: float,
        weight_exponent: int | None,
        target_scale: float = 1.0,
    ) -> "ResidualGrids":
        """From bounds of |z| per feature, shape (p,), and of |residual|."""
        unit = float(np.ldexp(1.0, np.frexp(target_scale)[1]))
        r = largest_residual / unit
        return cls(
            grid_exponents(np.array([*(r * largest_z), r, r, r * r])),
            grid_exponents(np.array([2 * r])),
            weight_exponent,
            unit,
        )

    def zero(self) -> "ResidualSums":
        """The sums of no rows."""
        return ResidualSums(
            Moments.zero(self.exponents, self.weight_exponent or 0), Moments.zero(self.step_exponents), np.empty(0)
        )


class ResidualAccumulator:
    """Gathers `ResidualSums` of consecutive rows. One thread's; not to be shared."""

    def __init__(self, grids: ResidualGrids) -> None:
        self._moments = MomentsAccumulator(grids.exponents, grids.weight_exponent)
        self._steps = MomentsAccumulator(grids.step_exponents)
        self._ends = np.empty(0)
        self._per_unit = 1.0 / grids.unit

    def add(self, z: NDArray[np.float64], residual: NDArray[np.float64], weights: NDArray[np.float64] | None) -> None:
        """Add rows: z of shape (p, m), residual and weights of shape (m,), all finite, weights > 0."""
        if not len(residual):
            return
        residual = residual * self._per_unit
        columns = np.empty((len(z) + EXTRA, len(residual)))
        np.multiply(z, residual, out=columns[:-EXTRA])
        columns[-3] = residual
        np.abs(residual, out=columns[-2])
        np.multiply(residual, residual, out=columns[-1])
        self._moments.add(columns, weights)
        self._steps.add(np.diff(residual, prepend=self._ends[-1:])[None, :])
        self._ends = np.concatenate([self._ends, residual])[[0, -1]]

    def sums(self) -> ResidualSums:
        """The sums so far."""
        return ResidualSums(self._moments.moments(), self._steps.moments(), self._ends)


@dataclass(frozen=True, slots=True, eq=False)
class ResidualStatistics:
    """Means over rows, each rounded once; e is a residual in units of `unit`, z a standardized feature.

    Attributes:
        gradient: mean(e·z), shape (p,).
        meat: mean(e²·z·zᵀ), shape (p, p).
        square_by_feature: mean(e²·z), shape (p,).
        absolute: mean(|e|).
        powers: mean(e), mean(e²), mean(e³), mean(e⁴).
        unit: In target units.
        durbin_watson: Σ(eₜ - eₜ₋₁)² / Σw·e², over rows in input order.
    """

    gradient: NDArray[np.float64]
    meat: NDArray[np.float64]
    square_by_feature: NDArray[np.float64]
    absolute: float
    powers: tuple[float, float, float, float]
    unit: float
    durbin_watson: float

    @classmethod
    def of(cls, sums: ResidualSums, grids: ResidualGrids) -> "ResidualStatistics":
        """From exact sums on these grids."""
        m = sums.moments
        units = np.ldexp(1.0, m.exponents)
        means = (m.sums / m.weight).astype(np.float64) * units
        products = (m.products / m.weight).astype(np.float64) * np.multiply.outer(units, units)
        residual, square = len(units) - 3, len(units) - 1
        squares = float(products[residual, residual])
        step = float(sums.steps.products[0, 0] / max(m.weight, 1)) * float(np.ldexp(1.0, sums.steps.exponents[0])) ** 2
        # Σ over rows: the steps count rows, the squares count weights
        rows = step / float(np.ldexp(1.0, m.weight_exponent)) if squares else float("nan")
        return cls(
            gradient=means[:-EXTRA],
            meat=products[:-EXTRA, :-EXTRA],
            square_by_feature=products[:-EXTRA, residual],
            absolute=float(means[-2]),
            powers=(
                float(means[residual]),
                squares,
                float(products[residual, square]),
                float(products[square, square]),
            ),
            unit=grids.unit,
            durbin_watson=rows / squares if squares else float("nan"),
        )
