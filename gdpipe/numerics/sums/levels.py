"""Exact sums by level of a category, or by combination of levels of several: one-hot products without one-hot columns.

With z the numbers and the target, and c a category, the sums n, Σw and Σw·z of each level of c are those of one-hot
columns with each other and with z. For two categories the counts of each pair of levels are. The cost of a row does not
depend on the number of levels. Levels are found while rows are read, and + takes their union.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# the categories, by index, whose levels are combined; () is that of all rows
Key = tuple[int, ...]
# the label of a level, one for each category of a key
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TermBlock:
    """The terms of one feature: 1, or a number, in the rows of one level each, and 0 in all others.

    Attributes:
        number: Index of the number among the columns of dense sums; None stands for 1.
        key: The categories.
        labels: The levels with a term, in order; that of no category is ((),).
    """

    number: int | None
    key: Key
    labels: tuple[Labels, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LevelSums:
    """Exact sums of the rows of each level.

    Attributes:
        labels: The levels with rows, sorted, L of them.
        n_samples: Rows counted, shape (L,), int64.
        weight: Σw in units of 2^weight_exponent, shape (L,), Python integers.
        weight_exponent: The step of the weights' grid; 0 where rows are unweighted.
    """

    labels: tuple[Labels, ...]
    n_samples: NDArray[np.int64]
    weight: NDArray[np.object_]
    weight_exponent: int = 0
