"""The certificate: the distance from the end of a descent to the exact optimum, and the verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import Solution, Status
from gdpipe.numerics.descent.plan import MAX_GAP_SE, NEGLIGIBLE_GAP
from gdpipe.numerics.problem.absorbed import Absorbed
from gdpipe.numerics.problem.fixed_point import FIXED_POINT_BITS, to_fixed
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.rows.row_checks import RowCheck
from gdpipe.printable import counted

# largest rounding of predictions, in target SDs, with which the rows can still prove something
MAX_ROW_ROUNDING = 1e-4
UNCHECKED = "; not checked against the rows, none of which was read again"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Distances to the optimum, and the verdict.

    Attributes:
        coef_gap: max |w - w*|, standardized.
        coef_gap_se: The largest gap in standard errors; NaN where there are none.
        disagreement: The largest distance of a term (or of the intercept) to OLS, divided by its limit: 1e-9 of the OLS
            estimate, 0.001 of its standard error, or what float64 allows, whichever is largest.
        excess_loss: (w - w*)ᵀA(w - w*) · variance, in the target's unit squared. It has no limit of its own: the limit
            of `coef_gap` bounds it.
        row_gradient: max |mean(e·z)| / target_scale over the raw rows, which is zero at the optimum; NaN where no row
            was read again, which passes.
        passed: Whether the descent converged and every number is within its limit.
        reason: Why the fit passed, or which numbers are above their limits.
    """

    coef_gap: float
    coef_gap_se: float
    disagreement: float
    excess_loss: float
    row_gradient: float
    passed: bool
    reason: str


def certify(
    problem: LeastSquares | Absorbed,
    solution: Solution,
    optimum: Sequence[Fraction],
    agreement: Agreement,
    terms: Sequence[str],
    row_gradient: float,
    row_rounding: float,
    row_checks: Sequence[RowCheck] = (),
) -> Certificate:
    """The certificate of a solution, from the exact optimum.

    Args:
        problem: The loss.
        solution: The end of the descent.
        optimum: w*, shape (p,).
        agreement: The limits of each term, from the same optimum and its standard errors.
        terms: The terms' names, the intercept's first, shape (p + 1,).
        row_gradient: max |mean(e·z)| / target_scale from the raw rows; NaN where no row was read again.
        row_rounding: What the rounding of predictions can add to `row_gradient`.
        row_checks: Other numbers on which rows and sums must agree; empty where no row was read again.
    """
    tolerance = solution.plan.tolerance
    # subtracted before rounding, so that no digits cancel
    difference = to_fixed(solution.coef_scaled.tolist()) - to_fixed(optimum)
    term_gaps = agreement.gaps(np.array([int(d) / (1 << FIXED_POINT_BITS) for d in difference]))
    gaps, std_error_scaled, limits = term_gaps[1:], agreement.std_error[1:], agreement.limits
    worst = int(np.argmax(term_gaps / limits))
    coef_gap = float(gaps.max(initial=0.0))
    measurable = std_error_scaled > 0
    coef_gap_se = float((gaps[measurable] / std_error_scaled[measurable]).max()) if measurable.any() else math.nan
    excess = problem.excess_loss(difference)
    # with every gap within tolerance, ||w - w*||² <= p·tolerance², and ||A d|| <= L·||d||
    gradient_limit = problem.lipschitz * math.sqrt(problem.n_features) * tolerance + row_rounding
    rounding = problem.projection_error * float(np.linalg.norm(solution.coef_scaled))
    checks = (
        ("coef_gap", coef_gap, tolerance),
        ("coef_gap_se", coef_gap_se, MAX_GAP_SE if coef_gap > NEGLIGIBLE_GAP + rounding else math.inf),
        (f"the distance of {terms[worst]!r} to OLS in target SDs", float(term_gaps[worst]), float(limits[worst])),
        ("row_gradient", row_gradient, gradient_limit),
        (
            "the rounding of predictions in target SDs (centre features that hardly vary)",
            row_rounding,
            MAX_ROW_ROUNDING,
        ),
        *((check.name, check.value, check.limit) for check in row_checks),
    )
    failures = [f"{name} {value:.3g} is above its limit {limit:.3g}" for name, value, limit in checks if value > limit]
    if solution.status is not Status.CONVERGED:
        failures = [unfinished(solution)]
    unchecked = UNCHECKED if math.isnan(row_gradient) else ""
    return Certificate(
        coef_gap,
        coef_gap_se,
        float(term_gaps[worst] / limits[worst]),
        excess,
        row_gradient,
        not failures,
        ("; ".join(failures) or Status.CONVERGED.value + _coarser(term_gaps, agreement, terms)) + unchecked,
    )


def unfinished(solution: Solution) -> str:
    """The reason why a descent that did not converge does not pass, and the remedy."""
    forecast = solution.plan.forecast_iterations
    needed = "forecast: never" if forecast is None else f"forecast: {forecast:,}"
    steps = counted(solution.iterations, "step")
    return f"stopped after {steps} of {solution.plan.method} ({needed}): {solution.status.value}"


def _coarser(term_gaps: NDArray[np.float64], agreement: Agreement, terms: Sequence[str]) -> str:
    """The end of the reason that names the terms which float64 keeps farther from OLS than wanted; else empty."""
    places = np.flatnonzero(term_gaps > agreement.wanted).tolist()
    if not places:
        return ""
    worst = max(places, key=lambda i: float(term_gaps[i] / agreement.wanted[i]) if agreement.wanted[i] else math.inf)
    others = f" (and {len(places) - 1:,} more)" if len(places) > 1 else ""
    return (
        f"; {terms[worst]} lies {term_gaps[worst]:.2g} target SDs from OLS{others}, not within 1e-9 of it or 0.001 "
        "standard errors: coefficients rounded to float64 come no nearer"
    )
