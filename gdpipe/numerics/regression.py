"""From sums to a problem that descent can be run on: which features take part, and in which directions."""

from dataclasses import dataclass

from gdpipe.numerics.covariance import CrossProducts
from gdpipe.numerics.dependencies import Dependencies, Relation, null_directions
from gdpipe.numerics.objective import LeastSquares
from gdpipe.numerics.scaling import Scaling


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """The features that are fitted, and the loss as a function of their standardized coefficients.

    Attributes:
        kept: Indices of the features that take part in the fit: not the constant ones.
        cross: Covariances of the kept features and the target.
        scaling: Of the same columns.
        relations: Among the kept features.
        problem: The loss.
    """

    kept: list[int]
    cross: CrossProducts
    scaling: Scaling
    relations: tuple[Relation, ...]
    problem: LeastSquares

    @classmethod
    def of(cls, cross: CrossProducts, scaling: Scaling, found: Dependencies, *, drop: bool) -> "Regression":
        """Leave out what cannot be fitted.

        Args:
            cross: Covariances of [features..., target].
            scaling: Of the same columns.
            found: Dependencies among the features.
            drop: Whether one feature of each dependency is left out, rather than the directions of no consequence.
        """
        p = len(cross.sums) - 1
        left_out = {*found.constant, *(found.redundant if drop else [])}
        kept = [j for j in range(p) if j not in left_out]
        relations = () if drop else tuple(_among(relation, kept) for relation in found.relations)
        kept_cross, kept_scaling = cross.select([*kept, p]), scaling.select(kept)
        problem = LeastSquares.of(kept_cross, kept_scaling)
        if relations or found.smallest_eigenvalue is not None:
            directions = null_directions(relations, kept_scaling, list(range(len(kept))))
            problem = problem.without(directions, found.smallest_eigenvalue)
        return cls(kept, kept_cross, kept_scaling, relations, problem)


def _among(relation: Relation, kept: list[int]) -> Relation:
    return Relation(tuple(relation.coefficients[j] for j in kept), relation.constant, relation.exact)
