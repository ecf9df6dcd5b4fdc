"""Indices of levels, and of combinations of levels, in the order in which rows bring them."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.levels import Key, Labels

# a category in some rows: the labels of its levels, and the index of each row's, shape (m,)
LevelCodes = tuple[Sequence[str], NDArray[np.intp]]
# the most entries of a table of all pairs, 8 MB; where there are more pairs, those that occur are searched for
LARGEST_TABLE = 2**20


# sums by more levels would take more memory than a shard may
MOST_LEVELS = 2**16
MOST_COMBINATIONS = 2**20


class TooManyLevels(ArithmeticError):
    """Rows have too many levels for sums by them.

    Attributes:
        key: The category, or the categories whose levels are combined.
        most: The most there may be.
    """

    def __init__(self, key: Key, most: int) -> None:
        super().__init__(f"more than {most:,} levels of categories {key}")
        self.key, self.most = key, most

    def __reduce__(self) -> tuple[type["TooManyLevels"], tuple[Key, int]]:
        """Rebuild the error from its parts, as errors are sent between processes."""
        return type(self), (self.key, self.most)


class LevelIndex:
    """The index of each level of some keys met so far. One thread's; not to be shared.

    Args:
        keys: Those whose levels are wanted.
    """

    def __init__(self, keys: Collection[Key]) -> None:
        self._keys = tuple(keys)
        # a combination of three categories is a pair of one of two with one of the third
        prefixes = {key[:length] for key in keys for length in range(1, len(key) + 1)}
        self._categories = {c: _Labels() for key in keys for c in key}
        self._pairs = {key: _Pairs() for key in sorted(prefixes, key=len) if len(key) > 1}
        self._in_order: dict[Key, tuple[list[Labels], NDArray[np.intp]]] = {}

    def codes(self, categories: Sequence[LevelCodes]) -> dict[Key, NDArray[np.intp]]:
        """The index of each row's level, shape (m,), by key.

        Args:
            categories: The categories that keys refer to, in these rows.

        Raises:
            TooManyLevels: There are too many.
        """
        found: dict[Key, NDArray[np.intp]] = {
            (c,): labels.codes(*categories[c]) for c, labels in self._categories.items()
        }
        for key, pairs in self._pairs.items():
            shape = self.size(key[:-1]), self.size(key[-1:])
            found[key] = pairs.codes(found[key[:-1]], found[key[-1:]], shape)
        for key in found:
            most = MOST_COMBINATIONS if len(key) > 1 else MOST_LEVELS
            if self.size(key) > most:
                raise TooManyLevels(key, most)
        return {key: found[key] for key in self._keys}

    def size(self, key: Key) -> int:
        """The number of levels met so far."""
        return len(self._pairs[key].index if len(key) > 1 else self._categories[key[0]].index)

    def in_order(self, key: Key) -> tuple[list[Labels], NDArray[np.intp]]:
        """The labels of the levels met so far, sorted, and the index of each."""
        if key not in self._in_order or len(self._in_order[key][0]) != self.size(key):
            labels = self.labels(key)
            order = sorted(range(len(labels)), key=labels.__getitem__)
            self._in_order[key] = [labels[level] for level in order], np.array(order, np.intp)
        return self._in_order[key]

    def labels(self, key: Key) -> list[Labels]:
        """The label of each level met so far, by its index."""
        if len(key) == 1:
            return [(label,) for label in self._categories[key[0]].index]
        left, right = self.labels(key[:-1]), list(self._categories[key[-1]].index)
        return [(*left[pair >> 32], right[pair & (2**32 - 1)]) for pair in self._pairs[key].index]


class _Labels:
    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self._last: Sequence[str] = ()
        self._indices = np.empty(0, np.intp)

    def codes(self, labels: Sequence[str], codes: NDArray[np.intp]) -> NDArray[np.intp]:
        if labels != self._last:  # batches of one file often have the same
            self._last = labels
            self._indices = np.array([self.index.setdefault(label, len(self.index)) for label in labels], np.intp)
        return self._indices[codes]


class _Pairs:
    """Pairs of indices; `index` has them as left · 2^32 + right."""

    def __init__(self) -> None:
        self.index: dict[int, int] = {}
        self._table = np.empty((0, 0), np.intp)

    def codes(self, left: NDArray[np.intp], right: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.intp]:
        # powers of two, so that a table is rarely made anew
        rows, columns = (1 << (size - 1).bit_length() if size else 0 for size in shape)
        if rows * columns > LARGEST_TABLE:
            pairs, inverse = np.unique((left << 32) + right, return_inverse=True)
            return self._indices(pairs)[inverse]
        if self._table.shape != (rows, columns):
            self._table = np.full((rows, columns), -1)
        table, at = self._table.reshape(-1), left * columns + right
        codes: NDArray[np.intp] = table[at]
        if codes.min(initial=0) < 0:
            new = np.unique(at[codes < 0])
            table[new] = self._indices((new // columns << 32) + new % columns)
            codes = table[at]
        return codes

    def _indices(self, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.array([self.index.setdefault(pair, len(self.index)) for pair in pairs.tolist()], np.intp)
