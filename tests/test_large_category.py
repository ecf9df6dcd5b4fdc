"""A category of thousands of levels in whole runs: exact, the same bits always, and nothing that takes long."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import gdpipe
from tests.conftest import FLIGHTS, gdpipe_cli, write_parquet
from tests.runs import train
from tests.test_same_bits import bits as published

NUMBERS = ("dep_delay", "distance", "air_time")
SETTINGS: dict[str, Any] = {"target": "arr_delay", "features": (*NUMBERS, "tailnum"), "max_levels": 5000}


def some_flights() -> pd.DataFrame:
    table = ds.dataset(FLIGHTS, partitioning="hive").to_table(filter=ds.field("month") <= 2)
    rows: pd.DataFrame = table.to_pandas().dropna(subset=["arr_delay", "tailnum", *NUMBERS])
    return rows


def within_levels(rows: pd.DataFrame) -> tuple[dict[str, Fraction], Fraction]:
    """The coefficients of OLS, and the mean squared error, in rational arithmetic by demeaning within levels."""
    columns = rows[[*NUMBERS, "arr_delay"]].astype(int)
    levels, code = np.unique(rows["tailnum"], return_inverse=True)
    counts = np.bincount(code)
    products = columns.T.to_numpy(object) @ columns.to_numpy(object)
    sums = np.array([np.bincount(code, columns[name]).astype(int) for name in columns], object)
    shares = np.array([Fraction(1, int(n)) for n in counts])
    left = np.array([[Fraction(int(v)) for v in line] for line in products]) - (sums * shares) @ sums.T
    coef = solved(left[:3, :3], left[:3, 3])
    means = (sums[3] - coef @ sums[:3]) * shares
    found = dict(zip(NUMBERS, coef, strict=True)) | {"intercept": means[0]}
    found |= {f"tailnum[{level}]": mean - means[0] for level, mean in zip(levels[1:], means[1:], strict=True)}
    return found, (left[3, 3] - left[3, :3] @ coef) / len(rows)


def solved(matrix: Any, right: Any) -> Any:
    """Gauss's elimination."""
    system = np.column_stack([matrix, right])
    for i in range(len(system)):
        system[i] /= system[i, i]
        for j in range(len(system)):
            if j != i:
                system[j] = system[j] - system[j, i] * system[i]
    return system[:, -1]


def test_three_thousand_levels_are_ols_in_rational_arithmetic_rounded_once(tmp_path: Path) -> None:
    run = train(FLIGHTS, tmp_path, filters="month <= 2", folds=0, predict="none", **SETTINGS)
    expected, loss = within_levels(some_flights())
    found = run.parameters.set_index("term")
    assert len(found) == len(expected) > 3_000
    assert found["ols_estimate"].to_dict() == {term: float(value) for term, value in expected.items()}
    assert run.convergence["ols_loss"][0] == float(loss)
    assert run.convergence["passed"][0]
    # the category is absorbed, so that what descends has three coefficients
    assert run.convergence["iterations"][0] < 2_000


