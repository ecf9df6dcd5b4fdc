"""Exact sums by level, gathered from the digits that the sums over all rows are made of."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.cells import Rows, Stretches, stretches_of
from gdpipe.numerics.sums.digits import DIGITS, DigitSums, compose, used_lines
from gdpipe.numerics.sums.level_index import LevelCodes, LevelIndex
from gdpipe.numerics.sums.levels import Key, LevelSums


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
        digits = lines[:-1] if weighted is None else weighted
        used = used_lines(digits).tolist()
        # a cell after the other: the sums of one are few enough to stay in cache, which those of all cells may not be
        for key, of_rows in codes.items():
            size = self._index.size(key)
            for cell, rows in stretches:
                total = self._totals[key][cell]
                if isinstance(total, _Products):
                    total.add(of_rows[rows], lines[:, rows], None if weighted is None else weighted[:, rows])
                else:
                    total.add(of_rows[rows], size, digits[:, rows], used)

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
    """Counts, and sums of the digits of k columns, and of weights, by level.

    A digit is at most 2^20, so that float64 holds their sum over 2^33 rows, which no shard has.
    """

    def __init__(self, k: int, *, weighted: bool) -> None:
        self._of_z = 2 * DIGITS * k if weighted else DIGITS * k
        self._k = k
        self._n_samples = np.zeros(0, np.int64)
        self._sums = np.zeros((self._of_z + (DIGITS if weighted else 0), 0))

    def add(self, codes: NDArray[np.intp], size: int, digits: NDArray[np.float64], used: list[int]) -> None:
        """Add rows: the level of each, of so many, and the digits of w·z and w, of which some lines are not zero."""
        if size > len(self._n_samples):
            more = max(size, 2 * len(self._n_samples)) - len(self._n_samples)
            self._n_samples = np.pad(self._n_samples, (0, more))
            self._sums = np.pad(self._sums, ((0, 0), (0, more)))
        np.add.at(self._n_samples, codes, 1)
        # without sums of columns, those of the weights are left
        first = len(digits) - len(self._sums)
        for line in used:
            if line >= first:
                np.add.at(self._sums[line - first], codes, digits[line])

    def levels(self) -> list[int]:
        found: list[int] = np.flatnonzero(self._n_samples).tolist()
        return found

    def sums(self, levels: list[int]) -> _Arrays:
        n_samples, lines = self._n_samples[levels], self._sums[:, levels].astype(np.int64)
        weight = compose(lines[self._of_z :]) if len(lines) > self._of_z else n_samples.astype(object)
        places = self._of_z // self._k if self._k else 1
        sums = compose(lines[: self._of_z].reshape(places, self._k, len(levels))).T
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
