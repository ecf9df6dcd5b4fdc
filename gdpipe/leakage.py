"""Leakage: signs that the features hold the target itself, or what is known only after it."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.absorb import absorb
from gdpipe.numerics.problem.block_products import BlockProducts
from gdpipe.numerics.problem.covariance import CrossProducts, Scaling
from gdpipe.numerics.problem.dependencies import Dependencies
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.relations import Relation
from gdpipe.relations import equation

# data of the world hardly ever let themselves be predicted better
SUSPICIOUS_R2 = 0.9999
# terms of an equation that is written out; a category in it may have thousands
LONGEST_EQUATION = 12


def signs_of_leakage(
    cross: CrossProducts, names: Sequence[str], target: str, r2: float, resolution: NDArray[np.float64] | None = None
) -> tuple[str, ...]:
    """One line for each reason why a fit looks too good; empty where none does.

    Args:
        cross: Covariances of [terms..., target] over all rows.
        names: The terms' names.
        target: The target's name.
        r2: R² on unseen rows, or that of the fit where there are none; NaN says nothing.
        resolution: Relative rounding of each term's and the target's values, shape (p + 1,); that of float64 if not
            given.
    """
    if math.isnan(r2) or r2 <= SUSPICIOUS_R2:
        return ()
    found = [f"R² is {r2:.6f}: see whether a feature holds the target, or is known only after it"]
    if relation := target_relation(cross, resolution):
        said = f"{target} is a combination of {len(relation.features) - 1:,} terms"
        if len(relation.features) <= LONGEST_EQUATION:
            said = equation(relation, [*names, target], left=len(names))
        found.append(f"the features give the target: {said}")
    return tuple(found)


def target_relation(cross: CrossProducts, resolution: NDArray[np.float64] | None = None) -> Relation | None:
    """The relation between the terms and the target, if there is one: among [terms..., target], shape (p + 1,).

    The target joins the terms as their last, so that of a relation that holds it, it is the redundant one; arguments as
    in `signs_of_leakage`.
    """
    variances = cross.variances()
    if not variances[-1]:
        return None
    p = len(variances) - 1
    joined = cross.select([*range(p + 1), p])
    if isinstance(joined, BlockProducts):
        units = np.full(p + 1, np.finfo(np.float64).eps) if resolution is None else resolution
        found, _ = absorb(joined, units, Scaling.of(joined), drop=True)
    else:
        varying = [j for j, variance in enumerate(joined.variances()) if variance]
        found = Dependencies.of(joined, LeastSquares.of(joined.select(varying)), resolution)
    rank = p + 1 - len(found.constant) - len(found.redundant)
    if rank >= cross.n_samples - cross.centred:
        return None  # any columns are dependent on so few rows
    return next((relation for relation in found.relations if relation.coefficients[p]), None)
