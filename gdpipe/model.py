"""A fitted model: a design and its coefficients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.design import Design
from gdpipe.numerics import FloatColumns
from gdpipe.numerics.rows import linear


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted line in original units.

    Attributes:
        design: The terms.
        coef: Shape (p,), target units per unit of the term, in the order of the terms.
        intercept: The intercept, in target units.
    """

    design: Design
    coef: NDArray[np.float64]
    intercept: float

    @property
    def features(self) -> tuple[str, ...]:
        """The source columns that a prediction needs."""
        return self.design.columns

    def predict(self, columns: FloatColumns) -> NDArray[np.float64]:
        """Predictions in target units, shape (m,).

        Args:
            columns: The values of `features`, shape (m,) each.
        """
        return linear.predict(self.design.values(columns), self.coef, self.intercept)
