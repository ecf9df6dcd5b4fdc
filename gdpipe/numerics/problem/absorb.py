"""A block of terms that share no rows is absorbed, where terms may depend on others."""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.absorbed import Absorbed, loss_within
from gdpipe.numerics.problem.block_products import BlockProducts
from gdpipe.numerics.problem.covariance import CrossProducts, ExactProducts, Scaling
from gdpipe.numerics.problem.dependencies import Dependencies, exact_relation, is_independent
from gdpipe.numerics.problem.eliminated import Eliminated
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.rational import binary
from gdpipe.numerics.problem.relations import Relation, Rounding, rounded_relation


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
        within = loss_within(eliminated, scaling.select(others))
        if is_independent(within):
            absorbed = Absorbed.of(of_varying, scaling, eliminated, range(len(varying)), within=within)
            return Dependencies(constant, (), [], None), absorbed
    found = _Search(of_varying, resolution[varying], scaling, eliminated)
    found.of_block()
    found.exact()
    found.others()
    if drop:
        chosen = of_varying.select([*found.kept, len(varying)])
        absorbed = Absorbed.of(chosen, scaling.select(found.kept), found.eliminated, range(len(found.kept)))
    else:
        absorbed = Absorbed.of(of_varying, scaling, found.eliminated, found.kept, found.relations)
    if found.smallest_eigenvalue is not None:
        absorbed = replace(absorbed, within=absorbed.within.at_least(found.smallest_eigenvalue))
    relations = [
        replace(relation, coefficients=_spread(relation.coefficients, varying, p)) for relation in found.relations
    ]
    redundant = sorted(varying[i] for i in found.redundant)
    return Dependencies(constant, tuple(relations), redundant, found.smallest_eigenvalue), absorbed


class _Search:
    """The relations among terms that vary, one kind after the other; each takes its redundant terms from what is left.

    Attributes:
        relations: The relations so far.
        redundant: Places of one term of each of them.
        kept: Places of all other terms, ascending.
        eliminated: What is left of these when the block is eliminated.
        smallest_eigenvalue: As in `Dependencies`, of what is left; known once all relations are.
    """

    def __init__(
        self, cross: BlockProducts, resolution: NDArray[np.float64], scaling: Scaling, eliminated: Eliminated
    ) -> None:
        self._cross, self._resolution, self._scaling = cross, resolution, scaling
        self.eliminated = eliminated
        self.relations: list[Relation] = []
        self.redundant: list[int] = []
        self.kept = list(range(len(scaling.scales)))
        self.smallest_eigenvalue: float | None = None

    def of_block(self) -> None:
        """The block's terms may add up to 1: its last one then stands for the reference, which has no rows."""
        if not self.eliminated.has_no_intercept_left:
            return
        moments = self._cross.moments
        sums = zip(moments.block.tolist(), moments.sums[moments.block], moments.diagonal, strict=True)
        self._holds_exactly({j: binary(int(s), -int(moments.exponents[j]), int(d)) for j, s, d in sums})
        self.redundant.append(self.kept.pop(int(moments.block[-1])))
        self.eliminated = Eliminated.of(self._cross.select([*self.kept, len(self._scaling.scales)]))

    def exact(self) -> None:
        """Relations of simple fractions, which are found modulo a prime."""
        places = []
        for weights in self.eliminated.relations():
            terms = self._with_block(weights)
            if _holds(self._cross, terms):
                self._holds_exactly(terms)
                places.append(next(iter(weights)))
        self._without(places)

    def others(self) -> None:
        """Relations of any fractions, and those that hold to rounding."""
        others = self.eliminated.moments.others[:-1].tolist()
        places = [self.kept[j] for j in others]
        whole = loss_within(self.eliminated, self._scaling.select(places))
        within, scaling = whole.cross, whole.scaling
        assert isinstance(within, ExactProducts)
        # within the levels means are zero and spreads smaller, but values are rounded as they are
        rounding = Rounding(self.eliminated.cross.of_others(), scaling, self._resolution[places])
        varying = [i for i, square in enumerate(within.products.diagonal()[:-1]) if square]
        problem = LeastSquares.of(within.select([*varying, len(others)]), scaling.select(varying))
        found = Dependencies.of(within, problem, scaling=scaling, rounding=rounding)
        for i in found.constant:
            self._holds_exactly(self._with_block({others[i]: Fraction(1)}))
        for relation in found.relations:
            terms = self._with_block({others[i]: relation.coefficients[i] for i in relation.features})
            if relation.exact:
                self._holds_exactly(terms)
            else:
                [last] = (places[i] for i in relation.features if i in found.redundant)
                self._holds_to_rounding(terms, last, decimal=relation.decimal)
        self._without([others[i] for i in [*found.constant, *found.redundant]])
        self.smallest_eigenvalue = found.smallest_eigenvalue

    def _holds_exactly(self, terms: dict[int, Fraction]) -> None:
        self.relations.append(exact_relation(self._scaling.means, terms))

    def _holds_to_rounding(self, terms: dict[int, Fraction], last: int, *, decimal: bool) -> None:
        weights = {j: -weight / terms[last] for j, weight in terms.items() if j != last}
        rounding = Rounding(self._cross, self._scaling, self._resolution)
        self.relations.append(rounded_relation(self._cross, self._scaling, weights, last, rounding, decimal=decimal))

    def _with_block(self, weights: dict[int, Fraction]) -> dict[int, Fraction]:
        """A relation within levels, with what the block's terms take part in it, by their places among all terms."""
        return {self.kept[j]: weight for j, weight in (weights | self.eliminated.of_block(weights)).items()}

    def _without(self, places: list[int]) -> None:
        """Take redundant terms, by their places among those left, from what is left."""
        self.redundant += [self.kept[j] for j in places]
        self.kept = [j for j in self.kept if j not in self.redundant]
        self.eliminated = self.eliminated.without(places)


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
