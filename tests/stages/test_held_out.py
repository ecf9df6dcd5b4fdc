"""The error on unseen rows, from folds and from rows held out, against refits on the rows themselves."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

import gdpipe
from gdpipe.config import TrainingConfig
from gdpipe.cross_validation import MOST_FOLD_PRODUCTS
from gdpipe.errors import ConfigError, ConvergenceError, DataError, SchemaError
from gdpipe.numerics.rows.row_checks import LineGaps
from gdpipe.numerics.sums.folds import fold_of_rows, label_hashes
from gdpipe.run import summary
from gdpipe.source.columns import key_values
from gdpipe.stages.ingest import ingest
from tests.conftest import FLIGHTS, write_parquet
from tests.numerics.build import Floats
from tests.runs import train, train_on
from tests.stages.by_level import flown, train_by_level

SHARED = Path(__file__).parents[3] / "shared" / "data" / "california_housing.parquet"


def refits(X: Floats, y: Floats, folds: Any) -> float:
    """The cross-validated RMSE of as many fits on the rows."""
    squares = np.empty(len(y))
    for fold in np.unique(folds):
        out = folds == fold
        model = LinearRegression().fit(X[~out], y[~out])
        squares[out] = (y[out] - model.predict(X[out])) ** 2
    return math.sqrt(math.fsum(squares) / len(y))


def hashed(X: dict[str, Floats], y: Floats, target: str, folds: int = 5) -> Any:
    """The folds of rows of numbers: by the columns' names in order, the target among them."""
    columns = {**X, target: y}
    return fold_of_rows([columns[name] for name in sorted(columns)], folds)


def housing() -> tuple[dict[str, Floats], Floats, str]:
    if SHARED.exists():
        table = pq.read_table(SHARED)
        target = "median_house_value"
        table = table.drop_null()
        numbers = [
            field.name for field in table.schema if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        ]
        names = [name for name in numbers if name != target]
        return {n: table[n].to_numpy().astype(float) for n in names}, table[target].to_numpy().astype(float), target
    found = load_diabetes(as_frame=True)
    return {name: found.data[name].to_numpy() for name in found.data}, found.target.to_numpy(), "target"


def test_cross_validated_rmse_is_that_of_refits_on_flights(tmp_path: Path) -> None:
    features = ["dep_delay", "distance", "air_time"]
    run = train(FLIGHTS, tmp_path / "runs", target="arr_delay", features=features, predict="none")
    rows = pq.read_table(FLIGHTS, columns=[*features, "arr_delay"]).to_pandas().astype(float).dropna()
    X = {name: rows[name].to_numpy() for name in features}
    y = rows["arr_delay"].to_numpy()
    folds = hashed(X, y, "arr_delay")
    expected = refits(np.column_stack(list(X.values())), y, folds)
    [found] = run.metrics.to_dict("records")
    assert found["cv_rmse"] == pytest.approx(expected, rel=1e-12)
    assert run.folds["rows"].tolist() == np.bincount(folds).tolist()
    assert found["cv_r2"] == pytest.approx(1 - expected**2 / y.var(), rel=1e-12)
    assert (run.folds["status"] == "measured").all()


def test_cross_validated_rmse_is_that_of_refits_on_houses_and_coefficients_shift_as_said(tmp_path: Path) -> None:
    X, y, target = housing()
    run = train_on(tmp_path, {**X, target: y}, target=target, predict="none")
    folds, matrix = hashed(X, y, target), np.column_stack(list(X.values()))
    [found] = run.metrics.to_dict("records")
    assert found["cv_rmse"] == pytest.approx(refits(matrix, y, folds), rel=1e-12)
    parameters = run.parameters
    for fold, row in run.folds.iterrows():
        model = LinearRegression().fit(matrix[folds != fold], y[folds != fold])
        np.testing.assert_allclose(row["estimate"], [model.intercept_, *model.coef_], rtol=1e-7)
        shifts = (np.array(row["estimate"]) - parameters["ols_estimate"]) / parameters["std_error"]
        at = int(np.abs(shifts).argmax())
        assert (row["largest_shift_term"], row["largest_shift_se"]) == (
            parameters["term"][at],
            pytest.approx(shifts[at], rel=1e-6),
        )


