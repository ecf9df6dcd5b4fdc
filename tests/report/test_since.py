"""Against the run before: R², RMSE and the coefficients that moved, the most first."""

import pyarrow as pa

from gdpipe.report.since import MOST_COEFFICIENTS, since_then

DRIFT = {"since": "before", "largest": ["x mean +0.5 SD"], "r2": 0.5, "rmse": 2.0}


def drift(shifts: list[float]) -> pa.Table:
    names = [f"x{j}" for j in range(len(shifts))]
    return pa.table(
        {
            "term": [*names, "y"],
            "role": [*["feature"] * len(names), "target"],
            "previous_estimate": [*[1.0] * len(names), None],
            "estimate_shift_se": [*shifts, float("nan")],
        }
    )


def test_what_moved_is_named_and_ordered() -> None:
    terms = [{"term": f"x{j}", "estimate": float(j)} for j in range(3)]
    found = since_then({"drift": DRIFT}, {"r2": 0.6, "rmse": 1.5}, drift([0.1, -9.0, float("nan")]), terms)
    assert found
    assert found.sentence == "Since run before: R² 0.5 → 0.6, RMSE 2 → 1.5. What moved most: x mean +0.5 SD."
    assert [row[""] for row in found.rows] == ["R²", "RMSE", "coef x1", "coef x0"]
    assert found.rows[2] == {"": "coef x1", "run before": 1.0, "this run": 1.0, "joint SEs": -9.0}


def test_large_numbers_have_thousands_and_the_error_on_unseen_rows_is_named() -> None:
    before = {**DRIFT, "rmse": 68_635.11, "error": "cross-validated RMSE 68,753.9 → 70,000 (+1.81%)"}
    found = since_then({"drift": before}, {"r2": 0.6, "rmse": 1_234_567.8}, drift([1.0]), [])
    assert found
    assert found.sentence == (
        "Since run before: R² 0.5 → 0.6, RMSE 68,635.1 → 1,234,568. What moved most: x mean +0.5 SD; "
        "cross-validated RMSE 68,753.9 → 70,000 (+1.81%)."
    )


def test_many_coefficients_are_cut() -> None:
    terms = [{"term": f"x{j}", "estimate": float(j)} for j in range(40)]
    found = since_then({"drift": DRIFT}, {"r2": 0.6, "rmse": 1.5}, drift([1.0] * 40), terms)
    assert found
    assert len(found.rows) == 2 + MOST_COEFFICIENTS


def test_without_a_run_before_there_is_nothing_to_say() -> None:
    assert since_then({}, {"r2": 0.6, "rmse": 1.5}, None, []) is None
    # of a manifest of an earlier version
    assert since_then({"drift": {"since": "b", "largest": []}}, {"r2": 0.6, "rmse": 1.5}, drift([1.0]), []) is None
