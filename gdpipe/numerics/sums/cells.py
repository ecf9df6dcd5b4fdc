"""Cells: parts of the rows whose sums are kept apart, such as files, folds or groups."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns

# one cell for all rows, or the cell of each row, shape (m,)
Cells = int | NDArray[np.integer[Any]]
Weights = NDArray[np.float64] | None
Stretches = list[tuple[int, slice]]


def blocks_by_cell(
    columns: FloatColumns, weights: Weights, cells: Cells, size: int
) -> Iterator[tuple[FloatColumns, Weights, Stretches]]:
    """Cut rows into blocks, sorted by cell.

    Args:
        columns: k of shape (m,), or one array of shape (k, m).
        weights: Shape (m,), or None.
        cells: Where the rows belong.
        size: The most rows of a block.

    Yields:
        A block's columns and weights, until the next block, and its rows by cell, as slices of the block.
    """
    m = len(columns[0])
    if not isinstance(cells, np.ndarray):
        for start in range(0, m, size):
            rows = slice(start, start + size)
            block = columns[:, rows] if isinstance(columns, np.ndarray) else [column[rows] for column in columns]
            yield block, None if weights is None else weights[rows], [(cells, slice(None))]
        return
    order = np.argsort(cells, kind="stable")
    # rows are copied a block at a time, each to the same memory: it stays in cache
    taken = np.empty((len(columns), min(size, m)))
    for start in range(0, m, size):
        places = order[start : start + size]
        block = taken[:, : len(places)]
        for column, line in zip(columns, block, strict=True):
            np.take(column, places, out=line, mode="clip")  # the other modes copy once more
        yield block, None if weights is None else weights[places], stretches_of(cells[places])


def stretches_of(cells: NDArray[np.integer[Any]]) -> Stretches:
    """The stretches of equal cells among rows that are sorted by cell."""
    ends = [0, *(np.flatnonzero(np.diff(cells)) + 1).tolist(), len(cells)]
    return [(int(cells[start]), slice(start, stop)) for start, stop in itertools.pairwise(ends)]
