"""Refit: what kept sums answer is what a run of its own would find, and what they do not answer is said."""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import gdpipe
from gdpipe.config import OF_THE_FIT
from gdpipe.errors import ConfigError, DataError, PublishError
from gdpipe.report.summary import cell
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.runs import train, train_on

FEATURES = ["x1", "x2", "C(kind)", "x1:C(kind)"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three files, the last with a level that the others lack."""
    for part, n in enumerate((120, 90, 150)):
        columns: dict[str, Any] = line_columns(n, seed=part)
        columns["kind"] = [("a", "b", "c")[i % (2 + part // 2)] for i in range(n)]
        write_parquet(tmp_path / "data" / f"part-{part}.parquet", columns)
    return tmp_path / "data"


@pytest.fixture
def run(source: Path, tmp_path: Path) -> gdpipe.Run:
    """A run of them; then the source is gone."""
    found = gdpipe.train(
        source=source, target="y", features=FEATURES, output=tmp_path / "runs", predict="none", report=False
    )
    shutil.move(source, tmp_path / "elsewhere")
    return found


@pytest.mark.parametrize(
    ("settings", "files"),
    [
        ({"penalty": "lasso", "alpha": 0.05}, None),
        ({"penalty": "ridge", "alpha": 0.05}, "part-[01]*"),
        ({"features": ["x2", "C(kind)"]}, None),
        ({"features": ["x2", "C(kind)"], "penalty": "elastic_net", "alpha": 0.01}, "part-2*"),
        ({}, "part-[01]*"),
        ({"fit_intercept": False}, None),  # each level of the category has a term then
        ({"min_level_rows": 60}, None),  # the level c is rarer
        # without the category, or the intercept, the other features have terms that the run has not
        ({"features": ["x2", "x1:C(kind)"]}, None),
        ({"features": ["kind"], "fit_intercept": False}, None),
        ({"features": ['C(kind, ref="b")', "x1", "x1:kind"], "penalty": "lasso", "alpha": 0.05}, "part-2*"),
        ({"features": ["x2", "x1"]}, None),
    ],
)
def test_it_is_the_fit_that_a_run_of_the_same_rows_finds(
    run: gdpipe.Run, tmp_path: Path, settings: dict[str, Any], files: str | None
) -> None:
    found = run.refit(files=files, **settings)
    assert found.fit.certificate.passed
    chosen = sorted((tmp_path / "elsewhere").glob(files or "*"))
    for path in chosen:
        (tmp_path / "some").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "some")
    again = gdpipe.train(
        source=tmp_path / "some",
        target="y",
        output=tmp_path / "other",
        report=False,
        **{"features": FEATURES, "predict": "none", **settings},
    )
    assert found.files == tuple(path.name for path in chosen)
    assert found.n_samples == again.metrics["n_samples"][0]
    ours, theirs = found.parameters, again.parameters
    assert ours["term"].tolist() == theirs["term"].tolist()
    for column in ("estimate", "ols_estimate", "optimum_estimate", "std_error", "vif"):
        np.testing.assert_array_equal(ours[column], theirs[column], err_msg=column)
    if found.path is not None:
        np.testing.assert_array_equal(found.path.optima.alphas, again.path["alpha"])


def test_features_are_found_in_any_spelling(tmp_path: Path) -> None:
    n = range(60)
    columns: dict[str, Any] = line_columns(60) | {
        "d": pa.array([dt.date(2024, 1, 1 + i % 3) for i in n]),
        "t": pa.array([dt.datetime(2024, 1, 1, i % 5) for i in n]),
        "flag": [i % 4 == 0 for i in n],
        "a b": ["ab"[i % 7 == 0] for i in n],
    }
    features = ["x1", "C(d, ref='2024-01-03')", "C(hour(t))", "flag", "x2:x1", "a b"]
    run = train_on(tmp_path, columns, features=features)
    for spelled in ([" C( `d` )", "C(flag)"], ["x1:x2", "C(`a b`)"], ["C(hour(t),ref=4)", "x1"]):
        found = run.refit(features=spelled)
        again = train_on(
            tmp_path / "again", columns, features=[name.replace(" C( `d` )", features[1]) for name in spelled]
        )
        np.testing.assert_array_equal(found.parameters["estimate"], again.parameters["estimate"])


def test_a_reference_that_is_gone_does_no_harm_where_the_category_is_left_out(tmp_path: Path) -> None:
    for part, kind in enumerate("ab"):
        columns = line_columns(60, seed=part) | {"kind": [kind] * 30 + ["c"] * 30}
        write_parquet(tmp_path / "data" / f"{part}.parquet", columns)
    run = train(tmp_path / "data", tmp_path / "runs", features=["x1", "C(kind, ref='b')"])
    assert len(run.refit("0*", features=["x1"]).parameters) == 2
    with pytest.raises(ConfigError, match="'b', the reference of kind, is no level of it; name one of a, c"):
        run.refit("0*")


def test_its_summary_has_a_line_for_each_category(run: gdpipe.Run) -> None:
    lines = run.refit(features=["x2", "C(kind)"]).summary().splitlines()
    [head] = [place for place, line in enumerate(lines) if line.startswith("feature ")]
    assert [line.split()[:3] for line in lines[head + 1 :]] == [["kind", "3", "a"]]
    assert not any(line.startswith("kind[") for line in lines)
    # a penalty leaves no tests
    assert " F " in lines[head]
    lines = run.refit(features=["x2", "C(kind)"], penalty="ridge", alpha=0.1).summary().splitlines()
    [names] = [line for line in lines if line.startswith("feature ")]
    assert names.split() == ["feature", "levels", "reference", "gvif_root", "lowest", "highest"]


def test_its_summary_fits_a_terminal_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {f"x{j}": rng.normal(size=100) for j in range(70)}
    source = write_parquet(tmp_path / "wide.parquet", {**columns, "y": rng.normal(size=100)})
    run = gdpipe.train(source=source, target="y", output=tmp_path / "runs", report=False, folds=0)
    lines = run.refit(fit_intercept=False).summary(60).splitlines()
    assert max(map(len, lines)) <= 60
    assert any(line.startswith("not shown   vif") for line in lines)
    assert lines[-1].split() == ["and", "10", "terms", "more,", "with", "--json"]


def test_what_the_sums_do_not_hold_is_said(run: gdpipe.Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no sums of x3 are kept in .*, only of x1, x2, kind, x1:kind; train again"):
        run.refit(features=["x1", "x3"])
    with pytest.raises(ConfigError, match=r"no sums of x1\*\*2 are kept in .*, only of x1, x2, kind, x1:kind; train"):
        run.refit(features=["x1**2"])
    with pytest.raises(ConfigError, match=r"features: 'C\(kind\)' is the same as 'kind'; name it once"):
        run.refit(features=["kind", "C(kind)"])
    with pytest.raises(ConfigError, match=r"'d', the reference of kind, is no level of it; name one of a, b, c"):
        run.refit(features=["C(kind, ref='d')"])
    with pytest.raises(
        ConfigError, match=r"^filters: changes the sums, of which the run has kept its own; train again"
    ):
        run.refit(filters="x1 > 0")
    with pytest.raises(ConfigError, match=r"files 'b\*': none of 3 files of .* has such a name"):
        run.refit(files="b*")
    with pytest.raises(ConfigError, match=r"files 5: must be a pattern of file names, such as 2024-\*"):
        run.refit(files=5)  # type: ignore[arg-type]  # as a person may
    entry = sorted((tmp_path / "runs" / "moments").glob("*.json"))[0]
    entry.write_bytes(entry.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"moments: no sums of part-\d\.parquet as run .* made them; train again"):
        run.refit(penalty="ridge", alpha=0.1)


def test_the_command_prints_it_and_another_penalty_forgets_the_strength_of_the_first(
    run: gdpipe.Run, tmp_path: Path
) -> None:
    done = gdpipe_cli("refit", tmp_path / "runs", "--penalty", "lasso", "--alpha", "0.05", "--features", "x1,x2")
    assert done.code == 0, done.err
    assert "360 used, of 3 files, from the sums kept" in done.out
    assert "lasso, alpha 0.05: 2 terms; KKT conditions hold in rational arithmetic" in done.out
    done = gdpipe_cli("refit", run.location, "--alpha", "0.05")
    assert (done.code, "there is no penalty" in done.err) == (2, True)
    done = gdpipe_cli("refit", run.location, "--json")
    printed = json.loads(done.out)
    assert "ols_estimate" in printed["parameters"][0]
    [of_run] = run.metrics.to_dict("records")
    for name in ("n_samples", "r2", "rmse", "cv_rmse", "cv_rmse_se", "cv_r2"):
        assert printed["metrics"][name] == of_run[name]
    assert printed["metrics"]["holdout_rmse"] is None


def test_the_command_has_the_settings_of_the_fit_and_takes_those_of_the_run_for_the_others(
    source: Path, tmp_path: Path
) -> None:
    output, rejected = tmp_path / "runs", "max_iterations was reached first"
    gdpipe.train(
        source=source,
        target="y",
        features=FEATURES,
        output=output,
        report=False,
        fit_intercept=False,
        penalty="ridge",
        alpha=5.0,
        max_iterations=40,
    )
    weak = ("refit", output, "--alpha", "1e-9")
    assert rejected in gdpipe_cli(*weak).out
    done = gdpipe_cli(*weak, "--max-iterations", "1000")  # as the message advises
    assert "PASSED" in done.out
    assert rejected not in done.out
    assert "intercept" not in done.out
    assert "intercept" in gdpipe_cli(*weak, "--fit-intercept").out
    assert {f"--{name.replace('_', '-')}" for name in OF_THE_FIT} <= set(gdpipe_cli("refit", "--help").out.split())


def test_features_in_another_order_have_the_levels_of_theirs(tmp_path: Path) -> None:
    columns: dict[str, Any] = line_columns(240)
    columns |= {"a": [f"a{i % 3}" for i in range(240)], "b": [f"b{i % 2}" for i in range(240)]}
    source = write_parquet(tmp_path / "data.parquet", columns)
    output = tmp_path / "runs"
    first = gdpipe.train(source=source, target="y", features=["a", "b", "a:b"], output=output, folds=0, report=False)
    found = first.refit(features=["b", "a", "a:b"])
    again = gdpipe.train(source=source, target="y", features=["b", "a", "a:b"], output=tmp_path / "other", report=False)
    ours, theirs = (table.set_index("term")["ols_estimate"] for table in (found.parameters, again.parameters))
    np.testing.assert_allclose(ours, theirs[ours.index], rtol=1e-12)
    # sums with folds are preferred where an earlier run left some without
    later = gdpipe.train(source=source, target="y", features=["a", "b", "a:b"], output=output, report=False)
    assert later.refit(penalty="lasso").path is not None


@pytest.mark.parametrize(
    "holdout",
    ["part = 2", "part >= 1 AND x1 > 0", "part = 2 OR kind = 'c'"],
    ids=["a file whole", "some rows of two", "one whole and some of the others"],
)
def test_rows_held_out_stay_so(tmp_path: Path, holdout: str) -> None:
    for part, n in enumerate((120, 90, 150)):
        columns: dict[str, Any] = line_columns(n, seed=part)
        columns["kind"] = [("a", "b", "c")[i % (2 + part // 2)] for i in range(n)]
        write_parquet(tmp_path / "data" / f"part={part}" / "d.parquet", columns)
    settings: dict[str, Any] = {"features": FEATURES, "holdout": holdout, "predict": "none", "report": False}
    run = gdpipe.train(source=tmp_path / "data", target="y", output=tmp_path / "runs", **settings)
    # sums of the same files with other folds, and with other rows held out
    for other in ({"fold_by": "kind"}, {"holdout": "x1 > 0.5"}, {"holdout": None}):
        gdpipe.train(source=tmp_path / "data", target="y", output=tmp_path / "runs", **{**settings, **other})
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    found = run.refit(penalty="lasso")
    again = gdpipe.train(
        source=tmp_path / "elsewhere", target="y", output=tmp_path / "other", **settings, penalty="lasso"
    )
    [errors] = again.metrics.to_dict("records")
    np.testing.assert_array_equal(found.parameters["estimate"], again.parameters["estimate"])
    assert found.n_samples == errors["n_samples"]
    assert found.holdout is not None
    assert found.cross_validation is not None
    assert (found.holdout.rmse, found.cross_validation.rmse) == (errors["holdout_rmse"], errors["cv_rmse"])
    assert f"holdout R² {cell(errors['holdout_r2'])}, " in found.summary()
    if holdout == "part = 2":
        assert found.files == ("part=0/d.parquet", "part=1/d.parquet")
        with pytest.raises(
            ConfigError, match=r"files 'part=2/\*': all their rows are held out, or left out, in .*; take others too"
        ):
            run.refit(files="part=2/*")


def test_scores_and_sums_in_float64_cannot_be_fitted_again(tmp_path: Path) -> None:
    run = train_on(tmp_path, line_columns(), arithmetic="float64")
    with pytest.raises(ConfigError, match=r"sums in float64, .*, are not kept; train again with arithmetic=exact"):
        run.refit(penalty="ridge")
    gdpipe.pipeline.score_source(str(tmp_path / "data.parquet"), run=run.location, output=str(tmp_path / "scores"))
    with pytest.raises(PublishError, match="holds scores, not a model; name a training run"):
        gdpipe.open_run(tmp_path / "scores").refit()


def test_a_manifest_that_does_not_say_what_is_held_out_does_not_suffice(source: Path, tmp_path: Path) -> None:
    run = gdpipe.train(source=source, target="y", features=FEATURES, holdout="x1 > 0", output=tmp_path / "runs")
    for entry in run.manifest["inputs"]:
        del entry["held_out"]
    with pytest.raises(ConfigError, match="its manifest does not say which files are held out"):
        run.refit(penalty="lasso")