def test_layouts_and_orders_give_the_same_bits(tmp_path: Path) -> None:
    rows = some_flights()[:4_000]
    table = pa.Table.from_pandas(rows[[*SETTINGS["features"], "arr_delay"]], preserve_index=False)
    table = table.append_column("id", pa.array(range(len(table))))
    found = []
    for name, order, cuts in (
        ("whole", np.arange(len(table)), 1),
        ("cut", np.random.default_rng(0).permutation(len(table)), 3),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for part, some in enumerate(np.array_split(order, cuts)):
            pq.write_table(table.take(some), folder / f"{part}.parquet", row_group_size=700)
        found.append(train(folder, tmp_path / f"{name}-runs", key=["id"], **SETTINGS))
    assert found[0].convergence["passed"][0]
    assert len(found[0].parameters) > 1_000
    assert published(found[0]) == published(found[1])


@pytest.mark.parametrize("weight", [None, "w"])
def test_what_a_level_determines_is_named(tmp_path: Path, weight: str | None) -> None:
    rng = np.random.default_rng(1)
    shop = rng.permutation(3_000) % 300
    x = rng.normal(size=3_000)
    columns = {
        "x": x,
        "shop": [f"s{level:03}" for level in shop],
        "region": [f"r{level // 50}" for level in shop],
        "size": np.sqrt(shop),
        "w": rng.uniform(0.5, 2, 3_000),
        "y": 2 * x + shop % 9 + rng.normal(size=3_000),
    }
    features = ("x", "region", "size", "shop")
    source = write_parquet(tmp_path / "data.parquet", columns)
    run = train(source, tmp_path / "runs", features=features, weight=weight, fold_by=("x",))
    assert run.convergence["passed"][0]
    assert run.convergence["rank"][0] == 1 + 299
    lines = run.convergence["dependencies"][0]
    assert any("5 terms of region are combinations of those of shop" in line for line in lines)
    assert any("size" in line and "shop" in line for line in lines)
    # the predictions are those of the shops alone
    alone = train(source, tmp_path / "alone", features=("x", "shop"), weight=weight, fold_by=("x",))
    assert run.metrics["r2"][0] == pytest.approx(alone.metrics["r2"][0], rel=1e-12)
    assert run.metrics["cv_rmse"][0] == pytest.approx(alone.metrics["cv_rmse"][0], rel=1e-9)
    assert run.convergence["ols_loss"][0] == pytest.approx(alone.convergence["ols_loss"][0], rel=1e-12)


def test_all_published_numbers_are_those_of_the_whole_matrix(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    n = 3_000
    shop, day = rng.permutation(n) % 270, rng.integers(0, 5, n)
    x, z = rng.normal(5, 2, n) + shop / 100, rng.normal(size=n)
    columns = {
        "x": x,
        "z": z,
        "shop": [f"s{level:03}" for level in shop],
        "day": [f"d{level}" for level in day],
        "y": 2 * x - z + shop % 7 + day + rng.normal(size=n) * (1 + z**2),
    }
    source = write_parquet(tmp_path / "data.parquet", columns)
    ours, theirs = (
        train(source, tmp_path / kind, features=("x", "z", "shop", "day"), arithmetic=kind)
        for kind in ("auto", "exact")
    )
    assert ours.convergence["iterations"][0] < theirs.convergence["iterations"][0]
    assert ours.parameters["ols_estimate"].tolist() == theirs.parameters["ols_estimate"].tolist()
    of_rows = ["mae", "skewness", "kurtosis", "jarque_bera", "jarque_bera_p_value", "breusch_pagan_p_value"]
    for name in ("parameters", "metrics", "features", "folds"):
        found, wanted = getattr(ours, name), getattr(theirs, name)
        for column in found.select_dtypes("number"):
            by_descent = column in {"estimate", "estimate_scaled"} and name == "parameters"
            rtol, atol = (0.0, 1e-7) if by_descent else (1e-6 if column in of_rows else 1e-8, 0.0)
            np.testing.assert_allclose(found[column], wanted[column], rtol, atol, err_msg=f"{name}.{column}")


def test_a_fold_may_have_all_rows_of_the_reference(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shop = rng.permutation(2_600) % 260
    x = rng.normal(size=2_600)
    columns = {"shop": [f"s{level:03}" for level in shop], "x": x, "y": x + shop % 5 + rng.normal(size=2_600)}
    run = train(write_parquet(tmp_path / "data.parquet", columns), tmp_path / "runs", fold_by=("shop",))
    assert run.convergence["passed"][0]
    assert np.isfinite(run.folds["rmse"]).all()


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_category_that_gives_the_target_has_a_report(fit_intercept: bool, tmp_path: Path) -> None:
    shop = np.arange(1_200) % 300
    columns = {"shop": [f"s{level:03}" for level in shop], "x": np.random.default_rng(4).normal(size=1_200)}
    columns["y"] = np.sqrt(shop)
    source = write_parquet(tmp_path / "data.parquet", columns)
    run = train(source, tmp_path / "runs", features=("x", "shop"), fit_intercept=fit_intercept, report=True)
    assert run.convergence["ols_loss"][0] == 0
    assert run.convergence["passed"][0]
    assert (Path(run.location) / "report.html").exists()


def test_the_summary_and_the_report_show_it(tmp_path: Path) -> None:
    outcome = gdpipe_cli(
        "train", FLIGHTS, "--target", "arr_delay", "--features", "dep_delay,tailnum", "--max-levels", "5000",
        "--filters", "month = 1 and day <= 9", "--output", tmp_path,
    )  # fmt: skip
    assert outcome.code == 0
    assert "PASSED" in outcome.out
    assert "terms, tailnum absorbed)" in outcome.out
    assert gdpipe.open_run(tmp_path).manifest["absorbed"] == "tailnum"
    run = gdpipe.open_run(tmp_path)
    assert "tailnum" in (Path(run.location) / "report.html").read_text()
