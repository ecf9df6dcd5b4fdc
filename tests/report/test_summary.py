"""Lines of the summary, from small records."""

from gdpipe.report.summary import penalty_in_words, unseen_rows


def test_one_term_and_one_row_are_counted_in_the_singular() -> None:
    verdict = {"penalty": "lasso", "alpha": 0.5, "l1_ratio": 1.0, "nonzero": 1, "proof": "proven"}
    assert penalty_in_words({"alpha": 0.5}, verdict) == "lasso, alpha 0.5: 1 term; proven"
    metrics = {"holdout_rows": 1, "holdout_r2": 0.5, "holdout_rmse": 2.0}
    assert unseen_rows(metrics, None).endswith(" (1 row)")
