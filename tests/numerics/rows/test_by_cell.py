"""Sums of whole numbers by cell: those of Python integers, with few cells and with many."""

import numpy as np
import pytest

from gdpipe.numerics.rows.by_cell import MOST_CELLS_A_ROW, add_by_cell


@pytest.mark.parametrize("cells", [1, 7, 50 * MOST_CELLS_A_ROW, 50 * MOST_CELLS_A_ROW + 1, 10_000])
def test_sums_are_those_of_python_integers(cells: int) -> None:
    rng = np.random.default_rng(0)
    rows, codes = rng.integers(-(2**44), 2**44, (50, 3)), rng.integers(0, cells, 50)
    totals = np.full((cells, 3), 5)
    add_by_cell(totals, codes, rows)
    expected = [[5, 5, 5] for _ in range(cells)]
    for cell, row in zip(codes.tolist(), rows.tolist(), strict=True):
        expected[cell] = [total + number for total, number in zip(expected[cell], row, strict=True)]
    assert totals.tolist() == expected
