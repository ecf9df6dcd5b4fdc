"""Exact sums by level, gathered from the digits that the sums over all rows are made of."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.cells import Rows, Stretches, stretches_of
from gdpipe.numerics.sums.digits import (
    DIGIT_BITS,
    DIGITS,
    ROWS_BEFORE_FOLD,
    DigitSums,
    compose,
    integers_of,
    used_lines,
)
from gdpipe.numerics.sums.level_index import LevelCodes, LevelIndex
from gdpipe.numerics.sums.levels import Key, LevelSums

# two digits are summed as one number of at most 2^41 + 2^20: int64 holds those of so many rows, and a carry from below
JOINED = 2
assert ROWS_BEFORE_FOLD * (2**41 + 2**20 + 1) < 2**63


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
        self._block = np.empty(0)  # memory for a block: new memory for each takes longer than what is done in it
        k, weighted = len(exponents), weight_exponent is not None
        self._totals = {
            key: [
                _Products(k, weighted=weighted) if order == 2 else _Sums(k * order, weighted=weighted)
                for _ in range(cells)
            ]
            for key, order in orders.items()
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
        """Add a block of rows: their levels by key, shape (m,), their cells, and digits, as for `DigitSums.add`."""
        integers = self._integers(lines, weighted)
        used = used_lines(integers).tolist()
        # a cell after the other: the sums of one are few enough to stay in cache, which those of all cells may not be
        for key, of_rows in codes.items():
            size = self._index.size(key)
            for cell, rows in stretches:
                total = self._totals[key][cell]
                if isinstance(total, _Products):
                    total.add(of_rows[rows], lines[:, rows], None if weighted is None else weighted[:, rows])
                else:
                    total.add(of_rows[rows], size, integers[:, rows], used)

    def _integers(self, lines: NDArray[np.float64], weighted: NDArray[np.float64] | None) -> NDArray[np.int64]:
        """The digits of the weights, then those of w·z in pairs, low + high·2^21, so that fewer are summed.

        Shape (2·k, m), or (3 + 3·k, m) with weights, until the next block; without those of w·z where no key has sums.
        """
        m = lines.shape[1]
        of_weights, digits = (lines[:0], lines[:-1]) if weighted is None else (weighted[-DIGITS:], weighted[:-DIGITS])
        values = digits.reshape(DIGITS if weighted is None else 2 * DIGITS, -1, m)
        if 1 not in self._orders.values():
            values = values[:, :0]
        pairs, k = len(values) // JOINED, values.shape[1]
        size = (len(of_weights) + (len(values) - pairs) * k) * m
        if self._block.size < size:
            self._block = np.empty(size)
        block = self._block[:size].reshape(-1, m)
        block[: len(of_weights)] = of_weights
        joined = block[len(of_weights) :].reshape(len(values) - pairs, k, m)
        np.multiply(values[1::JOINED], 2.0**DIGIT_BITS, out=joined[:pairs])
        joined[:pairs] += values[: 2 * pairs : JOINED]
        joined[pairs:] = values[2 * pairs :]
        return integers_of(block)

    def sums(self, cell: int = 0) -> dict[Key, LevelSums]:
        """The sums of a cell so far."""
        return {key: self._sums_of(key, cell) for key in self._orders}

    def _sums_of(self, key: Key, cell: int) -> LevelSums:
        labels, total = self._index.labels(key), self._totals[key][cell]
        levels = sorted(total.levels(), key=labels.__getitem__)
        n_samples, weight, sums, products = total.sums(levels)
        return LevelSums(
            tuple(labels[level] for level in levels),
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
        """Add some of the rows: the stretches of their cells, and their digits, as for `DigitSums.add`."""
        self._into.add({key: codes[rows] for key, codes in self._codes.items()}, stretches, lines, weighted)


_Arrays = tuple[NDArray[np.int64], NDArray[np.object_], NDArray[np.object_], NDArray[np.object_]]


class _Sums:
    """Counts, weights, and sums of k columns, in int64: a line for each digit of weights, and each pair of digits of z.

    Sums of pairs would overflow after 2^21 rows: in time they are carried to the next pair, and from the last to one
    more line, which has room for 2^41 rows.
    """

    def __init__(self, k: int, *, weighted: bool) -> None:
        self._k = k
        self._of_weights = DIGITS if weighted else 0
        self._pairs = DIGITS if weighted else JOINED
        self._n_samples = np.zeros(0, np.int64)
        self._lines = self._of_weights + self._pairs * k
        self._sums = np.zeros((self._lines + k, 0), np.int64)
        self._gathered = 0

    def add(self, codes: NDArray[np.intp], size: int, integers: NDArray[np.int64], used: list[int]) -> None:
        """Add rows: the level of each, of so many, and its integers, of which some lines are used: others are zero."""
        if size > len(self._n_samples):
            more = max(size, 2 * len(self._n_samples)) - len(self._n_samples)
            self._n_samples = np.pad(self._n_samples, (0, more))
            self._sums = np.pad(self._sums, ((0, 0), (0, more)))
        if self._gathered + len(codes) > ROWS_BEFORE_FOLD:
            self._carry()
        self._gathered += len(codes)
        np.add.at(self._n_samples, codes, 1)
        for line in used:
            if line < self._lines:
                np.add.at(self._sums[line], codes, integers[line])

    def _carry(self) -> None:
        pairs = self._by_place(self._sums)
        for pair in range(self._pairs):
            carried = pairs[pair] >> JOINED * DIGIT_BITS
            pairs[pair] -= carried << JOINED * DIGIT_BITS
            pairs[pair + 1] += carried
        self._gathered = 0

    def _by_place(self, lines: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sums of z by pair of digits, shape (pairs + 1, k, levels): a view."""
        return lines[self._of_weights :].reshape(self._pairs + 1, self._k, lines.shape[1])

    def levels(self) -> list[int]:
        found: list[int] = np.flatnonzero(self._n_samples).tolist()
        return found

    def sums(self, levels: list[int]) -> _Arrays:
        n_samples, lines = self._n_samples[levels], self._sums[:, levels]
        weight = compose(lines[: self._of_weights]) if self._of_weights else n_samples.astype(object)
        sums = compose(self._by_place(lines), JOINED * DIGIT_BITS).T
        return n_samples, weight, sums, np.empty((len(levels), 0, 0), object)


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
