"""What differs from the run published before: R², RMSE and the coefficients that moved most."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gdpipe.printable import written

# coefficients in the table; `drift.parquet` has all
MOST_COEFFICIENTS = 12


@dataclass(frozen=True, slots=True, eq=False)
class SinceThen:
    """The comparison with the previous run.

    Attributes:
        sentence: The change of R² and RMSE, and the largest shifts.
        rows: A table: a row for R², RMSE, and each of the coefficients that moved most, the most first.
    """

    sentence: str
    rows: list[dict[str, Any]]


def since_then(
    manifest: dict[str, Any], quality: dict[str, Any], drift: pa.Table | None, terms: Sequence[dict[str, Any]]
) -> SinceThen | None:
    """The comparison; None where there is no run to compare with, or its numbers are not in the manifest.

    Args:
        manifest: Of the new run.
        quality: Its row of `metrics`.
        drift: Its artifact `drift`.
        terms: Its rows of `parameters`.
    """
    before = manifest.get("drift")
    if before is None or drift is None or "r2" not in before:
        return None
    run, now = f"run {before['since']}", "this run"
    of_fit = [("R²", before["r2"], quality["r2"]), ("RMSE", before["rmse"], quality["rmse"])]
    changes = ", ".join(f"{name} {written(then)} → {written(new)}" for name, then, new in of_fit)
    moved = "; ".join([*before["largest"], *([before["error"]] if before.get("error") else [])]) or "nothing has moved"
    estimates = {term["term"]: term["estimate"] for term in terms}
    shifts = [
        row
        for row in drift.to_pylist()
        if row["term"] in estimates and row["role"] != "target" and math.isfinite(row["estimate_shift_se"])
    ]
    shifts.sort(key=lambda row: -abs(row["estimate_shift_se"]))
    rows = [{"": name, run: then, now: new, "joint SEs": None} for name, then, new in of_fit]
    rows += [
        {
            "": f"coef {row['term']}",
            run: row["previous_estimate"],
            now: estimates[row["term"]],
            "joint SEs": row["estimate_shift_se"],
        }
        for row in shifts[:MOST_COEFFICIENTS]
    ]
    return SinceThen(f"Since {run}: {changes}. What moved most: {moved}.", rows)
