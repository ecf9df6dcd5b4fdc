"""The least-squares problem of a descent: the features that take part, and the directions projected out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.absorb import absorb
from gdpipe.numerics.problem.absorbed import Absorbed
from gdpipe.numerics.problem.block_products import BlockProducts
from gdpipe.numerics.problem.covariance import CrossProducts, ExactProducts, Scaling
from gdpipe.numerics.problem.dependencies import Dependencies, smallest_mode
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.penalty import Penalty
from gdpipe.numerics.problem.relations import Relation, null_directions


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """The loss of the included features, and their places among all features.

    Attributes:
        scaling: The scaling of all features.
        dependencies: The dependencies among all features.
        included: Indices of the features that take part in the fit: all but the constant and the dropped ones.
        relations: The relations among the included features.
        problem: The loss as a function of the standardized coefficients that descend: those of the included features,
            without an absorbed block.
        penalty: What is added to it; None for least squares.
        absorbed: The loss of all included features, where a block of them is absorbed; else None.
    """

    scaling: Scaling
    dependencies: Dependencies
    included: list[int]
    relations: tuple[Relation, ...]
    problem: LeastSquares
    penalty: Penalty | None = None
    absorbed: Absorbed | None = None

    @classmethod
    def of(
        cls, cross: CrossProducts, resolution: NDArray[np.float64], *, drop: bool, scaling: Scaling | None = None
    ) -> "Regression":
        """The problem without constant features, its dependencies found.

        Args:
            cross: Covariances of [features..., target].
            resolution: Relative rounding of each feature's values, shape (p,).
            drop: Whether one feature of each relation is left out; otherwise the relations are projected out.
            scaling: That of the covariances, if known.
        """
        scaling = scaling or Scaling.of(cross)
        if isinstance(cross, BlockProducts):
            return cls._absorbed(*absorb(cross, resolution, scaling, drop=drop), scaling, drop=drop)
        p = len(resolution)
        varying = [j for j, variance in enumerate(cross.variances()[:p]) if variance]
        problem = LeastSquares.of(cross.select([*varying, p]), scaling.select(varying))
        found = Dependencies.of(cross, problem, resolution, scaling)
        left_out = {*found.constant, *(found.redundant if drop else [])}
        included = [j for j in range(p) if j not in left_out]
        relations: tuple[Relation, ...] = ()
        if not drop:
            relations = _among(included, found.relations)
        if included != varying:
            problem = LeastSquares.of(cross.select([*included, p]), scaling.select(included))
        directions = found.null_space if relations else None
        if directions is None:
            directions = null_directions(relations, problem.scaling)
        problem = problem.without(directions)
        smallest = None if relations else found.smallest_eigenvalue
        # the redundant features take part, so the least eigenvalue is larger than that of the others alone
        if relations and isinstance(cross, ExactProducts) and (found_again := smallest_mode(problem)):
            smallest = found_again[0]
        if smallest is not None:
            problem = problem.at_least(smallest)
        return cls(scaling, found, included, relations, problem)

    @classmethod
    def _absorbed(cls, found: Dependencies, absorbed: Absorbed, scaling: Scaling, *, drop: bool) -> "Regression":
        left_out = {*found.constant, *(found.redundant if drop else [])}
        included = [j for j in range(len(scaling.scales)) if j not in left_out]
        relations = () if drop else _among(included, found.relations)
        return cls(scaling, found, included, relations, absorbed.within, absorbed=absorbed)

    @property
    def whole(self) -> LeastSquares | Absorbed:
        """The loss as a function of all included features' coefficients."""
        return self.absorbed or self.problem

    @property
    def cross(self) -> CrossProducts:
        """The covariances of [included features..., target]."""
        return self.whole.cross

    @property
    def quadratic(self) -> LeastSquares:
        """The part of the objective that has a gradient everywhere: the loss, and a penalty's ridge."""
        return self.problem if self.penalty is None else self.problem.ridge(self.penalty.l2)

    @property
    def l1(self) -> float:
        """The weight of |w|₁ in the objective."""
        return 0.0 if self.penalty is None else self.penalty.l1

    @property
    def independent(self) -> list[int]:
        """Places among the included features of the largest independent part: all but the redundant ones."""
        return [i for i, j in enumerate(self.included) if j not in self.dependencies.redundant]

    @property
    def identified(self) -> list[int]:
        """Places among the included features of those that take part in no relation."""
        related = {i for relation in self.relations for i in relation.features}
        return [i for i in range(len(self.included)) if i not in related]

    def to_original(self, coef_scaled: Sequence[float | Fraction]) -> tuple[NDArray[np.float64], float]:
        """Coefficients of all features, shape (p,), and the intercept in original units, each rounded once."""
        coef, intercept = self.whole.scaling.to_original(coef_scaled)
        full = np.zeros(len(self.scaling.scales))
        full[self.included] = [float(c) for c in coef]
        return full, float(intercept)


def _among(included: Sequence[int], relations: Sequence[Relation]) -> tuple[Relation, ...]:
    """The relations among the included features alone."""
    return tuple(
        replace(relation, coefficients=tuple(relation.coefficients[j] for j in included)) for relation in relations
    )