def test_folds_of_categories_are_those_of_refits(tmp_path: Path) -> None:
    rows = flown("AABCCD")
    run = train_by_level(tmp_path, ["x", "carrier"], rows, predict="none")
    levels: list[str] = sorted(set(rows["carrier"]))
    hashes = label_hashes(levels)[np.searchsorted(levels, rows["carrier"])]
    folds = fold_of_rows([hashes, rows["x"], rows["y"]], 5)
    X = np.column_stack([rows["x"], *(rows["carrier"] == level for level in levels[1:])])
    assert run.metrics["cv_rmse"].item() == pytest.approx(refits(X, rows["y"], folds), rel=1e-12)


def test_groups_share_a_fold_and_equal_rows_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    group = rng.integers(0, 40, 1000)
    x = np.repeat(rng.normal(size=100), 10)
    numbers: dict[str, Any] = {"x": x, "y": 2 * x + rng.normal(size=1000)}
    columns = {**numbers, "group": group, "text": [f"g{g}" for g in group]}
    for by, values in (("group", [group.astype(float)]), ("text", [label_hashes([f"g{g}" for g in group])])):
        run = train_on(tmp_path / by, columns, features=["x"], fold_by=by)
        assert run.folds["rows"].tolist() == np.bincount(fold_of_rows(values, 5), minlength=5).tolist()
    few = train_on(tmp_path / "few", {**columns, "half": group % 2}, features=["x"], fold_by="half")
    said = "only 2 of 5 folds have rows: those with equal values, of fold_by if it is given, share one"
    assert said in few.manifest["notices"]
    assert f"notice      {said}" in few.refit().summary()
    ten = {name: np.repeat(values[:50], 20) for name, values in numbers.items()}
    assert all(rows % 20 == 0 for rows in train_on(tmp_path / "ten", ten, features=["x"]).folds["rows"])


def test_a_key_groups_alike_in_every_type() -> None:
    for alike in (
        [pa.array([1, 2]), pa.array([1.0, 2.0]), pa.array([1, 2], pa.uint8())],
        [pa.array(["a", "b"]), pa.array(["a", "b"]).dictionary_encode(), pa.array(["a", "b"], pa.large_string())],
        [pa.array([86400, 0], pa.timestamp(unit)).cast(pa.timestamp("us")) for unit in ("s",)]
        + [pa.array([1, 0], pa.date32()), pa.array([86_400_000, 0], pa.timestamp("ms"))],
    ):
        found = []
        for column in alike:
            values, missing = key_values(column)
            assert missing is None
            hashes = values if isinstance(values, np.ndarray) else label_hashes(values.labels)[values.codes]
            found.append(hashes.tolist())
        assert found == [found[0]] * len(found)


