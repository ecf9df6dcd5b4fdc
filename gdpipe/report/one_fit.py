"""The terms of a run as one fit: the descent's where it reached the exact answer, and else the exact answer's."""

from collections.abc import Sequence
from typing import Any

# the column of the descent's own estimates in tables of another fit
UNFINISHED = "unfinished estimate"
# how columns of the exact answer are headed
OF_OLS = {"estimate": "ols_estimate", "estimate_scaled": "ols_estimate_scaled"}


def of_one_fit(terms: Sequence[dict[str, Any]], target_scale: float, *, passed: bool) -> list[dict[str, Any]]:
    """The rows of `parameters` with estimates that belong to their standard errors.

    Standard errors, t, p and intervals are those of ordinary least squares. A descent that passed has its estimates; of
    one that did not, `estimate` and `estimate_scaled` become those of ordinary least squares, and its own stand apart.

    Args:
        terms: Rows of `parameters`.
        target_scale: The target's scale, of `metrics`.
        passed: Whether the descent passed validation.
    """
    if passed:
        return list(terms)
    return [
        {
            **term,
            "estimate": term["ols_estimate"],
            "estimate_scaled": _scaled(term, target_scale),
            UNFINISHED: term["estimate"],
        }
        for term in terms
    ]


def fit_shown(
    terms: Sequence[dict[str, Any]], verdict: dict[str, Any], target_scale: float
) -> tuple[list[dict[str, Any]], bool]:
    """The rows of `parameters` as summary and pages show them, and whether they are of the descent.

    With a penalty they always are: the exact optimum has no standard errors, which could be taken for those of the
    estimate.

    Args:
        terms: Rows of `parameters`.
        verdict: The row of `convergence`.
        target_scale: The target's scale, of `metrics`.
    """
    of_descent = verdict["passed"] or (verdict.get("penalty") or "none") != "none"  # earlier versions have no penalty
    return of_one_fit(terms, target_scale, passed=of_descent), of_descent


def headed(rows: Sequence[dict[str, Any]], *, passed: bool) -> list[dict[str, Any]]:
    """Rows of a table under the names of the fit they are of."""
    return list(rows) if passed else [{OF_OLS.get(name, name): value for name, value in row.items()} for row in rows]


def _scaled(term: dict[str, Any], target_scale: float) -> float:
    """Target SDs per feature SD; 0 for the intercept, which has no scale, and for what is not in the fit."""
    scale = term["scale"]
    if scale is None or scale != scale:  # noqa: PLR0124  # only NaN differs from itself
        return 0.0
    return float(term["ols_estimate"] * (scale / target_scale))
