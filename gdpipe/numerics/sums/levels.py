"""Exact sums by level of a category, or by combination of levels of several: one-hot products without one-hot columns.

With z the numbers and the target, and c a category, the sums n, Σw and Σw·z of each level of c are those of one-hot
columns with each other and with z. For two categories the counts of each pair of levels are. The cost of a row does not
depend on the number of levels. Levels are found while rows are read, and + takes their union.
"""

from dataclasses import dataclass

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
