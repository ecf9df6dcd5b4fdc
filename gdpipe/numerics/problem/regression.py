"""From sums to a problem that descent can be run on: which features take part, and in which directions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts, ExactProducts
from gdpipe.numerics.problem.dependencies import Dependencies, smallest_mode, split_constant
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.relations import Relation, null_directions
from gdpipe.numerics.problem.scaling import Scaling


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """The loss of the features that are fitted, and their places among all features.

    Attributes:
        scaling: Of all features.
        dependencies: Among all features.
        included: Indices of the features that take part in the fit: not the constant ones, nor those dropped.
        relations: Among the included features.
        problem: The loss as a function of the included features' standardized coefficients.
    """

    scaling: Scaling
    dependencies: Dependencies
    included: list[int]
    relations: tuple[Relation, ...]
    problem: LeastSquares

    @classmethod
    def of(cls, cross: CrossProducts, resolution: NDArray[np.float64], *, drop: bool) -> "Regression":
        """Find what depends on what, and leave out what cannot be fitted.

        Args:
            cross: Covariances of [features..., target].
            resolution: Relative rounding of each feature's values, shape (p,).
            drop: Whether one feature of each dependency is left out, rather than the directions of no consequence.
        """
        p = len(resolution)
        _, varying = split_constant(cross)
        problem = LeastSquares.of(cross.select([*varying, p]))
        found = Dependencies.of(cross, problem, resolution)
        left_out = {*found.constant, *(found.redundant if drop else [])}
        included = [j for j in range(p) if j not in left_out]
        relations = () if drop else tuple(_among(relation, included) for relation in found.relations)
        if included != varying:
            problem = LeastSquares.of(cross.select([*included, p]))
        directions = found.null_space if relations else None
        if directions is None:
            directions = null_directions(relations, problem.scaling, list(range(len(included))))
        problem = problem.without(directions)
        smallest = None if relations else found.smallest_eigenvalue
        # the redundant features count here: the least eigenvalue is not that of the others, but larger
        if relations and isinstance(cross, ExactProducts) and (found_again := smallest_mode(problem)):
            smallest = found_again[0]
        if smallest is not None:
            problem = problem.with_smallest(smallest)
        return cls(Scaling.of(cross), found, included, relations, problem)

    @property
    def independent(self) -> list[int]:
        """Among the included features, those without a relation between them."""
        return [i for i, j in enumerate(self.included) if j not in self.dependencies.redundant]

    @property
    def identified(self) -> list[int]:
        """Among the included features, those that take part in no relation at all."""
        related = {i for relation in self.relations for i in relation.features}
        return [i for i in range(len(self.included)) if i not in related]

    @property
    def intercept_identified(self) -> bool:
        """Whether the intercept is the same whichever of the dependent features carries the weight."""
        return not any(relation.constant for relation in self.relations)

    def to_original(self, coef_scaled: Sequence[float | Fraction]) -> tuple[NDArray[np.float64], float]:
        """Coefficients of all features, shape (p,), and the intercept in original units, each rounded once."""
        coef, intercept = self.problem.scaling.to_original(coef_scaled)
        full = np.zeros(len(self.scaling.scales))
        full[self.included] = [float(c) for c in coef]
        return full, float(intercept)


def _among(relation: Relation, included: list[int]) -> Relation:
    return replace(relation, coefficients=tuple(relation.coefficients[j] for j in included))
