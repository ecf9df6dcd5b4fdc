"""Least squares with many terms of which one block shares no rows, such as the levels of a large category.

Given the other coefficients, the block's best ones follow at once, as the products of the block with itself are a
diagonal. So they are eliminated, exactly, and descent is on the others alone: the category is absorbed (Frisch & Waugh
1933, Econometrica 1:387-401; Lovell 1963, J. Am. Stat. Assoc. 58:993-1010; the within transformation).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.absorbed_inverse import AbsorbedInverse
from gdpipe.numerics.problem.baseline import Baseline, solve_many
from gdpipe.numerics.problem.block_products import BlockProducts
from gdpipe.numerics.problem.covariance import Scaling
from gdpipe.numerics.problem.eliminated import Eliminated
from gdpipe.numerics.problem.fixed_cholesky import fixed_product, solve_fixed
from gdpipe.numerics.problem.fixed_point import FIXED_POINT_BITS, to_fixed, to_float
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.rational import dot
from gdpipe.numerics.problem.relations import Relation

# after the point: of a coefficient in steps of grids, and of a quotient of sums before it is rounded to float64
STEP_BITS, QUOTIENT_BITS = 384, 128
# of the target's variance: a smaller loss is none
NO_LOSS = 2.0**-200
# of the standard deviation: what varies less within levels may be constant there but for rounding
LEAST_WITHIN = 2.0**-20
# with more other terms the rational solution takes longer than all else
RATIONAL_TERMS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Absorbed:
    """The mean squared error as a function of the standardized coefficients of p terms, some of them absorbed.

    Where terms depend on others, all is computed without the redundant ones, with m independent terms of the block and
    q others, and then the coefficients of all p terms are those of least norm.

    Attributes:
        cross: The covariances of [terms..., target]; no term is constant.
        scaling: The scaling of the same columns.
        eliminated: What is left of the independent terms when the block is eliminated.
        block: Places of the block's independent terms, shape (m,).
        others: Places of the other independent terms, ascending, shape (q,).
        within: The loss as a function of the others' coefficients, where those of the block are the best for them; in
            target SDs per SD within levels.
        at_zero: The block's coefficients where those of the others are zero, shape (m,).
        slopes: What one unit of the others' coefficients takes from them, shape (m, q).
        spread: With `direction` the inverse of the block's correlations, diag(spread) + direction·directionᵀ; shape
            (m,).
        direction: Shape (m,); zeros without an intercept.
        null_space: The directions in which the loss does not change, shape (p, r), Python integers.
    """

    cross: BlockProducts
    scaling: Scaling
    eliminated: Eliminated
    block: NDArray[np.intp]
    others: NDArray[np.intp]
    within: LeastSquares
    at_zero: NDArray[np.float64]
    slopes: NDArray[np.float64]
    spread: NDArray[np.float64]
    direction: NDArray[np.float64]
    null_space: NDArray[np.object_]

    @classmethod
    def of(
        cls,
        cross: BlockProducts,
        scaling: Scaling,
        eliminated: Eliminated,
        independent: Sequence[int],
        relations: Sequence[Relation] = (),
        within: LeastSquares | None = None,
    ) -> "Absorbed":
        """The loss from covariances and scaling of [terms..., target].

        Args:
            cross: The covariances; no term is constant.
            scaling: The scaling of the same columns.
            eliminated: What is left of the independent terms when the block is eliminated.
            independent: Their places, ascending: those of all terms that are not redundant.
            relations: The relations among the terms, one for each redundant one.
            within: The loss without the block, if it is known.
        """
        chosen = np.array(independent, np.intp)
        moments, weight, line = eliminated.moments, eliminated.moments.weight, eliminated.of_intercept
        rest, in_block = moments.of_others(), moments.sums[moments.block]
        block, others = chosen[moments.block], chosen[moments.others[:-1]]
        of_others = scaling.select(others.tolist())
        scales = [*of_others.scales.tolist(), scaling.target_scale]
        quotients = (moments.border << QUOTIENT_BITS) // moments.diagonal[:, None]
        steps = np.ldexp(scaling.scales[block], -moments.exponents[moments.block])
        direction = np.zeros(len(block))
        if line is not None:
            means = (line[1:] << QUOTIENT_BITS) // line[0]
            quotients = quotients - np.multiply.outer(in_block, means) // moments.diagonal[:, None]
            left_weight = float(Fraction(eliminated.denominator * weight, int(line[0])))
            direction = (in_block / moments.diagonal).astype(np.float64) * steps * math.sqrt(left_weight)
        slopes = to_float(quotients, QUOTIENT_BITS) * np.divide.outer(steps, np.ldexp(scales, -rest.exponents))
        return cls(
            cross=cross,
            scaling=scaling,
            eliminated=eliminated,
            block=block,
            others=others,
            within=within or loss_within(eliminated, of_others),
            at_zero=slopes[:, -1],
            slopes=slopes[:, :-1],
            spread=(weight / moments.diagonal).astype(np.float64) * steps**2,
            direction=direction,
            null_space=_directions(relations, scaling),
        )

    @property
    def independent(self) -> NDArray[np.intp]:
        """Places of the terms that are not redundant, ascending, shape (m + q,)."""
        return np.sort(np.concatenate([self.block, self.others]))

    def alone(self, among: Sequence[int]) -> LeastSquares:
        """The loss of some of the others, which are places among them, where all other terms are left out."""
        cross = self.eliminated.cross.of_others().select([*among, len(self.others)])
        return LeastSquares.of(cross, self.scaling.select(self.others[list(among)].tolist()))

    @property
    def n_features(self) -> int:
        """The number of terms, p."""
        return len(self.scaling.scales)

    @property
    def variance(self) -> float:
        """The loss's unit in the target's unit squared: target_scale²."""
        return self.within.variance

    @property
    def condition_number(self) -> float:
        """That of the loss on which descent is: without the block."""
        return self.within.condition_number

    @property
    def lipschitz(self) -> float:
        """A bound on the largest eigenvalue of the independent terms' correlations: the block's plus the others'."""
        of_others = float(np.abs(self.alone(range(len(self.others))).hessian).sum(axis=1).max(initial=0.0))
        return of_others + float((1 / self.spread).max(initial=0.0))

    @property
    def projection_error(self) -> float:
        """The length left along the null space after a projection, relative to the vector."""
        return 4 * self.n_features * float(np.finfo(np.float64).eps) if self.null_space.size else 0.0

    @property
    def stretch(self) -> float:
        """The largest distance of all coefficients to the optimum where that of those of `within` is 1."""
        ratios = self._ratios
        slopes = self.slopes * ratios
        return math.sqrt(float(np.linalg.eigvalsh(slopes.T @ slopes + np.diag(ratios**2)).max(initial=1.0)))

    def expanded(self, coef_scaled: Sequence[float | Fraction]) -> tuple[Fraction, ...]:
        """The coefficients of all terms, shape (p,), from those of `within`, shape (q,); right to 70 digits."""
        moments, line = self.eliminated.moments, self.eliminated.of_intercept
        scales = zip(self.scaling.scales[self.others].tolist(), self.within.scaling.scales.tolist(), strict=True)
        of_others = [Fraction(w) * Fraction(s) / Fraction(t) for w, (s, t) in zip(coef_scaled, scales, strict=True)]
        steps = self._in_steps(to_fixed(of_others), self.others)
        right = (moments.border[:, -1] << STEP_BITS) - moments.border[:, :-1] @ steps
        if line is not None:
            right = right - moments.sums[moments.block] * (((line[-1] << STEP_BITS) - line[1:-1] @ steps) // line[0])
        fixed = np.full(self.n_features, 0, object)
        above, below = self._units(self.block)
        fixed[self.block] = (right * below << FIXED_POINT_BITS) // (moments.diagonal * above << STEP_BITS)
        if not self.null_space.size:
            coef = [Fraction(int(v), 1 << FIXED_POINT_BITS) for v in fixed]
            for place, w in zip(self.others.tolist(), of_others, strict=True):
                coef[place] = w
            return tuple(coef)
        fixed[self.others] = to_fixed(of_others)
        directions = self.null_space
        along = (directions.T @ fixed) >> FIXED_POINT_BITS
        parts = solve_fixed(fixed_product(directions.T, directions), along)
        left = (fixed << FIXED_POINT_BITS) - directions @ parts
        return tuple(Fraction(int(v), 1 << 2 * FIXED_POINT_BITS) for v in left)

    def along(self, path: NDArray[np.float64]) -> NDArray[np.float64]:
        """The coefficients of all terms, shape (n, p), at each point of a path of those of `within`, shape (n, q)."""
        whole, of_others = np.zeros((len(path), self.n_features)), path * self._ratios
        whole[:, self.others], whole[:, self.block] = of_others, self.at_zero - of_others @ self.slopes.T
        if self.null_space.size:
            basis = np.linalg.qr(to_float(self.null_space))[0]
            whole -= (whole @ basis) @ basis.T
        return whole

    def of_descent(self, whole: NDArray[np.float64]) -> NDArray[np.float64]:
        """The coefficients of `within` at points of all terms', shape (n, p) to (n, q): what `along` was made of."""
        of_others: NDArray[np.float64] = whole[:, self.others] / self._ratios
        if not self.null_space.size:
            return of_others
        lost = np.setdiff1d(np.arange(self.n_features), [*self.block, *self.others])
        directions = to_float(self.null_space)
        # what a redundant term has is given back along the directions, in which it stands
        parts = np.linalg.solve(directions[lost], whole[:, lost].T)
        of_others -= (directions[self.others] @ parts).T / self._ratios
        return of_others

    def optimum(self) -> Baseline:
        """The least-squares coefficients of all terms."""
        found = solve_many(self.within, (), RATIONAL_TERMS)
        # on grids of 62 bits no loss is so small but for what elimination has rounded
        loss = found.loss if found.loss > self.variance * NO_LOSS else 0.0
        return Baseline(self.expanded(found.coef_scaled), loss)

    def loss(self, coef_scaled: Sequence[float]) -> float:
        """The loss at coefficients of all terms, shape (p,), rounded once; in the target's unit squared."""
        coef, _ = self.scaling.to_original(coef_scaled)
        line = [*(-c for c in coef), Fraction(1)]
        return float(max(dot(line, self.cross.covariances_with(line)), Fraction(0)))

    def excess_loss(self, difference: NDArray[np.object_]) -> float:
        """The loss above the optimum's: dᵀAd·variance for d = w - w* in units of 2^-256, rounded once."""
        moments = self.cross.moments
        steps = self._in_steps(difference, np.arange(self.n_features))
        in_block, outside = steps[moments.block], steps[moments.others[:-1]]
        square = moments.diagonal @ in_block**2 + outside @ (
            moments.corner[:-1, :-1] @ outside + 2 * (in_block @ moments.border[:, :-1])
        )
        total = moments.weight * int(square) - (int(moments.sums[:-1] @ steps) ** 2 if self.cross.centred else 0)
        target_step = Fraction(2) ** int(moments.exponents[-1])
        return float(Fraction(max(total, 0), moments.weight**2) * (target_step / 2**STEP_BITS) ** 2)

    def inverse(self, factor: NDArray[np.float64]) -> AbsorbedInverse:
        """The inverse of the independent terms' correlations, where that of `within` is factor·factorᵀ; (q, q)."""
        moments = self.eliminated.moments
        places = moments.block, moments.others[:-1]
        return AbsorbedInverse(*places, self.spread, self.direction, self.slopes, self._ratios[:, None] * factor)

    def explained(self, vector: NDArray[np.float64]) -> float:
        """bᵀA⁻¹b, with A the correlations of the independent terms, and b of all terms, shape (p,)."""
        in_block = vector[self.block]
        along = self.within.modes.T @ (self._ratios * (vector[self.others] - in_block @ self.slopes))
        of_block = float(self.spread @ in_block**2) + float(self.direction @ in_block) ** 2
        return of_block + float(along**2 @ (1.0 / self.within.eigenvalues))

    @property
    def _ratios(self) -> NDArray[np.float64]:
        """The others' standard deviations by those within levels, shape (q,)."""
        ratios: NDArray[np.float64] = self.scaling.scales[self.others] / self.within.scaling.scales
        return ratios

    def _units(self, places: NDArray[np.intp]) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """Standardized coefficients of 1 in steps of the target's grid per step of terms', as quotients of integers."""
        exponents = self.cross.moments.exponents
        above, below = self.scaling.target_scale.as_integer_ratio()
        scales = [scale.as_integer_ratio() for scale in self.scaling.scales[places].tolist()]
        powers = (exponents[places] - exponents[-1]).astype(object)
        numerators = above * np.array([of_scale for _, of_scale in scales], object)
        denominators = below * np.array([scale for scale, _ in scales], object)
        return numerators << np.maximum(powers, 0), denominators << np.maximum(-powers, 0)

    def _in_steps(self, fixed: NDArray[np.object_], places: NDArray[np.intp]) -> NDArray[np.object_]:
        """Coefficients in units of 2^-256 in steps of grids, in units of 2^-384."""
        above, below = self._units(places)
        steps: NDArray[np.object_] = (fixed * above << STEP_BITS - FIXED_POINT_BITS) // below
        return steps


def loss_within(eliminated: Eliminated, scaling: Scaling) -> LeastSquares:
    """The loss without the block as a function of the others' coefficients, standardized within levels.

    What hardly varies within levels keeps a part of its whole scale, as it may be nothing but rounding.

    Args:
        eliminated: What is left when the block is eliminated.
        scaling: That of the others.
    """
    cross = eliminated.within()
    scales = np.maximum(cross.scales()[:-1], scaling.scales * LEAST_WITHIN)
    return LeastSquares.of(cross, replace(scaling, scales=scales))


def _directions(relations: Sequence[Relation], scaling: Scaling) -> NDArray[np.object_]:
    """The relations as directions among standardized coefficients in units of 2^-256, shape (p, r)."""
    directions = np.full((len(scaling.scales), len(relations)), 0, object)
    for k, relation in enumerate(relations):
        terms = {j: relation.coefficients[j] * Fraction(float(scaling.scales[j])) for j in relation.features}
        largest = max(abs(term) for term in terms.values())
        directions[list(terms), k] = to_fixed([term / largest for term in terms.values()])
    return directions
