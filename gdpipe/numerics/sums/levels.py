"""Exact sums by level of a category, or by combination of levels of several: one-hot products without one-hot columns.

With z the numbers and the target, and c a category, the sums n, Σw and Σw·z of each level of c are those of one-hot
columns with each other and with z. For two categories the counts of each pair of levels are. The cost of a row does not
depend on the number of levels. Levels are found while rows are read, and + takes their union.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

# the categories, by index, whose levels are combined; () is that of all rows
Key = tuple[int, ...]
# the label of a level, one for each category of a key
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TermBlock:
    """The terms of one feature: 1, or a number, in the rows of one level each, and 0 in all others.

    Attributes:
        number: Index of the number among the columns of dense sums; None stands for 1.
        key: The categories.
        labels: The levels with a term, in order; that of no category is ((),).
    """

    number: int | None
    key: Key
    labels: tuple[Labels, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LevelSums:
    """Exact sums of the rows of each level, for k columns z as in `Moments`; a group under + and -.

    Order 0 has counts and weights alone, order 1 the sums as well, order 2 the products, too.

    Attributes:
        labels: The levels with rows, sorted, L of them.
        n_samples: Rows counted, shape (L,), int64.
        weight: Σw in units of 2^weight_exponent, shape (L,), Python integers.
        sums: Σw·zᵢ, shape (L, k), Python integers, in units as in `Moments`; (L, 0) at order 0.
        products: Σw·zᵢ·zⱼ, shape (L, k, k), Python integers, in units as in `Moments`; (L, 0, 0) below order 2.
        exponents: Shape (k,), int64; the step of column i's grid is 2^exponentᵢ.
        weight_exponent: The step of the weights' grid; 0 where rows are unweighted.
    """

    labels: tuple[Labels, ...]
    n_samples: NDArray[np.int64]
    weight: NDArray[np.object_]
    sums: NDArray[np.object_]
    products: NDArray[np.object_]
    exponents: NDArray[np.int64]
    weight_exponent: int = 0

    @classmethod
    def zero(cls, order: int, exponents: NDArray[np.int64], weight_exponent: int = 0) -> "LevelSums":
        """The sums of no rows at all."""
        in_sums, in_products = len(exponents) * (order > 0), len(exponents) * (order > 1)
        return cls(
            (),
            np.zeros(0, np.int64),
            np.empty(0, object),
            np.empty((0, in_sums), object),
            np.empty((0, in_products, in_products), object),
            exponents,
            weight_exponent,
        )

    @property
    def order(self) -> int:
        """How many columns are multiplied at most: 0, 1 or 2."""
        return bool(self.sums.shape[1]) + bool(self.products.shape[1])

    @classmethod
    def total(cls, parts: Sequence["LevelSums"]) -> "LevelSums":
        """The sums of the rows of one or more parts; the union of many label sets is made once."""
        exponents = np.minimum.reduce([part.exponents for part in parts])
        weight_exponent = min(part.weight_exponent for part in parts)
        first, *others = on_grid = [part.on_grid(exponents, weight_exponent) for part in parts]
        if any(part.labels != first.labels for part in others):
            return _summed(tuple(sorted(set[Labels]().union(*(part.labels for part in parts)))), on_grid)
        return replace(
            first,
            n_samples=sum((part.n_samples for part in others), start=first.n_samples),
            weight=sum((part.weight for part in others), start=first.weight),
            sums=sum((part.sums for part in others), start=first.sums),
            products=sum((part.products for part in others), start=first.products),
        )._with_rows()

    def __add__(self, other: "LevelSums") -> "LevelSums":
        return LevelSums.total([self, other])

    def __neg__(self) -> "LevelSums":
        return replace(self, n_samples=-self.n_samples, weight=-self.weight, sums=-self.sums, products=-self.products)

    def __sub__(self, other: "LevelSums") -> "LevelSums":
        return self + -other

    def __eq__(self, other: object) -> bool:
        """Whether both are the same numbers, on whatever grids they are written."""
        if not isinstance(other, LevelSums) or (self.order, len(self.exponents)) != (other.order, len(other.exponents)):
            return NotImplemented
        return not (self - other).labels

    __hash__ = None  # type: ignore[assignment]  # equal numbers may stand on different grids

    def on_grid(self, exponents: NDArray[np.int64], weight_exponent: int) -> "LevelSums":
        """The same numbers in units of a finer (or the same) grid."""
        by_weight = self.weight_exponent - weight_exponent
        if not by_weight and (exponents == self.exponents).all():
            return self
        shift = (self.exponents - exponents).astype(object)
        of_sums, of_products = shift[: self.sums.shape[1]], shift[: self.products.shape[1]]
        return LevelSums(
            self.labels,
            self.n_samples,
            self.weight << by_weight,
            self.sums << (of_sums + by_weight),
            self.products << (of_products[:, None] + of_products[None, :] + by_weight),
            exponents,
            weight_exponent,
        )

    def merged(self, into: Callable[[Labels], Labels]) -> "LevelSums":
        """The same rows by other levels, each of which has the rows of one or more of these.

        Args:
            into: The new level of each level.
        """
        return _summed(tuple(sorted({into(label) for label in self.labels})), [self], into)

    def _with_rows(self) -> "LevelSums":
        """The same sums without levels of no row."""
        there = self.n_samples != 0
        for level in np.flatnonzero(~there).tolist():
            there[level] = bool(self.weight[level] or self.sums[level].any() or self.products[level].any())
        if there.all():
            return self
        arrays = (self.n_samples, self.weight, self.sums, self.products)
        n_samples, weight, sums, products = (array[there] for array in arrays)
        labels = tuple(label for label, is_there in zip(self.labels, there.tolist(), strict=True) if is_there)
        return LevelSums(labels, n_samples, weight, sums, products, self.exponents, self.weight_exponent)


def _summed(
    labels: tuple[Labels, ...], parts: Sequence[LevelSums], into: Callable[[Labels], Labels] | None = None
) -> LevelSums:
    """The sums of parts on one grid, by the level that each of their levels goes into; without levels of no row."""
    first, place = parts[0], {label: at for at, label in enumerate(labels)}
    shapes = [(len(labels), *array.shape[1:]) for array in (first.weight, first.sums, first.products)]
    n_samples, totals = np.zeros(len(labels), np.int64), [np.full(shape, 0, object) for shape in shapes]
    for part in parts:
        of_part = part.labels if into is None else map(into, part.labels)
        at = np.fromiter(map(place.__getitem__, of_part), np.intp, len(part.labels))
        np.add.at(n_samples, at, part.n_samples)
        for total, values in zip(totals, (part.weight, part.sums, part.products), strict=True):
            if into is None or len(set(at.tolist())) == len(at):
                total[at] += values
            else:
                np.add.at(total, at, values)
    weight, sums, products = totals
    return LevelSums(labels, n_samples, weight, sums, products, first.exponents, first.weight_exponent)._with_rows()
