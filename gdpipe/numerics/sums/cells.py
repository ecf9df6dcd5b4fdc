"""Cells: parts of the rows whose sums are kept apart, such as files, folds or groups."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics import FloatColumns

# one cell for all rows, or the cell of each row, shape (m,)
Cells = int | NDArray[np.int64]
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
        A block's columns and weights, and its rows by cell, as slices of the block.
    """
    if isinstance(cells, np.ndarray):
        order = np.argsort(cells, kind="stable")
        columns, weights, cells = _taken(columns, order), None if weights is None else weights[order], cells[order]
    for start in range(0, len(columns[0]), size):
        rows = slice(start, start + size)
        stretches = stretches_of(cells[rows]) if isinstance(cells, np.ndarray) else [(cells, slice(None))]
        yield _taken(columns, rows), None if weights is None else weights[rows], stretches


def _taken(columns: FloatColumns, rows: slice | NDArray[np.intp]) -> FloatColumns:
    return columns[:, rows] if isinstance(columns, np.ndarray) else [column[rows] for column in columns]


def stretches_of(cells: NDArray[np.int64]) -> Stretches:
    """The stretches of equal cells among rows that are sorted by cell."""
    ends = [0, *(np.flatnonzero(np.diff(cells)) + 1).tolist(), len(cells)]
    return [(int(cells[start]), slice(start, stop)) for start, stop in itertools.pairwise(ends)]
