"""The history of a descent: some of its steps."""

import math

import numpy as np
from numpy.typing import NDArray

HISTORY_ROWS = 10_000


class History:
    """The recorded points of a descent: all of the first ones, later ones evenly in log(iteration)."""

    def __init__(self, max_iterations: int) -> None:
        self._to_record = iter(recorded_iterations(max_iterations).tolist())
        self.next: int = next(self._to_record)
        self.iterations: list[int] = []
        self.points: list[NDArray[np.float64]] = []
        self.norms: list[float] = []

    def end(self, iteration: int, point: NDArray[np.float64], norm: float) -> None:
        """Record the last step, whichever it is, with the coefficients that are published."""
        if self.iterations[-1] == iteration:
            del self.iterations[-1], self.points[-1], self.norms[-1]
        self.append(iteration, point, norm)

    def append(self, iteration: int, point: NDArray[np.float64], norm: float) -> None:
        """Record a step."""
        self.iterations.append(iteration)
        self.points.append(point)
        self.norms.append(norm)
        self.next = next(self._to_record, -1)


def recorded_iterations(max_iterations: int, rows: int = HISTORY_ROWS) -> NDArray[np.int64]:
    """The steps that a history records: all of the first ones, then evenly in log(iteration).

    Args:
        max_iterations: The last possible step.
        rows: The most steps to record, besides the one where the descent ends.

    Returns:
        Ascending, from 0; at most `rows` - 1 of them.
    """
    if max_iterations < rows - 1:
        return np.arange(max_iterations + 1)
    # up to step m every step is recorded; then the gap grows as t/m, which makes m·ln(max/m) more steps
    dense = rows - 2
    while dense + dense * math.log(max_iterations / dense) > rows - 2:
        dense -= 1 + dense // 100
    sparse = np.geomspace(dense, max_iterations, rows - 2 - dense)
    return np.unique(np.concatenate([np.arange(dense), np.rint(sparse).astype(np.int64)]))
