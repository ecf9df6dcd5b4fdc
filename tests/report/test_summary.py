"""Lines of the summary, from small records."""

from pathlib import Path

from gdpipe.report.summary import penalty_in_words, unseen_rows
from tests.conftest import gdpipe_cli, line_columns, write_parquet


def test_one_term_and_one_row_are_counted_in_the_singular() -> None:
    verdict = {"penalty": "lasso", "alpha": 0.5, "l1_ratio": 1.0, "nonzero": 1, "proof": "proven"}
    assert penalty_in_words({"alpha": 0.5}, verdict) == "lasso, alpha 0.5: 1 term; proven"
    metrics = {"holdout_rows": 1, "holdout_r2": 0.5, "holdout_rmse": 2.0}
    assert unseen_rows(metrics, None, passed=True).endswith(" (1 row)")


def test_the_standard_error_of_an_error_has_two_digits() -> None:
    metrics = {"cv_rmse": 68753.91, "cv_rmse_se": 531.4, "cv_r2": 0.5}
    assert unseen_rows(metrics, 5, passed=True) == "CV R² 0.5, RMSE 68753.91 ± 530 (5 folds)"


def test_that_folds_are_of_exact_fits_is_said_where_the_descent_did_not_pass() -> None:
    metrics = {"cv_rmse": 2.0, "cv_rmse_se": 0.1, "cv_r2": 0.5}
    assert unseen_rows(metrics, 5, passed=False) == "CV R² 0.5, RMSE 2 ± 0.1 (5 folds, exact fits)"


def test_a_perfect_fit_has_an_error_of_zero_on_unseen_rows() -> None:
    metrics = {"holdout_rows": 0, "cv_rmse": 0.0, "cv_rmse_se": 0.0, "cv_r2": 1.0}
    assert unseen_rows(metrics, 5, passed=True) == "CV R² 1, RMSE 0 ± 0 (5 folds)"


def test_a_rejected_run_has_estimates_that_belong_to_their_standard_errors(tmp_path: Path) -> None:
    columns = {**line_columns(), "kind": ["a", "b", "c", "b"] * (len(line_columns()["y"]) // 4)}
    write_parquet(tmp_path / "data" / "line.parquet", columns)
    options = ("--output", tmp_path / "runs", "--method=gd", "--max-iterations=1", "--run-id=short")
    assert gdpipe_cli("train", tmp_path / "data", "--target=y", *options).code == 1
    lines = gdpipe_cli("show", tmp_path / "runs" / "rejected" / "short").out.splitlines()
    [head] = [place for place, line in enumerate(lines) if line.startswith("term ")]
    assert lines[head].split()[:4] == ["term", "ols_estimate", "std_error", "t_value"]
    assert lines[head].endswith("unfinished estimate")
    for line in lines[head + 1 : head + 4]:
        estimate, std_error, t = map(float, line.split()[1:4])
        assert abs(t - estimate / std_error) <= 1e-4 * abs(t)
    assert any(line.startswith("table       of the exact least-squares answer") for line in lines)
