"""From sums to a problem that descent can be run on: which features take part, and in which directions."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts, ExactProducts
from gdpipe.numerics.problem.dependencies import Dependencies, smallest_mode, split_constant
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.relations import Relation, null_directions
from gdpipe.numerics.problem.scaling import Scaling


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """The features that are fitted, and the loss as a function of their standardized coefficients.

    Attributes:
        dependencies: Among all features.
        kept: Indices of the features that take part in the fit: not the constant ones.
        cross: Covariances of the kept features and the target.
        scaling: Of the same columns.
        relations: Among the kept features.
        problem: The loss.
    """

    dependencies: Dependencies
    kept: list[int]
    cross: CrossProducts
    scaling: Scaling
    relations: tuple[Relation, ...]
    problem: LeastSquares

    @classmethod
    def of(cls, cross: CrossProducts, scaling: Scaling, resolution: NDArray[np.float64], *, drop: bool) -> "Regression":
        """Find what depends on what, and leave out what cannot be fitted.

        Args:
            cross: Covariances of [features..., target].
            scaling: Of the same columns.
            resolution: Relative rounding of each feature's values, shape (p,).
            drop: Whether one feature of each dependency is left out, rather than the directions of no consequence.
        """
        p = len(resolution)
        _, varying = split_constant(cross)
        problem = LeastSquares.of(cross.select([*varying, p]), scaling.select(varying))
        found = Dependencies.of(cross, scaling, problem, resolution)
        left_out = {*found.constant, *(found.redundant if drop else [])}
        kept = [j for j in range(p) if j not in left_out]
        relations = () if drop else tuple(_among(relation, kept) for relation in found.relations)
        kept_cross, kept_scaling = cross.select([*kept, p]), scaling.select(kept)
        if kept != varying:
            problem = LeastSquares.of(kept_cross, kept_scaling)
        directions = found.null_space if relations else None
        if directions is None:
            directions = null_directions(relations, kept_scaling, list(range(len(kept))))
        problem = problem.without(directions)
        smallest = None if relations else found.smallest_eigenvalue
        # the redundant features count here: the least eigenvalue is not that of the others, but larger
        if relations and isinstance(cross, ExactProducts) and (found_again := smallest_mode(problem)):
            smallest = found_again[0]
        if smallest is not None:
            problem = problem.with_smallest(smallest)
        return cls(found, kept, kept_cross, kept_scaling, relations, problem)


def _among(relation: Relation, kept: list[int]) -> Relation:
    return replace(relation, coefficients=tuple(relation.coefficients[j] for j in kept))
