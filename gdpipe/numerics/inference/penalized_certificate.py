"""The certificate of a fit with a penalty: the distance to the proven optimum, and the verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gdpipe.numerics.descent.descent import Solution, Status
from gdpipe.numerics.descent.penalized_plan import nine_digits
from gdpipe.numerics.inference.certificate import MAX_ROW_ROUNDING, UNCHECKED, unfinished
from gdpipe.numerics.problem.fixed_point import FIXED_POINT_BITS, to_fixed
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.penalized_baseline import PenalizedBaseline
from gdpipe.numerics.problem.penalty import Penalty, duality_gap
from gdpipe.numerics.rows.row_checks import RowCheck


@dataclass(frozen=True, slots=True)
class PenalizedCertificate:
    """Distances to the optimum, and the verdict.

    Attributes:
        coef_gap: max |w - w*|, standardized; NaN where dependent terms make other coefficients as good.
        fit_gap: A bound of the root mean square of the difference to the optimum's predictions, in target SDs:
            √(2·duality gap), evaluated exactly.
        excess_loss: A bound of loss + 2·variance·penalty above its least value, in the target's unit squared.
        proven: Whether the optimum satisfies its (KKT) conditions exactly, between rationals; otherwise the duality
            gap bounds what it may lack.
        row_gradient: The largest violation of the conditions by the raw rows, in units of the target's variance; NaN
            where no row was read again, which passes.
        passed: Whether the descent converged, every number is within its limit, and, with an l1 penalty, the terms that
            are zero are those of the optimum.
        reason: Why the fit passed, or which numbers are above their limits.
    """

    coef_gap: float
    fit_gap: float
    excess_loss: float
    proven: bool
    row_gradient: float
    passed: bool
    reason: str

    @property
    def coef_gap_se(self) -> float:
        """NaN: there are no standard errors."""
        return math.nan

    @property
    def disagreement(self) -> float:
        """NaN: it is the optimum that counts, not the limits by term of least squares."""
        return math.nan

    @property
    def proof(self) -> str:
        """What holds the optimum."""
        if self.proven:
            return "KKT conditions hold in rational arithmetic"
        return "duality gap evaluated exactly"


def certify_penalized(
    problem: LeastSquares,
    penalty: Penalty,
    solution: Solution,
    baseline: PenalizedBaseline,
    terms: Sequence[str],
    row_gradient: float = math.nan,
    row_rounding: float = 0.0,
    row_checks: Sequence[RowCheck] = (),
) -> PenalizedCertificate:
    """The certificate of a solution, from the optimum.

    Args:
        problem: The loss.
        penalty: The penalty.
        solution: The end of the descent.
        baseline: The optimum.
        terms: The terms' names, shape (p,).
        row_gradient: The largest of |`least_subgradient`| at w, with the gradient -mean(e·z)/target_scale + l2·w from
            the raw rows; NaN where no row was read again.
        row_rounding: What the rounding of predictions can add to `row_gradient`.
        row_checks: Other numbers on which rows and sums must agree; empty where no row was read again.
    """
    quadratic, tolerance = problem.ridge(penalty.l2), solution.plan.tolerance
    coef = solution.coef_scaled.tolist()
    gap = duality_gap(quadratic, penalty.l1, coef, baseline.coef_scaled)
    fit_gap = math.sqrt(2 * gap)
    coef_gap = math.nan
    if baseline.unique:
        difference = np.abs(to_fixed(coef) - to_fixed(baseline.coef_scaled)).max(initial=0)
        own = math.sqrt(2 * baseline.duality_gap / baseline.convexity)
        coef_gap = int(difference) / (1 << FIXED_POINT_BITS) + own
    # with every gap within tolerance, ||w - w*||² <= p·tolerance², dᵀAd <= L·||d||², and ||A d|| <= L·||d||
    length = math.sqrt(problem.n_features) * tolerance
    checks = (
        ("coef_gap", coef_gap, min(tolerance, nine_digits(np.array([float(w) for w in baseline.coef_scaled])))),
        ("fit_gap", fit_gap, math.sqrt(quadratic.lipschitz) * length),
        ("row_gradient", row_gradient, quadratic.lipschitz * length + row_rounding),
        (
            "the rounding of predictions in target SDs (centre features that hardly vary)",
            row_rounding,
            MAX_ROW_ROUNDING,
        ),
        *((check.name, check.value, check.limit) for check in row_checks),
    )
    failures = [f"{name} {value:.3g} is above its limit {limit:.3g}" for name, value, limit in checks if value > limit]
    if baseline.unique and penalty.l1:  # without, no coefficient is zero by the penalty
        signs = np.array([(w > 0) - (w < 0) for w in baseline.coef_scaled], int)
        other = np.flatnonzero((np.sign(coef) != signs) & ~baseline.undecided).tolist()
        failures += [
            f"{terms[j]} is {coef[j]:.3g} and {float(baseline.coef_scaled[j]):.3g} at the optimum" for j in other
        ]
    if solution.status is not Status.CONVERGED:
        failures = [unfinished(solution)]
    reason = "; ".join(failures) or Status.CONVERGED.value + _proof(baseline, terms)
    unchecked = UNCHECKED if math.isnan(row_gradient) else ""
    return PenalizedCertificate(
        coef_gap, fit_gap, 2 * problem.variance * gap, baseline.proven, row_gradient, not failures, reason + unchecked
    )


def _proof(baseline: PenalizedBaseline, terms: Sequence[str]) -> str:
    """The end of a reason to pass: how the optimum is proven, and what it leaves open."""
    how = f"the optimum's duality gap is {baseline.duality_gap:.2g} target variances"
    if baseline.proven:
        how = "the optimum is proven exactly"
    if not baseline.unique:
        how += "; other coefficients of dependent terms are as good, and have the same predictions"
    elif baseline.undecided.any():
        names = ", ".join(terms[j] for j in np.flatnonzero(baseline.undecided).tolist())
        how += f"; at this alpha about to enter or leave: {names}"
    return f"; {how}"
