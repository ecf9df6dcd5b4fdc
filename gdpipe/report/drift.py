"""The largest drifts in words."""

import math
from collections.abc import Callable, Collection
from typing import Any

import pyarrow as pa

# columns that were or are constant and are named; the table has the others
MOST_CONSTANTS = 5
NEW_CONSTANT = "is constant, at another value"


def largest_shifts(drift: pa.Table, shares: Collection[str] = ()) -> tuple[str, ...]:
    """The largest shift of a mean, of a scale and of a coefficient, and which columns were, or are now, constant.

    Means are compared in standard deviations, scales by their ratio, coefficients in joint standard errors. Shifts that
    are 0 or cannot be measured are left out. `shares` are the names of levels, whose mean is their share of the rows.
    """
    rows = drift.to_pylist()
    lines = [f"{row['term']} {said}" for row in rows if (said := constancy(row))]
    if more := len(lines[MOST_CONSTANTS:]):
        lines = [*lines[:MOST_CONSTANTS], f"{more:,} more were or are constant"]
    varying = [row for row in rows if not constancy(row)]
    if row := _largest(varying, lambda row: row["mean_shift_sd"]):
        lines.append(f"{_of_mean(row, shares)} {row['mean_shift_sd']:+.3g} SD{_errors(row['mean_shift_se'])}")
    # the scale of a level follows from its share
    if row := _largest(
        [row for row in varying if row["term"] not in shares],
        lambda row: math.log(row["scale_ratio"]) if row["scale_ratio"] else math.nan,
    ):
        lines.append(f"{row['term']} scale x {row['scale_ratio']:.3g}{_errors(row['scale_shift_se'])}")
    if row := _largest(rows, lambda row: row["estimate_shift_se"]):
        shift = row["estimate_shift_se"]
        moved = "has moved, with standard errors of 0" if math.isinf(shift) else f"{shift:+.3g} joint SE"
        lines.append(f"coef {row['term']} {moved}")
    return tuple(lines)


def constancy(row: dict[str, Any]) -> str:
    """The meaning of a standard deviation of 0, then or now, in words; empty where there is none or no change."""
    was, is_now = row["previous_scale"] == 0, row["scale_ratio"] == 0
    if was and math.isnan(row["scale_ratio"]):  # 0/0
        return NEW_CONSTANT if math.isinf(row["mean_shift_sd"]) else ""
    return "was constant" if was else "is constant now" if is_now else ""


def in_words(row: dict[str, Any]) -> dict[str, str]:
    """Words for the infinite numbers in a row of `drift`, and for a ratio of 0, by column."""
    said = constancy(row)
    if said == NEW_CONSTANT:
        said = "new constant"
    names = [name for name in ("mean_shift_sd", "mean_shift_se", "scale_ratio", "scale_shift_se") if said]
    words = {name: said for name in names if math.isinf(row[name]) or (name == "scale_ratio" and row[name] == 0)}
    return words | ({"estimate_shift_se": "errors of 0"} if math.isinf(row["estimate_shift_se"]) else {})


def _of_mean(row: dict[str, Any], shares: Collection[str]) -> str:
    if row["term"] not in shares:
        return f"{row['term']} mean"
    share = row["previous_mean"]
    return f"{row['term']} share {share:.3g} → {share + row['mean_shift_sd'] * row['previous_scale']:.3g},"


def _largest(rows: list[dict[str, Any]], shift: Callable[[dict[str, Any]], float]) -> dict[str, Any] | None:
    moved = [(abs(shift(row)), row) for row in rows if abs(shift(row)) > 0]  # false for NaN
    return max(moved, key=lambda pair: pair[0])[1] if moved else None


def _errors(shift: float) -> str:
    return "" if math.isnan(shift) else f" ({abs(shift):.3g} SE)"
