"""Sums of whole numbers by cell."""

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.rows.level_cells import Codes

# with more cells for each row, most would be added to in vain
MOST_CELLS_A_ROW = 2


def add_by_cell(totals: NDArray[np.int64], codes: Codes, rows: NDArray[np.int64]) -> None:
    """Add rows to the totals of their cells, in place: those of a row together, in a third of the time of each alone.

    Args:
        totals: Shape (cells, n); written to.
        codes: The cell of each row, shape (m,).
        rows: Shape (m, n), in C order.
    """
    cells, m = len(totals), len(codes)
    if cells > MOST_CELLS_A_ROW * m:
        np.add.at(totals, codes, rows)
        return
    from scipy.sparse import csc_array

    one_hot = csc_array((np.ones(m, np.int64), codes, np.arange(m + 1)), shape=(cells, m))
    totals += np.asarray(one_hot @ rows)
