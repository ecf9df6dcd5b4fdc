"""Sums of products when a block of terms that share no rows is eliminated, exactly.

With Z = [1, x, y] the columns outside the block, 1 only where there is an intercept, d the diagonal of the block's
products with itself and B = Σw·block·Zᵀ, what is left of Z's is

    N = ZᵀZ - Bᵀ·d⁻¹·B,   and then without the intercept   R = N - N₁·N₁ᵀ / N₁₁,

all of it in integers over one denominator. For the levels of a category R has the sums within levels.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import nmod_mat
from numpy.typing import NDArray

from gdpipe.numerics.problem.block_products import BlockProducts
from gdpipe.numerics.problem.covariance import ExactProducts
from gdpipe.numerics.problem.dependencies import PRIMES, integer_matrix
from gdpipe.numerics.sums.block_moments import BlockMoments

# the common denominator of the diagonal where it is no longer than this; else 1/d is rounded down to so many bits,
# which is right to a hundred digits and more
DENOMINATOR_BITS = 512
# an intercept of which the block leaves no more than this part is one that it gives
LEAST_INTERCEPT_BITS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Eliminated:
    """N, over a common denominator.

    Attributes:
        cross: The covariances of [terms..., target]; no term is constant.
        denominator: A positive integer.
        left: denominator · N, of [1, others..., target] where there is an intercept, else of [others..., target].
    """

    cross: BlockProducts
    denominator: int
    left: NDArray[np.object_]

    @classmethod
    def of(cls, cross: BlockProducts) -> "Eliminated":
        """N, from the covariances of [terms..., target]."""
        moments = cross.moments
        beside, corner = _beside(cross)
        denominator = 1
        for square in moments.diagonal.tolist():
            denominator = math.lcm(denominator, square)
            if denominator.bit_length() > DENOMINATOR_BITS:
                denominator = 1 << DENOMINATOR_BITS
                break
        shares = (denominator // moments.diagonal)[:, None]
        absorbed = (integer_matrix(beside).transpose() * integer_matrix(beside * shares)).entries()
        left = denominator * corner - np.array([int(v) for v in absorbed], object).reshape(corner.shape)
        if cross.centred and (moments.diagonal == moments.sums[moments.block]).all():
            # of terms that are 0 or 1 the shares of the intercept are whole numbers, whatever the denominator
            left[0] = left[:, 0] = denominator * (corner[0] - beside.sum(axis=0))
        return cls(cross, denominator, left)

    def without(self, others: Sequence[int]) -> "Eliminated":
        """The same without some of the other terms, whose places are given."""
        kept = [j for j in range(len(self.moments.sums)) if j not in set(others)]
        rows = np.flatnonzero(~np.isin(self.moments.others, list(others))) + self.cross.centred
        if self.cross.centred:
            rows = np.concatenate([[0], rows])
        return Eliminated(self.cross.select(kept), self.denominator, self.left[np.ix_(rows, rows)])

    @property
    def moments(self) -> BlockMoments:
        """The sums that all of it is made of."""
        return self.cross.moments

    @property
    def of_intercept(self) -> NDArray[np.object_] | None:
        """N's line of the intercept; None without one."""
        return self.left[0] if self.cross.centred else None

    @property
    def has_no_intercept_left(self) -> bool:
        """Whether the block's terms add up to the intercept, as those of a category do whose reference has no rows."""
        line = self.of_intercept
        return line is not None and line[0] << LEAST_INTERCEPT_BITS <= self.denominator * self.moments.weight

    def within(self) -> ExactProducts:
        """R of [others..., target], as second moments: the intercept is gone."""
        left, denominator = self.left, self.denominator
        if (line := self.of_intercept) is not None:
            left, denominator = left[1:, 1:] * line[0] - np.outer(line[1:], line[1:]), denominator * line[0]
        weight = denominator * self.moments.weight
        return ExactProducts(
            n_samples=self.cross.n_samples,
            total_weight=self.cross.total_weight,
            centred=False,
            weight=weight,
            sums=np.full(len(left), 0, object),
            products=left * weight,
            exponents=self.moments.of_others().exponents,
        )

    def relations(self) -> Iterator[dict[int, Fraction]]:
        """Combinations of the others that are constant within levels: weights in original units, by place.

        They are found modulo a prime, as fractions of small numbers, and have to be checked; others may be missed. Of
        each the last term is redundant.
        """
        moments = self.moments
        beside, corner = _beside(self.cross)
        beside, corner = beside[:, :-1], corner[:-1, :-1]
        prime = next(prime for prime in PRIMES if (moments.diagonal % prime).all())
        inverses = np.array([pow(int(square), -1, prime) for square in moments.diagonal], object)
        reduced, shares = _modulo(beside, prime), _modulo(beside * inverses[:, None], prime)
        left, rank = (_modulo(corner, prime) - reduced.transpose() * shares).rref()
        size = len(corner)
        pivots = [next(c for c in range(size) if int(left[r, c])) for r in range(rank)]
        first = int(self.cross.centred)
        for column in sorted(set(range(first, size)) - set(pivots)):
            dependent = int(moments.others[column - first])
            weights = {dependent: Fraction(1)}
            for row, pivot in enumerate(pivots):
                if pivot >= first and (entry := int(left[row, column])):
                    place = int(moments.others[pivot - first])
                    power = int(moments.exponents[dependent] - moments.exponents[place])
                    weights[place] = -_fraction(entry * pow(2, power, prime) % prime, prime)
            yield weights

    def of_block(self, weights: Mapping[int, Fraction]) -> dict[int, Fraction]:
        """The block's part of a relation, from that of the others: weights in original units, by place.

        A combination of the others that is constant within each level differs between levels by what the block gives.
        """
        moments = self.moments
        units = {j: w * Fraction(2) ** int(moments.exponents[j]) for j, w in weights.items()}
        common = math.lcm(*(unit.denominator for unit in units.values()))
        places, steps = (
            np.searchsorted(moments.others, [*units]),
            np.array([int(u * common) for u in units.values()], object),
        )
        found, in_block, mean = moments.border[:, places] @ steps, moments.sums[moments.block], Fraction(0)
        if (line := self.of_intercept) is not None:
            mean = Fraction(int(line[1 + places] @ steps), int(line[0]))
        numerators = found * mean.denominator - in_block * mean.numerator
        return {
            place: Fraction(-int(above), int(square) * mean.denominator * common)
            / Fraction(2) ** int(moments.exponents[place])
            for place, above, square in zip(moments.block.tolist(), numerators, moments.diagonal, strict=True)
            if above
        }


def _beside(cross: BlockProducts) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """B and ZᵀZ, of Z = [1, others..., target], the 1 only where there is an intercept."""
    moments, rest = cross.moments, cross.moments.of_others()
    if not cross.centred:
        return moments.border, rest.products
    total = np.array([[rest.weight]], object)
    corner = np.block([[total, rest.sums[None]], [rest.sums[:, None], rest.products]])
    return np.column_stack([moments.sums[moments.block], moments.border]), corner


def _modulo(values: NDArray[np.object_], prime: int) -> nmod_mat:
    """A FLINT matrix of Python integers modulo a prime."""
    rows, columns = values.shape
    return nmod_mat(rows, columns, (values % prime).ravel().tolist(), prime)


def _fraction(residue: int, prime: int) -> Fraction:
    """The fraction with that residue whose numerator and denominator are below √(prime / 2), if there is one.

    Rational reconstruction: von zur Gathen & Gerhard (2013), *Modern Computer Algebra*, section 5.10.
    """
    (before, now), (above, below) = (prime, residue), (0, 1)
    while 2 * now * now > prime:
        quotient = before // now
        before, now = now, before - quotient * now
        above, below = below, above - quotient * below
    return Fraction(now, below)
