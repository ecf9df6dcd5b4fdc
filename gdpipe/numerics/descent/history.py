"""What a descent leaves behind of its way."""

import math

import numpy as np
from numpy.typing import NDArray

HISTORY_ROWS = 10_000


class History:
    """The points of a descent: the first ones all, later ones evenly in log(iteration)."""

    def __init__(self, max_iterations: int) -> None:
        self._keep = iter(iterations_kept(max_iterations).tolist())
        self.next: int = next(self._keep)
        self.iterations: list[int] = []
        self.points: list[NDArray[np.float64]] = []
        self.norms: list[float] = []

    def end(self, iteration: int, point: NDArray[np.float64], norm: float) -> None:
        """The last step is kept in any case, and as it is handed out."""
        if self.iterations[-1] == iteration:
            del self.iterations[-1], self.points[-1], self.norms[-1]
        self.append(iteration, point, norm)

    def append(self, iteration: int, point: NDArray[np.float64], norm: float) -> None:
        """Keep a step."""
        self.iterations.append(iteration)
        self.points.append(point)
        self.norms.append(norm)
        self.next = next(self._keep, -1)


def iterations_kept(max_iterations: int, rows: int = HISTORY_ROWS) -> NDArray[np.int64]:
    """The steps a history keeps: all of the first ones, then evenly in log(iteration).

    Args:
        max_iterations: The last step there can be.
        rows: How many may be kept, besides the one where the descent ends.

    Returns:
        Ascending, from 0; at most `rows` - 1 of them.
    """
    if max_iterations < rows - 1:
        return np.arange(max_iterations + 1)
    # up to step m every step is kept; beyond it the gap grows as t/m, which takes m·ln(max/m) more
    dense = rows - 2
    while dense + dense * math.log(max_iterations / dense) > rows - 2:
        dense -= 1 + dense // 100
    sparse = np.geomspace(dense, max_iterations, rows - 2 - dense)
    return np.unique(np.concatenate([np.arange(dense), np.rint(sparse).astype(np.int64)]))
