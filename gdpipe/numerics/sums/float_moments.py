"""Sums in float64, for data too wide for integers of unlimited length.

Centred block by block and merged pairwise: Chan, Golub & LeVeque (1983), "Algorithms for computing the sample
variance", Am. Stat. 37:242-247. Stable, but rounded: the last digits depend on how the rows were cut.
"""

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns
from gdpipe.numerics.sums.cells import Cells, Weights, blocks_by_cell

# rows of one product: enough for BLAS to be at its best, few enough for their copy to be small beside the sums
BLOCK_ROWS = 1024
# lines of the sums that are worked on at once: the triangle is cut into strips of them
STRIP = 256

# powers of ten between which a weight times a square must lie, for sums over 10^15 rows and differences of 1e-14
LEAST_POWER, MOST_POWER = -270, 290


@dataclass(frozen=True, slots=True, eq=False)
class Float64Moments:
    """Weighted means and centred sums of products of z = [features..., target].

    Attributes:
        n_samples: Rows counted (those of weight 0 are not).
        weight: Σw.
        means: Shape (k,).
        comoments: Σw·(zᵢ - meanᵢ)(zⱼ - meanⱼ), shape (k, k).
    """

    n_samples: int
    weight: float
    means: NDArray[np.float64]
    comoments: NDArray[np.float64]

    def __add__(self, other: "Float64Moments") -> "Float64Moments":
        if not self.weight or not other.weight:
            return self if self.weight else other
        weight = self.weight + other.weight
        step = other.means - self.means
        comoments = np.multiply.outer(step, step)
        comoments *= self.weight * other.weight / weight
        comoments += self.comoments
        comoments += other.comoments
        return Float64Moments(
            self.n_samples + other.n_samples, weight, self.means + step * (other.weight / weight), comoments
        )

    def select(self, columns: Sequence[int]) -> "Float64Moments":
        """The sums over some of the columns, in this order."""
        return replace(self, means=self.means[list(columns)], comoments=self.comoments[np.ix_(columns, columns)])


class _Total:
    """The numbers of `Float64Moments` for one cell, with the lower triangle of the sums of products alone."""

    def __init__(self, k: int) -> None:
        self.n_samples = 0
        self.weight = 0.0
        self.means = np.zeros(k)
        self.comoments = np.zeros((k, k))
        self.handed_out = False


class Float64Accumulator:
    """Gathers the `Float64Moments` of rows that arrive block by block, by cell. One thread's; not to be shared.

    One triangle of a k × k array is added to in place, strip by strip, by the one product of a block with itself.

    Args:
        k: How many columns a row has.
    """

    def __init__(self, k: int) -> None:
        self._totals: defaultdict[int, _Total] = defaultdict(functools.partial(_Total, k))
        self._block = np.empty((k, BLOCK_ROWS + 1))
        self._strip = np.empty(min(STRIP, k) * k)

    def add(self, columns: FloatColumns, weights: Weights = None, cells: Cells = 0) -> None:
        """Add rows: k columns of shape (m,), with weights of shape (m,), finite and > 0, to the cell(s) given."""
        for block, of_block, stretches, _ in blocks_by_cell(columns, weights, cells, BLOCK_ROWS):
            for cell, rows in stretches:
                total = self._totals[cell]
                if total.handed_out:
                    total.comoments, total.handed_out = total.comoments.copy(), False
                self._add(total, np.asarray(block)[:, rows], None if of_block is None else of_block[rows])

    def _add(self, into: _Total, rows: NDArray[np.float64], weights: Weights) -> None:
        m = rows.shape[1]
        weight = float(m) if weights is None else float(weights.sum())
        means = rows.mean(axis=1) if weights is None else (rows @ weights) / weight
        total = into.weight + weight
        step = means - into.means
        centred = self._block[:, : m + 1]
        np.subtract(rows, means[:, None], out=centred[:, :m])
        if weights is not None:
            centred[:, :m] *= np.sqrt(weights)
        # the merge of two centred sums adds step·stepᵀ times a number: one more column of the same product
        np.multiply(step, np.sqrt(into.weight * weight / total), out=centred[:, m])
        for start in range(0, len(centred), STRIP):
            strip = centred[start : start + STRIP]
            stop = start + len(strip)
            product = self._strip[: len(strip) * stop].reshape(len(strip), stop)
            np.dot(strip, centred[:stop].T, out=product)
            into.comoments[start:stop, :stop] += product
        into.means += step * (weight / total)
        into.n_samples += m
        into.weight = total

    @property
    def cells(self) -> tuple[int, ...]:
        """The cells so far."""
        return tuple(self._totals)

    def moments(self, cell: int = 0) -> Float64Moments:
        """The sums of a cell so far."""
        total = self._totals[cell]
        mirror(total.comoments)
        total.handed_out = True
        return Float64Moments(total.n_samples, total.weight, total.means.copy(), total.comoments)


def mirror(matrix: NDArray[np.float64]) -> None:
    """Copy the lower triangle to the upper one, in place."""
    for start in range(0, len(matrix), STRIP):
        stop = start + STRIP
        corner = matrix[start:stop, start:stop]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
        matrix[start:stop, stop:] = matrix[stop:, start:stop].T


def why_beyond_float64(names: Sequence[str], largest: NDArray[np.float64], weight: float) -> str | None:
    """Why float64 does not hold the squares of a column times a weight, which overflow or underflow; None if it does.

    A spread of 1e-14 of the column's size is the least that is not taken for a constant: its square must not underflow.

    Args:
        names: The columns' names.
        largest: Largest magnitude of each column, shape (k,).
        weight: The largest weight; 0 where rows are unweighted.
    """
    if not weight:
        return None
    with np.errstate(divide="ignore"):
        powers = np.log10(weight) + 2 * np.log10(largest)
    for j in np.flatnonzero((largest > 0) & ((powers < LEAST_POWER) | (powers > MOST_POWER))).tolist():
        return (
            f"column {names[j]!r} reaches {largest[j]:g} with weights up to {weight:g}; float64 does not hold the "
            "products: divide all weights by one number, or set arithmetic to exact"
        )
    return None
