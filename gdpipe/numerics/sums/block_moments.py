"""Exact sums over terms of which one block shares no rows: that block's products are a diagonal, however many."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.moments import Moments


@dataclass(frozen=True, slots=True, eq=False)
class BlockMoments:
    """Exact sums of [terms..., target], where no row has two terms of one block; a group under + and -.

    There are k columns, m of them in the block. Units are those of `Moments`.

    Attributes:
        n_samples: Rows counted.
        weight: Σw.
        sums: Σw·zᵢ, shape (k,), Python integers.
        block: Places of the block among the columns, ascending, shape (m,).
        diagonal: Σw·zᵢ² of the block, shape (m,), Python integers.
        border: Σw·zᵢ·zⱼ of the block and the others, shape (m, k - m), Python integers.
        corner: Σw·zᵢ·zⱼ of the others, shape (k - m, k - m), Python integers.
        exponents: Shape (k,), int64; the step of column i's grid is 2^exponentᵢ.
        weight_exponent: The step of the weights' grid; 0 where rows are unweighted.
    """

    n_samples: int
    weight: int
    sums: NDArray[np.object_]
    block: NDArray[np.intp]
    diagonal: NDArray[np.object_]
    border: NDArray[np.object_]
    corner: NDArray[np.object_]
    exponents: NDArray[np.int64]
    weight_exponent: int = 0

    def __add__(self, other: "BlockMoments") -> "BlockMoments":
        exponents = np.minimum(self.exponents, other.exponents)
        weight_exponent = min(self.weight_exponent, other.weight_exponent)
        a, b = self.on_grid(exponents, weight_exponent), other.on_grid(exponents, weight_exponent)
        return replace(
            a,
            n_samples=a.n_samples + b.n_samples,
            weight=a.weight + b.weight,
            sums=a.sums + b.sums,
            diagonal=a.diagonal + b.diagonal,
            border=a.border + b.border,
            corner=a.corner + b.corner,
        )

    def __neg__(self) -> "BlockMoments":
        return replace(
            self,
            n_samples=-self.n_samples,
            weight=-self.weight,
            sums=-self.sums,
            diagonal=-self.diagonal,
            border=-self.border,
            corner=-self.corner,
        )

    def __sub__(self, other: "BlockMoments") -> "BlockMoments":
        return self + -other

    def __eq__(self, other: object) -> bool:
        """Whether both are the same numbers, on whatever grids they are written."""
        if not isinstance(other, BlockMoments) or not np.array_equal(self.block, other.block):
            return NotImplemented
        gap = self - other
        arrays = (gap.sums, gap.diagonal, gap.border, gap.corner)
        return not (gap.n_samples or gap.weight or any(array.any() for array in arrays))

    __hash__ = None  # type: ignore[assignment]  # equal numbers may stand on different grids

    @property
    def others(self) -> NDArray[np.intp]:
        """Places of the columns outside the block, ascending, the target's last; shape (k - m,)."""
        outside = np.ones(len(self.sums), np.bool_)
        outside[self.block] = False
        return np.flatnonzero(outside)

    def of_others(self) -> Moments:
        """The sums without the block."""
        others = self.others
        return Moments(
            self.n_samples, self.weight, self.sums[others], self.corner, self.exponents[others], self.weight_exponent
        )

    def select(self, columns: Sequence[int]) -> "BlockMoments":
        """The sums over some of the columns, in the order given; those outside the block may be given twice."""
        places = np.array(columns, np.intp)
        of_block = np.isin(places, self.block)
        in_block = np.searchsorted(self.block, places[of_block])
        in_others = np.searchsorted(self.others, places[~of_block])
        return replace(
            self,
            sums=self.sums[places],
            block=np.flatnonzero(of_block),
            diagonal=self.diagonal[in_block],
            border=self.border[np.ix_(in_block, in_others)],
            corner=self.corner[np.ix_(in_others, in_others)],
            exponents=self.exponents[places],
        )

    def on_grid(self, exponents: NDArray[np.int64], weight_exponent: int) -> "BlockMoments":
        """The same numbers in units of a finer (or the same) grid."""
        by_weight = self.weight_exponent - weight_exponent
        if not by_weight and (exponents == self.exponents).all():
            return self  # as for all folds of a run
        shift = (self.exponents - exponents).astype(object)
        in_block, outside = shift[self.block], shift[self.others]
        return replace(
            self,
            weight=self.weight << by_weight,
            sums=self.sums << (shift + by_weight),
            diagonal=self.diagonal << (2 * in_block + by_weight),
            border=self.border << (in_block[:, None] + outside[None, :] + by_weight),
            corner=self.corner << (outside[:, None] + outside[None, :] + by_weight),
            exponents=exponents,
            weight_exponent=weight_exponent,
        )