def test_the_order_of_the_features_and_of_the_rows_changes_no_fold(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {"a": rng.normal(size=300), "b": rng.normal(size=300), "y": rng.normal(size=300)}
    turned = {name: values[::-1] for name, values in columns.items()}
    runs = [
        train_on(tmp_path / "1", columns, features=["a", "b"]),
        train_on(tmp_path / "2", turned, features=["b", "a"]),
    ]
    first, second = (run.metrics[["cv_rmse", "cv_rmse_se", "cv_r2"]].to_numpy().tolist() for run in runs)
    assert first == second


def held_out_rows(seed: int = 0, n: int = 600) -> dict[str, Any]:
    rows = flown("AABBCD", n, seed)
    return {**rows, "month": np.arange(n) % 12 + 1, "w": np.arange(n) % 3 + 1.0}


@pytest.mark.parametrize("weight", [None, "w"])
def test_held_out_rows_are_not_fitted_but_measured(weight: str | None, tmp_path: Path) -> None:
    rows = held_out_rows()
    settings = {"weight": weight, "report": False}
    for name in "hf":
        (tmp_path / name).mkdir()
    run = train_by_level(tmp_path / "h", ["x", "carrier"], rows, holdout="month >= 11", **settings)
    without = train_by_level(tmp_path / "f", ["x", "carrier"], rows, filters="month < 11", **settings)
    for name in ("estimate", "ols_estimate", "std_error", "mean", "scale"):
        np.testing.assert_array_equal(run.parameters[name], without.parameters[name])
    np.testing.assert_allclose(run.parameters["std_error_hc1"], without.parameters["std_error_hc1"], rtol=1e-9)
    [ours], [theirs] = run.metrics.to_dict("records"), without.metrics.to_dict("records")
    for name in ("r2", "rmse", "n_samples", "cv_rmse", "cv_rmse_se"):
        assert ours[name] == theirs[name]
    assert ours["mae"] == pytest.approx(theirs["mae"], rel=1e-12)
    out = rows["month"] >= 11
    weights = rows["w"][out] if weight else np.ones(out.sum())
    residuals = run.predictions["residual"].to_numpy()[out]
    assert ours["holdout_rmse"] == pytest.approx(math.sqrt(np.average(residuals**2, weights=weights)), rel=1e-12)
    y = rows["y"][out]
    variance = np.average((y - np.average(y, weights=weights)) ** 2, weights=weights)
    assert ours["holdout_r2"] == pytest.approx(1 - ours["holdout_rmse"] ** 2 / variance, rel=1e-12)
    assert (ours["holdout_rows"], run.manifest["rows"]["held_out"]) == (100, 100)
    assert run.manifest["rows"]["used"] + 100 == run.manifest["rows"]["read"]
    assert all(check["value"] <= check["limit"] for check in run.manifest["holdout_checks"])
    assert len(run.manifest["holdout_checks"]) == 3
    assert "unseen rows holdout R² " in summary(run)
    assert "100 held out, 0 left out" in summary(run)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_level_that_only_held_out_rows_have_counts_as_the_reference(fit_intercept: bool, tmp_path: Path) -> None:
    rows = held_out_rows()
    rows["carrier"] = np.where((rows["month"] == 12) & (rows["x"] > 3), "Z", rows["carrier"])
    run = train_by_level(
        tmp_path, ["x", "carrier"], rows, holdout="month = 12", min_level_rows=1, fit_intercept=fit_intercept
    )
    out = rows["month"] == 12
    as_reference = np.where(rows["carrier"] == "Z", "A", rows["carrier"])
    predicted = run.predict({"x": rows["x"][out], "carrier": as_reference[out]})
    expected = math.sqrt(np.mean((rows["y"][out] - predicted) ** 2))
    assert run.metrics["holdout_rmse"].item() == pytest.approx(expected, rel=1e-12)
    n = (rows["carrier"] == "Z").sum()
    assert run.predictions["prediction"].isna().sum() == n
    said = f"held-out rows with a level that the fit has not seen count as the reference: carrier {n}"
    assert said in run.manifest["notices"]


def by_month(folder: Path, months: Sequence[int] = (1, 2, 3, 4)) -> Path:
    rows = held_out_rows()
    for month in months:
        of_month = rows["month"] == month
        write_parquet(folder / f"{month:02}.parquet", {name: values[of_month] for name, values in rows.items()})
    return folder


def test_a_new_file_alone_is_read_with_folds_and_a_holdout_that_moves_on(tmp_path: Path) -> None:
    def night(holdout: str | None) -> gdpipe.Run:
        settings = {"features": ["x", "carrier"], "holdout": holdout, "predict": "none"}
        return train(tmp_path / "data", tmp_path / "runs", **settings)

    by_month(tmp_path / "data")
    night("month >= 4")
    by_month(tmp_path / "data", [5])
    second = night("month >= 5")
    assert [entry["sums"] for entry in second.manifest["inputs"]] == ["kept"] * 4 + ["read"]
    third = night("month >= 4")
    assert [entry["sums"] for entry in third.manifest["inputs"]] == ["kept"] * 5
    alone = train(
        tmp_path / "data", tmp_path / "alone", features=["x", "carrier"], holdout="month >= 4", predict="none"
    )
    for artifact in ("parameters", "metrics", "folds"):
        assert third.table(artifact).to_pylist().__repr__() == alone.table(artifact).to_pylist().__repr__()
    some = night("month = 4 and x > 3")  # some rows of one file
    assert [entry["sums"] for entry in some.manifest["inputs"]] == ["kept", "kept", "kept", "read", "kept"]


def test_any_layout_and_workers_give_the_same_bits(tmp_path: Path) -> None:
    rows = held_out_rows()
    names = list(rows)
    write_parquet(tmp_path / "one" / "all.parquet", rows, row_group_size=97)
    order = np.random.default_rng(1).permutation(len(rows["x"]))
    for part, places in enumerate(np.array_split(order, 3)):
        write_parquet(tmp_path / "three" / f"{part}.parquet", {name: rows[name][places] for name in names})
    settings = {"features": ["x", "carrier"], "weight": "w", "holdout": "month = 12 or x > 6", "fold_by": "month"}
    found = [
        train(tmp_path / source, tmp_path / f"runs{workers}{source}", workers=workers, **settings)
        for source, workers in (("one", 1), ("three", 2), ("three", 1))
    ]
    columns = ["cv_rmse", "cv_rmse_se", "cv_r2", "holdout_rmse", "holdout_r2", "holdout_rows"]
    metrics = [run.metrics[columns].to_numpy().tolist() for run in found]
    tables = [repr(run.table("folds").to_pylist()) for run in found]
    assert metrics == [metrics[0]] * 3
    assert tables == [tables[0]] * 3


def test_held_out_rows_that_are_not_those_of_the_sums_do_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LineGaps.of
    calls: list[Any] = []

    def of(errors: Any, *others: Any) -> Any:
        calls.append(errors)
        if len(calls) == 1:  # the first are those of the held-out rows
            errors = type(errors)(
                errors.n_samples, errors.weight, errors.sums + errors.weight * 2**40, errors.products, errors.exponents
            )
        return real(errors, *others)

    monkeypatch.setattr(LineGaps, "of", of)
    with pytest.raises(ConvergenceError, match=r"holdout_mean_gap .* is above its limit"):
        train_by_level(tmp_path, ["x", "carrier"], held_out_rows(), holdout="month = 12")


def test_too_good_is_said_at_the_top(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    casual, registered = rng.integers(0, 100, 200), rng.integers(0, 300, 200)
    columns = {"casual": casual, "registered": registered, "cnt": casual + registered, "temp": rng.normal(size=200)}
    run = train_on(tmp_path, columns, target="cnt", report=True)
    first, second = summary(run).splitlines()[:2]
    assert first == "too good?   R² is 1.000000: see whether a feature holds the target, or is known only after it"
    assert second == "too good?   the features give the target: cnt = casual + registered"
    assert run.manifest["leakage"] == run.manifest["notices"][:2]
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert page.index("Too good?") < page.index("Passed")
    ordinary = train_on(tmp_path / "o", {"x": columns["temp"], "y": rng.normal(size=200)})
    assert ordinary.manifest["leakage"] == []
    assert "too good?" not in summary(ordinary)


def test_there_may_be_no_folds(tmp_path: Path) -> None:
    columns = {"x": np.arange(20.0), "y": np.arange(20.0) % 3}
    run = train_on(tmp_path, columns, folds=0)
    assert not run.has("folds")
    assert np.isnan(run.metrics["cv_rmse"].item())
    few = train_on(tmp_path / "few", {"a": [1.0, 2, 4], "b": [1.0, 3, 2], "y": [1.0, 2, 2]})
    assert few.manifest["notices"][-1].startswith("no cross-validated error: fold")
    assert "CV R²" not in summary(few)


def test_more_terms_than_folds_can_take_have_a_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_FOLD_PRODUCTS == 5 * 1000**2
    monkeypatch.setattr("gdpipe.cross_validation.MOST_FOLD_PRODUCTS", 5 * 3**2)
    config = TrainingConfig(
        source=str(
            write_parquet(tmp_path / "d.parquet", {name: np.arange(9.0) % p for p, name in enumerate("abcdy", 2)})
        ),
        target="y",
        output=str(tmp_path / "runs"),
    )
    with ThreadPoolExecutor(1) as executor:
        ingested = ingest(config, executor, keep=False)
    assert (ingested.by_fold, ingested.cells.folds) == ((), 0)
    assert "no cross-validated error: 4 terms in 5 folds would take long, and the limit is 3" in ingested.notices[-1]


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"x": np.arange(9.0), "y": np.arange(9.0) % 2, "l": pa.array([[1]] * 9), "t": ["a"] * 9}
    with pytest.raises(DataError, match=r"holdout .* matches every row that can be used \(9 rows\); hold fewer out"):
        train_on(tmp_path, columns, features=["x"], holdout="x >= 0")
    with pytest.raises(ConfigError, match=r"holdout .*: column 't' is string"):
        train_on(tmp_path, columns, features=["x"], holdout="t > 5")
    with pytest.raises(SchemaError, match="holdout column 'z' is not there"):
        train_on(tmp_path, columns, features=["x"], holdout="z > 5")
    with pytest.raises(SchemaError, match=r"column 'l' is list.*cannot decide a fold"):
        train_on(tmp_path, columns, features=["x"], fold_by="l")
    with pytest.raises(ConfigError, match="fold_by t: decides folds, and folds is 0"):
        train_on(tmp_path, columns, features=["x"], fold_by="t", folds=0)
    run = train_on(tmp_path, columns, features=["x"], holdout="x > 100")
    assert any(line.startswith("no error on held-out rows: holdout") for line in run.manifest["notices"])
