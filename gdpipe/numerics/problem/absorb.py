"""A block of terms that share no rows is absorbed, where terms may depend on others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.absorbed import Absorbed
from gdpipe.numerics.problem.block_products import BlockProducts
from gdpipe.numerics.problem.covariance import CrossProducts, Scaling
from gdpipe.numerics.problem.dependencies import Dependencies, exact_relation, is_independent
from gdpipe.numerics.problem.eliminated import Eliminated
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.relations import Relation, Rounding, rounded_relation


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What is known of terms that vary.

    Attributes:
        redundant: One of each relation, ascending.
        relations: The relations.
        smallest_eigenvalue: As in `Dependencies`, of what is left of the others without the redundant ones.
        eliminated: What is left of the independent terms when the block is eliminated.
    """

    redundant: list[int]
    relations: tuple[Relation, ...]
    smallest_eigenvalue: float | None
    eliminated: Eliminated


def absorb(
    cross: BlockProducts, resolution: NDArray[np.float64], scaling: Scaling, *, drop: bool
) -> tuple[Dependencies, Absorbed]:
    """The dependencies among all terms, and the loss of those that are included; arguments as in `Regression.of`."""
    p = len(scaling.scales)
    constant = [j for j, variance in enumerate(cross.variances()[:p]) if not variance]
    varying = [j for j in range(p) if j not in constant]
    of_varying, scaling = cross.select([*varying, p]), scaling.select(varying)
    eliminated = Eliminated.of(of_varying)
    if not eliminated.has_no_intercept_left:
        others = of_varying.moments.others[:-1].tolist()
        within = LeastSquares.of(eliminated.within(), scaling.select(others))
        if is_independent(within):
            absorbed = Absorbed.of(of_varying, scaling, eliminated, range(len(varying)), within=within)
            return Dependencies(constant, (), [], None), absorbed
    found = _dependencies(of_varying, resolution[varying], scaling, eliminated)
    independent = [i for i in range(len(varying)) if i not in found.redundant]
    if drop:
        chosen = of_varying.select([*independent, len(varying)])
        absorbed = Absorbed.of(chosen, scaling.select(independent), found.eliminated, range(len(independent)))
    else:
        absorbed = Absorbed.of(of_varying, scaling, found.eliminated, independent, found.relations)
    if found.smallest_eigenvalue is not None:
        absorbed = replace(absorbed, within=absorbed.within.at_least(found.smallest_eigenvalue))
    relations = [
        replace(relation, coefficients=_spread(relation.coefficients, varying, p)) for relation in found.relations
    ]
    redundant = [varying[i] for i in found.redundant]
    return Dependencies(constant, tuple(relations), redundant, found.smallest_eigenvalue), absorbed


def _dependencies(
    cross: BlockProducts, resolution: NDArray[np.float64], scaling: Scaling, eliminated: Eliminated
) -> Found:
    """The relations among terms that vary."""
    p = len(scaling.scales)
    lost: list[int] = []
    of_intercept: tuple[Relation, ...] = ()
    if eliminated.has_no_intercept_left:
        # the block's terms add up to 1, so its last one stands for the reference
        moments = cross.moments
        lost = [int(moments.block[-1])]
        sums = zip(moments.block.tolist(), moments.sums[moments.block], moments.diagonal, strict=True)
        terms = {j: Fraction(int(s), int(d)) / Fraction(2) ** int(moments.exponents[j]) for j, s, d in sums}
        of_intercept = (exact_relation(scaling.means, terms),)
        eliminated = Eliminated.of(cross.select([j for j in range(p + 1) if j not in lost]))
    kept = [j for j in range(p) if j not in lost]
    relations, dependent = list(of_intercept), []
    for weights in eliminated.relations():
        terms = _with_block(eliminated, kept, weights)
        if _holds(cross, terms):
            relations.append(exact_relation(scaling.means, terms))
            dependent.append(next(iter(weights)))
    redundant = [*lost, *(kept[j] for j in dependent)]
    eliminated = eliminated.without(dependent)
    kept = [j for j in range(p) if j not in redundant]
    others = eliminated.moments.others[:-1].tolist()
    places = [kept[j] for j in others]
    within, of_others = eliminated.within(), scaling.select(places)
    # within the levels means are zero and spreads smaller, but values are rounded as they are
    rounding = Rounding(eliminated.cross.of_others(), of_others, resolution[places])
    varying = [i for i, square in enumerate(within.products.diagonal()[:-1]) if square]
    problem = LeastSquares.of(within.select([*varying, len(others)]), of_others.select(varying))
    found = Dependencies.of(within, problem, scaling=of_others, rounding=rounding)
    relations += [
        exact_relation(scaling.means, _with_block(eliminated, kept, {others[i]: Fraction(1)})) for i in found.constant
    ]
    for relation in found.relations:
        terms = _with_block(eliminated, kept, {others[i]: relation.coefficients[i] for i in relation.features})
        if relation.exact:
            relations.append(exact_relation(scaling.means, terms))
            continue
        last = next(kept[others[i]] for i in relation.features if i in found.redundant)
        weights = {j: -weight / terms[last] for j, weight in terms.items() if j != last}
        of_all = Rounding(cross, scaling, resolution)
        relations.append(rounded_relation(cross, scaling, weights, last, of_all, decimal=relation.decimal))
    left_over = [others[i] for i in [*found.constant, *found.redundant]]
    redundant = sorted([*redundant, *(kept[j] for j in left_over)])
    return Found(redundant, tuple(relations), found.smallest_eigenvalue, eliminated.without(left_over))


def _with_block(eliminated: Eliminated, places: Sequence[int], weights: dict[int, Fraction]) -> dict[int, Fraction]:
    """A relation within levels, with what the block's terms take part in it, by their places among all terms."""
    return {places[j]: weight for j, weight in (weights | eliminated.of_block(weights)).items()}


def _holds(cross: BlockProducts, terms: dict[int, Fraction]) -> bool:
    """Whether a combination of terms is the same on every row."""
    places = sorted(terms)
    units = {j: weight * Fraction(2) ** int(cross.moments.exponents[j]) for j, weight in terms.items()}
    common = math.lcm(*(unit.denominator for unit in units.values()))
    chosen = cross.moments.select([*places, len(cross.moments.sums) - 1])
    steps = np.array([*(int(units[j] * common) for j in places), 0], object)
    in_block, outside = steps[chosen.block], steps[chosen.others]
    square = chosen.diagonal @ in_block**2 + outside @ (chosen.corner @ outside + 2 * (in_block @ chosen.border))
    return bool(chosen.weight * square == ((chosen.sums @ steps) ** 2 if cross.centred else 0))


def _spread(values: Sequence[Fraction], places: Sequence[int], size: int) -> tuple[Fraction, ...]:
    """The values at these places, zeros elsewhere."""
    by_place, zero = dict(zip(places, values, strict=True)), Fraction(0)
    return tuple(by_place.get(j, zero) for j in range(size))


def least_squares(cross: CrossProducts) -> LeastSquares | Absorbed:
    """The loss from covariances of [terms..., target], with their block absorbed if they have one."""
    if not isinstance(cross, BlockProducts):
        return LeastSquares.of(cross)
    if not len(cross.moments.block):
        return LeastSquares.of(cross.of_others())
    scaling = Scaling.of(cross)
    return Absorbed.of(cross, scaling, Eliminated.of(cross), range(len(scaling.scales)))
