"""Cells: parts of the rows whose sums are kept apart, such as files, folds or groups."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns

# one cell for all rows, or the cell of each row, shape (m,)
Cells = int | NDArray[np.integer[Any]]
Weights = NDArray[np.float64] | None
Stretches = list[tuple[int, slice]]
Rows = slice | NDArray[np.intp]


def _room(k: int, m: int) -> NDArray[np.float64]:
    return np.empty((k, m))


def blocks_by_cell(
    columns: FloatColumns,
    weights: Weights,
    cells: Cells,
    size: int,
    room: Callable[[int, int], NDArray[np.float64]] = _room,
) -> Iterator[tuple[FloatColumns, Weights, Stretches, Rows]]:
    """Cut rows into blocks, sorted by cell.

    Args:
        columns: k of shape (m,), or one array of shape (k, m).
        weights: Shape (m,), or None.
        cells: Where the rows belong.
        size: The most rows of a block.
        room: A function that gives memory for so many columns of so many rows, where rows are sorted.

    Yields:
        A block's columns and weights, until the next block, its rows by cell, as slices of the block, and which of all
        rows they are.
    """
    m = len(columns[0])
    if not isinstance(cells, np.ndarray):
        for start in range(0, m, size):
            rows = slice(start, start + size)
            block = columns[:, rows] if isinstance(columns, np.ndarray) else [column[rows] for column in columns]
            yield block, None if weights is None else weights[rows], [(cells, slice(None))], rows
        return
    order = np.argsort(cells, kind="stable")
    # all of a column at once, which stays in cache meanwhile: all columns would not
    in_order = room(len(columns), m)
    for column, line in zip(columns, in_order, strict=True):
        column.take(order, out=line, mode="clip")  # the other modes copy once more
    stretches = stretches_of(cells[order])
    for start in range(0, m, size):
        stop = min(start + size, m)
        places = order[start:stop]
        of_block = [
            (cell, slice(max(rows.start, start) - start, min(rows.stop, stop) - start))
            for cell, rows in stretches
            if rows.start < stop and rows.stop > start
        ]
        yield in_order[:, start:stop], None if weights is None else weights[places], of_block, places


def stretches_of(cells: NDArray[np.integer[Any]]) -> Stretches:
    """The stretches of equal cells among rows that are sorted by cell."""
    if not len(cells):
        return []
    ends = [0, *(np.flatnonzero(np.diff(cells)) + 1).tolist(), len(cells)]
    return [(int(cells[start]), slice(start, stop)) for start, stop in itertools.pairwise(ends)]
