"""Rows read again where features are categories: robust errors, the row gradient, and rows that are not the same."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.formula.api as smf

import gdpipe
from gdpipe.numerics.rows import level_terms
from tests.conftest import FLIGHTS, write_parquet
from tests.runs import train
from tests.test_rows_refute import between_scans

FEATURES = ["t", "x", "c", "d", "t:c", "x:d", "c:d"]
OUTCOME = "y ~ t + x + C(c) + C(d) + t:C(c) + x:C(d) + C(c):C(d)"


def columns(n: int = 400, seed: int = 0) -> dict[str, Any]:
    """Two categories that change the level, the trend and the noise of y."""
    rng = np.random.default_rng(seed)
    c, d = rng.integers(0, 3, n), np.minimum(rng.integers(0, 6, n), 4)
    t, x = rng.integers(3, 8, n), rng.normal(3.0, 1.0, n)
    noise = rng.normal(0.0, 0.5 + c, n) * (1 + 0.01 * np.abs(x - 3))
    y = 0.3 * t * (c + 1) + x * d + c - d + c * d + noise
    return {"t": t, "x": x, "c": np.array(list("abc"))[c], "d": np.array(list("pqrst"))[d], "y": y}


def write(path: Path, table: dict[str, Any]) -> Path:
    """Plain: a file with other values has the same size and, without statistics, the same footer."""
    return write_parquet(path, table, use_dictionary=False, compression="none", write_statistics=False)


@pytest.mark.parametrize("arithmetic", ["exact", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_robust_errors_of_levels_and_products_are_those_of_statsmodels(
    tmp_path: Path, arithmetic: str, weighted: bool
) -> None:
    table = columns()
    weights = {"w": np.arange(400) % 3 + 1.0} if weighted else {}
    options = {"weight": "w"} if weighted else {}
    write(tmp_path / "data.parquet", {**table, **weights})
    settings = {"features": FEATURES, "arithmetic": arithmetic, "tolerance": 1e-13, **options}
    found = train(tmp_path / "data.parquet", tmp_path / "runs", **settings).parameters
    frame = pd.DataFrame(table)
    if weighted:  # a row of weight 2 is the row twice
        frame = frame.loc[frame.index.repeat(weights["w"].astype(int))]
    theirs = smf.ols(OUTCOME, frame).fit().get_robustcov_results("HC1")
    ours = found.set_index("term").loc[[_ours(name) for name in theirs.model.exog_names]]
    assert len(ours) == len(found)
    np.testing.assert_allclose(ours["std_error_hc1"], theirs.bse, rtol=1e-6)


def _ours(name: str) -> str:
    return name.replace("C(c)", "c").replace("C(d)", "d").replace("T.", "").replace("Intercept", "intercept")


def test_flights_have_no_row_gradient_and_the_robust_errors_of_statsmodels(tmp_path: Path) -> None:
    features = ["dep_delay", "distance", "carrier", "origin", "C(month)"]
    run = train(FLIGHTS, tmp_path / "runs", target="arr_delay", features=features, filters="month <= 2")
    verdict = run.convergence.iloc[0]
    assert verdict["passed"]
    assert verdict["row_gradient"] < 1e-9
    assert verdict["row_count_gap"] == 0
    frame = pd.concat(
        pd.read_parquet(path, columns=["arr_delay", "dep_delay", "distance", "carrier", "origin"]).assign(
            month=int(path.parent.name.removeprefix("month="))
        )
        for path in sorted(FLIGHTS.glob("month=0[12]/*.parquet"))
    ).dropna()
    theirs = smf.ols("arr_delay ~ dep_delay + distance + carrier + origin + C(month)", frame).fit()
    robust = theirs.get_robustcov_results("HC1")
    names = [name.replace("T.", "").replace("Intercept", "intercept") for name in robust.model.exog_names]
    ours = run.parameters.set_index("term").loc[names]
    np.testing.assert_allclose(ours["std_error_hc1"], robust.bse, rtol=1e-6)


def test_the_bits_do_not_depend_on_files_and_row_groups(tmp_path: Path) -> None:
    table = columns()
    write_parquet(tmp_path / "whole" / "0.parquet", table)
    for part, rows in enumerate((slice(0, 7), slice(7, 250), slice(250, None))):
        cut = {name: values[rows] for name, values in table.items()}
        write_parquet(tmp_path / "cut" / f"{part}.parquet", cut, row_group_size=61)
    whole, cut_up = (train(tmp_path / name, tmp_path / f"{name}-runs", features=FEATURES) for name in ("whole", "cut"))
    for name in ("parameters", "convergence", "metrics"):
        mine, theirs = (getattr(run, name).select_dtypes("number") for run in (whole, cut_up))
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True, check_dtype=False)


def test_the_gradient_of_new_rows_is_completed_by_the_sums_of_the_others(tmp_path: Path) -> None:
    write(tmp_path / "data" / "0.parquet", columns(seed=0))
    train(tmp_path / "data", tmp_path / "runs", features=FEATURES)
    write(tmp_path / "data" / "1.parquet", columns(seed=1))
    run = train(tmp_path / "data", tmp_path / "runs", features=FEATURES, predict="new")
    verdict = run.convergence.iloc[0]
    assert verdict["passed"]
    assert verdict["row_gradient"] < 1e-9


def test_a_row_left_out_of_the_fit_has_no_prediction_if_no_row_used_has_its_level(tmp_path: Path) -> None:
    table = columns()
    table["y"] = pa.array(table["y"], mask=np.arange(400) < 2)
    table["c"] = np.concatenate([["new"], table["c"][1:]])
    write(tmp_path / "data.parquet", table)
    run = train(tmp_path / "data.parquet", tmp_path / "runs", features=["x", "c"])
    assert run.convergence.iloc[0]["passed"]
    predictions = run.table("predictions")
    assert predictions["prediction"].is_null(nan_is_null=True).to_pylist()[:3] == [True, False, False]
    assert predictions["prediction"].null_count == 1
    assert predictions["residual"].null_count == 2


def changed(table: dict[str, Any], how: str) -> dict[str, Any]:
    """The table with one or two rows of other levels."""
    c = table["c"].copy()
    first, second = 0, int(np.flatnonzero(c != c[0])[0])
    if how == "one row":
        c[first] = c[second]
    elif how == "a level of no row":
        c[first] = "z"
    elif how == "two rows swapped":
        c[[first, second]] = c[[second, first]]
    else:
        a, b = c == "b", c == "c"
        c[a], c[b] = "c", "b"
    return {**table, "c": c}


def replace_unseen(file: Path, table: dict[str, Any]) -> None:
    """Other rows under the same name, size and time."""
    before = file.stat()
    write(file, table)
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("features", "arithmetic"),
    [(["x", "c"], "exact"), (["x", "c", "x:c"], "float64"), (["x", "c:d"], "exact")],
    ids=["category", "product with a number", "product of categories"],
)
@pytest.mark.parametrize("how", ["one row", "a level of no row", "two rows swapped", "two levels swapped"])
def test_levels_that_change_between_the_scans_do_not_pass(
    tmp_path: Path, how: str, features: list[str], arithmetic: str
) -> None:
    file = write(tmp_path / "data" / "0.parquet", columns(200))

    def replaced() -> None:
        replace_unseen(file, changed(columns(200), how))

    with pytest.raises(gdpipe.ConvergenceError, match="is above its limit"):
        between_scans(replaced, file.parent, tmp_path / "runs", features=features, arithmetic=arithmetic)


def test_levels_without_an_effect_that_are_swapped_between_the_scans_do_not_pass(tmp_path: Path) -> None:
    half = {name: values[:100] for name, values in columns().items()}
    twice = {name: np.concatenate([values, values]) for name, values in half.items()}
    twice["c"] = np.repeat(["a", "b"], 100)  # each row once with either level
    file = write(tmp_path / "data" / "0.parquet", twice)
    swapped = {**twice, "c": np.concatenate([["b"], twice["c"][1:-1], ["a"]])}
    with pytest.raises(gdpipe.ConvergenceError, match=r"row_probe_gap .* is above its limit"):
        between_scans(lambda: replace_unseen(file, swapped), file.parent, tmp_path / "runs", features=["x", "c"])
    assert between_scans(lambda: None, file.parent, tmp_path / "again", features=["x", "c"]).convergence["passed"].all()


def test_categories_whose_levels_combine_to_too_many_have_no_robust_errors_and_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "data.parquet", columns())
    whole = train(file, tmp_path / "whole", features=["x", "c", "d"])
    monkeypatch.setattr(level_terms, "MOST_SUMS", 20)
    run = train(file, tmp_path / "runs", features=["x", "c", "d"])
    assert run.parameters["std_error_hc1"].isna().all()
    assert [line for line in run.manifest["notices"] if line.startswith("no std_error_hc1: ")]
    assert run.convergence.iloc[0]["row_gradient"] == whole.convergence.iloc[0]["row_gradient"]
    assert run.metrics.iloc[0]["breusch_pagan"] == whole.metrics.iloc[0]["breusch_pagan"]
