"""Exact sums by level, gathered from the digits that the sums over all rows are made of."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.cells import Rows, Stretches, stretches_of
from gdpipe.numerics.sums.digits import DIGIT_BITS, DIGITS, DigitSums, compose
from gdpipe.numerics.sums.level_index import LevelCodes, LevelIndex
from gdpipe.numerics.sums.levels import Key, LevelSums

LOW_BITS = 2 * DIGIT_BITS
# float64 holds the sum of so many numbers of magnitudes up to 2^41 + 2^20
ROWS_BEFORE_CARRY = 4095


class LevelAccumulators:
    """Gathers the `LevelSums` of rows that arrive block by block, by several keys. One thread's; not to be shared.

    `MomentsAccumulator.add` feeds it, as both need the same digits.

    Args:
        orders: The keys, and the order of the sums of each.
        exponents: The grid, shape (k,), as that of `MomentsAccumulator`.
        weight_exponent: The weights' grid, or None where rows are unweighted.
        cells: The number of cells, 0 to cells - 1, that rows may belong to.
    """

    def __init__(
        self,
        orders: Mapping[Key, int],
        exponents: NDArray[np.int64],
        weight_exponent: int | None = None,
        cells: int = 1,
    ) -> None:
        self._exponents = exponents
        self._weight_exponent = weight_exponent
        self._orders = dict(orders)
        self._index = LevelIndex(orders)
        # memory for a block: new memory for each takes longer than what is done in it
        self._pairs = np.empty(0, np.complex128)
        k, weighted = len(exponents), weight_exponent is not None
        self._products = {
            key: [_Products(k, weighted=weighted) for _ in range(cells)] for key, order in orders.items() if order == 2
        }
        self._sums = {
            key: [_Sums(k * order, weighted=weighted) for _ in range(cells)]
            for key, order in orders.items()
            if order < 2
        }

    def rows(self, categories: Sequence[LevelCodes]) -> "LevelRows":
        """The levels of some rows, for `MomentsAccumulator.add`, by the categories that keys refer to."""
        return LevelRows(self, self._index.codes(categories))

    def add(
        self,
        codes: Mapping[Key, NDArray[np.intp]],
        stretches: Stretches,
        lines: NDArray[np.float64],
        weighted: NDArray[np.float64] | None,
    ) -> None:
        """Add a block of rows: their levels by key, shape (m,), their cells, and digits, as for `DigitSums.add`.

        The digits are used up.
        """
        for key, products in self._products.items():
            for cell, rows in stretches:
                some = None if weighted is None else weighted[:, rows]
                products[cell].add(codes[key][rows], lines[:, rows], some)
        values = self._values(lines, weighted)
        # a cell after the other: the sums of one are few enough to stay in cache, which those of all cells may not be
        for key, sums in self._sums.items():
            size = self._index.size(key)
            for cell, rows in stretches:
                sums[cell].add(codes[key][rows], size, values[:, rows])

    def _values(self, lines: NDArray[np.float64], weighted: NDArray[np.float64] | None) -> NDArray[np.complex128]:
        """The values of a block as `_Sums` adds them, until the next block; the digits are used up.

        Shape (k, m); with weights (2·k + 1, m), the lower and the upper three digits of w·z, and w.
        """
        k, m = len(self._exponents), lines.shape[1]
        n = k if weighted is None else 2 * k + 1
        if self._pairs.size < n * m:
            self._pairs = np.empty(n * m, np.complex128)
        values = self._pairs[: n * m].reshape(n, m)
        if weighted is None:
            _in_pairs(lines[:-1].reshape(DIGITS, k, m), values)
        else:
            _in_pairs(weighted[:-DIGITS].reshape(2, DIGITS, k, m).swapaxes(0, 1), values[:-1].reshape(2, k, m))
            _in_pairs(weighted[-DIGITS:, None], values[-1:])
        return values

    def sums(self, cell: int = 0) -> dict[Key, LevelSums]:
        """The sums of a cell so far."""
        return {key: self._sums_of(key, cell) for key in self._orders}

    def _sums_of(self, key: Key, cell: int) -> LevelSums:
        total = (self._products.get(key) or self._sums[key])[cell]
        labels, order = self._index.in_order(key)
        there = np.isin(order, total.levels())
        n_samples, weight, sums, products = total.sums(order[there].tolist())
        return LevelSums(
            tuple(itertools.compress(labels, there.tolist())),
            n_samples,
            weight,
            sums,
            products,
            self._exponents,
            self._weight_exponent or 0,
        )


class LevelRows:
    """The levels of some rows, by key, on their way to their sums."""

    def __init__(self, into: LevelAccumulators, codes: Mapping[Key, NDArray[np.intp]]) -> None:
        self._into = into
        self._codes = codes

    def add(
        self, rows: Rows, stretches: Stretches, lines: NDArray[np.float64], weighted: NDArray[np.float64] | None
    ) -> None:
        """Add some of the rows: the stretches of their cells, and their digits, which are used up."""
        self._into.add({key: codes[rows] for key, codes in self._codes.items()}, stretches, lines, weighted)


_Arrays = tuple[NDArray[np.int64], NDArray[np.object_], NDArray[np.object_], NDArray[np.object_]]


class _Sums:
    """Counts, and sums of k columns, and of weights, by level.

    A value of three digits is added as a complex number, low + mid·2^21 and high, as both parts then take the time of
    one. The first has 42 bits, of which float64 holds the sum of 4,095: a level with more rows is carried. A high digit
    is at most 2^20, and float64 holds the sum of 2^32 of them and of their carries, more than any shard has.
    """

    def __init__(self, k: int, *, weighted: bool) -> None:
        self._k = k
        self._weighted = weighted
        # the rows of each level since it was carried last, where what was left then counts as a row; and all others
        self._rows, self._rows_before = np.zeros((2, 0), np.int64)
        self._sums = np.zeros(((2 * k + 1) if weighted else k, 0), np.complex128)

    def add(self, codes: NDArray[np.intp], size: int, values: NDArray[np.complex128]) -> None:
        """Add rows: the level of each, of so many, and the digits of w·z and w, as `_in_pairs` has them."""
        if size > len(self._rows):
            more = max(size, 2 * len(self._rows)) - len(self._rows)
            self._rows, self._rows_before = (np.pad(rows, (0, more)) for rows in (self._rows, self._rows_before))
            self._sums = np.pad(self._sums, ((0, 0), (0, more)))
        np.add.at(self._rows, codes, 1)
        if not len(self._sums):
            return
        full = self._rows[codes] > ROWS_BEFORE_CARRY
        if full.any():
            self._carry(*np.unique(codes[full], return_counts=True))
        # without sums of columns, those of the weights are left
        for total, line in zip(self._sums, values[-len(self._sums) :], strict=True):
            np.add.at(total, codes, line)

    def _carry(self, levels: NDArray[np.intp], rows: NDArray[np.intp]) -> None:
        """Carry in the sums of some levels, of which so many rows are yet to be added."""
        sums = self._sums[:, levels]
        self._sums[:, levels] = sums + np.rint(sums.real * 2.0**-LOW_BITS) * complex(-(2.0**LOW_BITS), 1)
        self._rows_before[levels] += self._rows[levels] - rows - 1
        self._rows[levels] = rows + 1

    def levels(self) -> list[int]:
        found: list[int] = np.flatnonzero(self._rows).tolist()
        return found

    def sums(self, levels: list[int]) -> _Arrays:
        n_samples, values = (self._rows + self._rows_before)[levels], self._sums[:, levels]
        lines = compose(np.array([values.real, values.imag], np.int64), LOW_BITS)
        weight = lines[-1] if self._weighted else n_samples.astype(object)
        of_z = lines[:-1].reshape(2, self._k, len(levels)) if self._weighted else lines[None]
        return n_samples, weight, compose(of_z, DIGITS * DIGIT_BITS).T, np.empty((len(levels), 0, 0), object)


def _in_pairs(digits: NDArray[np.float64], out: NDArray[np.complex128]) -> None:
    """Write values as low + mid·2^21 and high, from their digits, shape (3, *out.shape), which are used up."""
    low, mid, high = digits
    mid *= 2.0**DIGIT_BITS  # in place, as other memory takes longer than what is done in it
    np.add(low, mid, out=out.real)
    out.imag = high


class _Products:
    """Sums of products of k columns, by level."""

    def __init__(self, k: int, *, weighted: bool) -> None:
        self._k = k
        self._weighted = weighted
        self._totals: dict[int, DigitSums] = {}

    def add(self, codes: NDArray[np.intp], lines: NDArray[np.float64], weighted: NDArray[np.float64] | None) -> None:
        order = np.argsort(codes, kind="stable")
        lines, weighted = lines[:, order], None if weighted is None else weighted[:, order]
        for level, rows in stretches_of(codes[order]):
            if level not in self._totals:
                self._totals[level] = DigitSums(self._k, weighted=self._weighted, lowest_digit=0)
            self._totals[level].add(lines[:, rows], None if weighted is None else weighted[:, rows])

    def levels(self) -> list[int]:
        return list(self._totals)

    def sums(self, levels: list[int]) -> _Arrays:
        k, totals = self._k, [self._totals[level] for level in levels]
        sums, products = np.empty((len(levels), k), object), np.empty((len(levels), k, k), object)
        for at, total in enumerate(totals):
            sums[at], products[at] = total.totals()
        n_samples = np.array([total.n_samples for total in totals], np.int64)
        return n_samples, np.array([total.weight for total in totals], object), sums, products
