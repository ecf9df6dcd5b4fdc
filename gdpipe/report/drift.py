"""What has drifted most, in words."""

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa


def largest_shifts(drift: pa.Table) -> tuple[str, ...]:
    """The largest shift of a mean, of a scale and of a coefficient, of those that can be measured and are not 0.

    Means are compared in standard deviations, scales by their ratio, coefficients in joint standard errors.
    """
    rows = drift.to_pylist()
    lines = []
    if row := _largest(rows, lambda row: row["mean_shift_sd"]):
        lines.append(f"{row['term']} mean {row['mean_shift_sd']:+.3g} SD{_errors(row['mean_shift_se'])}")
    if row := _largest(rows, lambda row: math.log(row["scale_ratio"]) if row["scale_ratio"] else math.inf):
        lines.append(f"{row['term']} scale x {row['scale_ratio']:.3g}{_errors(row['scale_shift_se'])}")
    if row := _largest(rows, lambda row: row["estimate_shift_se"]):
        lines.append(f"coef {row['term']} {row['estimate_shift_se']:+.3g} joint SE")
    return tuple(lines)


def _largest(rows: list[dict[str, Any]], shift: Callable[[dict[str, Any]], float]) -> dict[str, Any] | None:
    moved = [(abs(shift(row)), row) for row in rows if abs(shift(row)) > 0]  # NaN is not
    return max(moved, key=lambda pair: pair[0])[1] if moved else None


def _errors(shift: float) -> str:
    return "" if math.isnan(shift) else f" ({abs(shift):.3g} SE)"
