"""Exact sums by level, gathered from the digits that the sums over all rows are made of."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.cells import Rows, Stretches, stretches_of
from gdpipe.numerics.sums.digits import BLOCK_ROWS, DIGIT_BITS, DIGITS, ROWS_BEFORE_FOLD, DigitSums, compose, used_lines
from gdpipe.numerics.sums.level_index import LevelCodes, LevelIndex
from gdpipe.numerics.sums.levels import Key, LevelSums

# two digits are summed as one number of at most 2^41 + 2^20 (with weights; else 2^41): those of a block's rows stay
# within 2^53, even where all of them have one level
JOINED = 2
assert BLOCK_ROWS * (2**41 + 2**20) <= 2**53
# with more levels for each row, most would be added to in vain
MOST_LEVELS_A_ROW = 2


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
        joined, used = None, []
        if 1 in self._orders.values():
            joined = _joined(lines, weighted)
            used = used_lines(joined).tolist()
        # a cell after the other: the sums of one are few enough to stay in cache, which those of all cells may not be
        for key, of_rows in codes.items():
            size = self._index.size(key)
            for cell, rows in stretches:
                total, of_weights = self._totals[key][cell], None if weighted is None else weighted[:, rows]
                if isinstance(total, _Products):
                    total.add(of_rows[rows], lines[:, rows], of_weights)
                    continue
                total.count(of_rows[rows], size, None if of_weights is None else of_weights[-DIGITS:])
                if joined is not None and self._orders[key]:
                    total.add(of_rows[rows], size, joined[:, rows], used)

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

    Sums of pairs would overflow after 2^22 rows: in time they are carried to the next pair, and from the last to one
    more line, which has room for 2^41 rows.
    """

    def __init__(self, k: int, *, weighted: bool) -> None:
        self._k = k
        self._n_samples = np.zeros(0, np.int64)
        self._weight = np.zeros((DIGITS if weighted else 0, 0), np.int64)
        self._sums = np.zeros((((DIGITS if weighted else JOINED) + 1) * k, 0), np.int64)
        self._gathered = 0

    def count(self, codes: NDArray[np.intp], size: int, weights: NDArray[np.float64] | None) -> None:
        if size > len(self._n_samples):
            more = max(size, 2 * len(self._n_samples)) - len(self._n_samples)
            self._n_samples = np.pad(self._n_samples, (0, more))
            self._weight, self._sums = (np.pad(array, ((0, 0), (0, more))) for array in (self._weight, self._sums))
        if size > MOST_LEVELS_A_ROW * len(codes):
            np.add.at(self._n_samples, codes, 1)
        else:
            self._n_samples[:size] += np.bincount(codes, minlength=size)
        for total, line in zip(self._weight, () if weights is None else weights, strict=True):
            _add_by_level(total, codes, line, size)

    def add(self, codes: NDArray[np.intp], size: int, joined: NDArray[np.float64], used: list[int]) -> None:
        if self._gathered + len(codes) > ROWS_BEFORE_FOLD:
            self._carry()
        self._gathered += len(codes)
        for at in used:
            _add_by_level(self._sums[at], codes, joined[at], size)

    def _carry(self) -> None:
        pairs = self._by_place(self._sums)
        for pair in range(len(pairs) - 1):
            carried = pairs[pair] >> JOINED * DIGIT_BITS
            pairs[pair] -= carried << JOINED * DIGIT_BITS
            pairs[pair + 1] += carried
        self._gathered = 0

    def _by_place(self, lines: NDArray[np.int64]) -> NDArray[np.int64]:
        places = len(lines) // self._k if self._k else 1
        return lines.reshape(places, self._k, lines.shape[1])

    def levels(self) -> list[int]:
        found: list[int] = np.flatnonzero(self._n_samples).tolist()
        return found

    def sums(self, levels: list[int]) -> _Arrays:
        n_samples = self._n_samples[levels]
        weight = compose(self._weight[:, levels]) if len(self._weight) else n_samples.astype(object)
        sums = compose(self._by_place(self._sums[:, levels]), JOINED * DIGIT_BITS).T
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


def _joined(lines: NDArray[np.float64], weighted: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The digits of w·z in pairs, low + high·2^21, so that fewer lines are summed; shape (2·k, m), or (3·k, m)."""
    values = lines[:-1].reshape(DIGITS, -1, lines.shape[1])
    if weighted is not None:
        values = weighted[:-DIGITS].reshape(2 * DIGITS, *values.shape[1:])
    pairs = len(values) // JOINED
    joined = np.empty((len(values) - pairs, *values.shape[1:]))
    np.multiply(values[1::JOINED], 2.0**DIGIT_BITS, out=joined[:pairs])
    joined[:pairs] += values[: 2 * pairs : JOINED]
    joined[pairs:] = values[2 * pairs :]
    return joined.reshape(-1, lines.shape[1])


def _add_by_level(total: NDArray[np.int64], codes: NDArray[np.intp], line: NDArray[np.float64], size: int) -> None:
    if size > MOST_LEVELS_A_ROW * len(codes):
        np.add.at(total, codes, line.astype(np.int64))
    else:
        total[:size] += np.bincount(codes, line, size).astype(np.int64)
