"""Runs with categories: their tables, the comparison with the run before, summary and page."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import gdpipe
from gdpipe.run import Run, summary
from gdpipe.store import catalog
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.stages.by_level import features, flown, train_by_level

ROWS = flown("AABBCD")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_by_level(tmp_path_factory.mktemp("runs"), features(), ROWS, run_id="a")


def test_parameters_name_the_feature_and_the_level_of_each_term(run: Run) -> None:
    found = run.table(catalog.PARAMETERS).to_pydict()
    assert found["term"] == ["intercept", "x", "carrier[B]", "carrier[C]", "carrier[D]"]
    assert found["feature"] == [None, "x", "carrier", "carrier", "carrier"]
    assert found["level"] == [None, None, "B", "C", "D"]
    gvif = run.features["gvif"].to_list()
    np.testing.assert_array_equal(found["vif"][1:], [gvif[0], *[gvif[1]] * 3])


def test_features_have_their_joint_tests(run: Run) -> None:
    found = run.table(catalog.FEATURES).to_pylist()
    expected = smf.ols("y ~ x + carrier", pd.DataFrame(ROWS)).fit().wald_test_terms(scalar=True).table
    shown = [[row[name] for name in ("feature", "kind", "levels", "reference", "terms", "df")] for row in found]
    assert shown == [["x", "number", None, None, 1, 1], ["carrier", "category", 4, "A", 3, 3]]
    for row in found:
        assert row["f_statistic"] == pytest.approx(expected["statistic"][row["feature"]], rel=1e-8)
        assert row["f_p_value"] == pytest.approx(expected["pvalue"][row["feature"]], rel=1e-8)
    assert run.metrics["n_features"].item() == 2


def test_levels_have_their_rows_and_shares(run: Run) -> None:
    counts = pd.Series(ROWS["carrier"]).value_counts().sort_index()
    levels = run.levels
    assert levels["level"].to_list() == counts.index.to_list() == list("ABCD")
    assert levels["rows"].to_list() == levels["weight"].to_list() == counts.to_list()
    np.testing.assert_allclose(levels["share"], counts / 400, rtol=1e-15)
    assert levels["reference"].to_list() == [True, False, False, False]
    assert not levels["other"].any()
    assert run.verify() == []


def test_a_run_of_numbers_has_neither_table(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "data.parquet", line_columns())
    plain = gdpipe.train(source=str(source), target="y", output=str(tmp_path / "runs"))
    assert not plain.has(catalog.FEATURES)
    assert not plain.has(catalog.LEVELS)
    assert plain.table(catalog.PARAMETERS)["level"].null_count == 3
    with pytest.raises(gdpipe.PublishError, match="has no levels"):
        _ = plain.levels


def test_a_category_is_one_line_of_the_summary(run: Run) -> None:
    lines = summary(run, 100).splitlines()
    assert "2 features (4 terms)" in next(line for line in lines if line.startswith("descent"))
    assert [line.split()[0] for line in lines[-5:]] == ["intercept", "x", "feature", "carrier", "files"]
    assert re.search(r"^carrier +4  A +152\S* +1\S*e-65 +1.0008\d* +0.9654 B +2.82 D$", lines[-2])
    narrow = summary(run, 60).splitlines()
    assert max(map(len, narrow[:-1])) <= 60


def test_the_document_of_json_has_features_and_levels(run: Run) -> None:
    shown = gdpipe_cli("show", run.folder, "--json")
    document = json.loads(shown.out)
    assert [row["feature"] for row in document["features"]] == ["x", "carrier"]
    assert [row["level"] for row in document["levels"]] == list("ABCD")


def test_the_page_draws_levels_in_their_order_with_the_reference(run: Run) -> None:
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    [picture] = re.findall(r"<svg[^>]*aria-label=\"Levels of carrier\. .*?</svg>", page)
    names = re.findall(r'class="name">([^<]*)<', picture)
    assert names == ["A", "B", "C", "D"]
    assert len(re.findall(">reference<", picture)) == 1
    assert "A (reference) 121 rows" in picture
    [folded] = re.findall(r'<details open=""><summary>.*?</details>', page)
    assert "<b>carrier</b>: 4 levels, reference A, F 152" in folded
    assert folded.count("<tr>") == 5
    assert len(page) < 100_000


def test_drift_compares_shares_and_says_what_has_no_counterpart(run: Run, tmp_path: Path) -> None:
    train_by_level(tmp_path, features(), ROWS, run_id="a")
    now = train_by_level(tmp_path, features("C"), flown("AAABCE", seed=1), run_id="b")
    drift = now.drift.set_index("term")
    assert drift["role"].to_dict() == {
        "intercept": "intercept",
        "x": "feature",
        **dict.fromkeys(["carrier[A]", "carrier[B]", "carrier[E]"], "feature"),
        "carrier[C]": "reference",
        "y": "target",
    }
    before = dict(zip("ABCD", run.levels["share"], strict=True))
    np.testing.assert_allclose(
        [drift["previous_mean"][f"carrier[{level}]"] for level in "ABC"], [before[c] for c in "ABC"]
    )
    assert np.isnan(drift["previous_mean"]["carrier[E]"])
    # the reference is another, and with it what coefficients of the category and the intercept mean
    assert drift["estimate_shift_se"].dropna().index.to_list() == ["x"]
    assert now.manifest["drift"]["largest"][:4] == [
        "carrier: the reference is C, was A; coefficients that depend on it are not compared",
        "carrier: E is new",
        "carrier: D is gone",
        "carrier[A] share 0.302 → 0.487, +0.403 SD (5.44 SE)",
    ]


def test_the_same_reference_has_comparable_coefficients(tmp_path: Path) -> None:
    train_by_level(tmp_path, features(), ROWS, run_id="a")
    now = train_by_level(tmp_path, features(), flown("AABBCD", seed=1), run_id="b")
    drift = now.drift.set_index("term")["estimate_shift_se"]
    assert drift.dropna().index.to_list() == ["intercept", "x", "carrier[B]", "carrier[C]", "carrier[D]"]
    assert not any("reference" in line for line in now.manifest["drift"]["largest"])


@pytest.mark.parametrize(("carriers", "reference"), [("AAABC", "B"), ("AABBCD", None), ("BCD", None)])
def test_the_gate_applies_the_published_model_to_todays_levels(
    carriers: str, reference: str | None, tmp_path: Path
) -> None:
    old = train_by_level(tmp_path, features(), ROWS, run_id="a")
    rows = flown(carriers, seed=2)
    now = train_by_level(tmp_path, features(reference), rows, run_id="b", max_rmse_increase="900%")
    estimate = dict(zip(old.parameters["term"], old.parameters["estimate"], strict=True)) | {"carrier[A]": 0.0}
    predicted = estimate["intercept"] + estimate["x"] * rows["x"]
    predicted = predicted + np.array([estimate[f"carrier[{carrier}]"] for carrier in rows["carrier"]])
    expected = np.sqrt(np.mean((rows["y"] - predicted) ** 2))
    assert now.manifest["gate"]["previous_rmse"] == pytest.approx(expected, rel=1e-12)
    assert now.manifest["notices"] == []


def test_the_gate_names_the_levels_that_the_published_model_does_not_know(tmp_path: Path) -> None:
    train_by_level(tmp_path, features(), ROWS, run_id="a")
    now = train_by_level(tmp_path, features(), flown("ABCEFGHIJK"), run_id="b", max_rmse_increase="900%")
    assert now.manifest["gate"]["previous_rmse"] is None
    assert now.manifest["notices"] == [
        "run a does not know carrier[E], carrier[F], carrier[G], carrier[H], carrier[I] and 2 more: "
        "max_rmse_increase was applied to its published RMSE alone"
    ]


def test_many_levels_stay_readable(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    level = np.array([f"level {i:03}" for i in rng.integers(0, 120, 3000)])
    rows: dict[str, Any] = {"x": rng.normal(size=3000), "carrier": level, "y": rng.normal(size=3000)}
    run = train_by_level(tmp_path, features(), rows)
    assert len(summary(run, 100).splitlines()) < 15
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Of 120 levels the 24 with most rows are drawn." in page
    assert "<details><summary><b>carrier</b>: 120 levels" in page
    assert len(page) < 200_000


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("of_numbers", [True, False])
def test_categories_alone_and_products_are_told_too(fit_intercept: bool, of_numbers: bool, tmp_path: Path) -> None:
    x, carrier = features()
    asked = [x, carrier, f"{x}:{carrier}"] if of_numbers else [carrier]
    for run_id in "ab":
        run = train_by_level(tmp_path, asked, ROWS, run_id=run_id, fit_intercept=fit_intercept, max_rmse_increase=0.1)
    assert run.manifest["gate"]["previous_rmse"] == pytest.approx(run.metrics["rmse"].item(), rel=1e-12)
    assert run.features["kind"].to_list() == (["number", "category", "product"] if of_numbers else ["category"])
    # without an intercept each level of the first category has a term
    found = {row["feature"]: row["reference"] for row in run.table(catalog.FEATURES).to_pylist()}
    assert found["carrier"] == ("A" if fit_intercept else None)
    assert run.levels["reference"].sum() == fit_intercept
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert ("A (reference)" in page) == fit_intercept
    assert len(summary(run, 100).splitlines()) < 25
