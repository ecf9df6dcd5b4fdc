"""Scores: what is said of the rows, with the target there, half there, unfit or not at all."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import gdpipe
from gdpipe.pipeline import score_source
from gdpipe.source import scan
from tests.conftest import gdpipe_cli, line_columns, write_parquet

COLUMNS = ["file", "row", "target", "prediction", "residual"]


def new_rows(n: int = 90) -> dict[str, Any]:
    """Rows of another line, five of which miss a feature and two a target."""
    columns = line_columns(n, seed=5)
    columns["y"] = columns["y"] + 0.3
    columns["x1"][:3] = np.nan
    columns["x2"][2:5] = np.nan
    columns["y"][4:6] = np.nan
    return columns


def scored(source: Path, output: Path, **settings: Any) -> gdpipe.Run:
    return score_source(str(source), run=str(output), output=str(source.parent / "scores"), **settings)


def numbers(run: gdpipe.Run) -> tuple[Any, ...]:
    metrics = run.manifest["metrics"]
    return tuple(metrics[name] for name in ("n_samples", "r2", "rmse", "mae"))


def test_the_error_is_that_of_scikit_learn_beside_the_models_own(output: Path, tmp_path: Path) -> None:
    run = scored(write_parquet(tmp_path / "new.parquet", new_rows()), output)
    about = run.manifest
    assert about["rows"] == {"read": 90, "predicted": 85, "left_out": 5, "null": {"x1": 3, "x2": 3}}
    assert about["notices"] == []
    both = run.predictions.dropna()
    assert about["metrics"]["n_samples"] == len(both) == 84
    assert about["metrics"]["r2_kind"] == "centred"
    y, prediction = both["target"], both["prediction"]
    expected = (84, r2_score(y, prediction), root_mean_squared_error(y, prediction), mean_absolute_error(y, prediction))
    assert numbers(run) == pytest.approx(expected, rel=1e-13)
    own = gdpipe.open_run(output).metrics.iloc[0]
    assert about["training_metrics"] == {n: own[n] for n in ("n_samples", "r2", "r2_kind", "rmse", "mae")}


def test_the_error_has_the_same_bits_however_the_rows_are_cut(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = new_rows(5000)
    found = set()
    for part, options in enumerate(({}, {"row_group_size": 17}, {"row_group_size": 1000})):
        file = write_parquet(tmp_path / str(part) / "new.parquet", columns, **options)
        found.add(numbers(scored(file, output)))
    for part in range(7):
        piece = {name: values[part::7] for name, values in columns.items()}
        write_parquet(tmp_path / "many" / "rows" / f"{part}.parquet", piece)
    monkeypatch.setattr("gdpipe.kinds.LEAST_MEMORY", 1)
    found.add(numbers(scored(tmp_path / "many" / "rows", output, memory="1")))
    assert len(found) == 1


UNFIT = {
    "null": (pa.nulls(40), "is null in 2.parquet"),
    "string": (pa.array(["?"] * 40), "is string in 2.parquet"),
    "timestamp": (pa.array([0] * 40, pa.timestamp("s")), "is timestamp[ms] in 2.parquet"),
    "struct": (pa.array([{"a": 1.0}] * 40), "is struct<a: double> in 2.parquet"),
    "missing": (None, "is not there in 2.parquet"),
}


@pytest.mark.parametrize("second", UNFIT)
@pytest.mark.parametrize("kind", ["double", "int16", "bool", "decimal128(9, 2)"])
def test_a_target_is_used_where_it_is(second: str, kind: str, output: Path, tmp_path: Path) -> None:
    columns = line_columns(40, seed=2)
    types = {"double": pa.float64(), "int16": pa.int16(), "bool": pa.bool_()}
    target = pa.array(np.arange(40) % 2).cast(pa.int64()).cast(types.get(kind, pa.decimal128(21, 2)))
    features = {name: columns[name] for name in ("x1", "x2")}
    unfit, says = UNFIT[second]
    write_parquet(tmp_path / "new" / "1.parquet", {**features, "y": target})
    write_parquet(tmp_path / "new" / "2.parquet", features if unfit is None else {**features, "y": unfit})
    for run in (scored(tmp_path / "new", output), scored(tmp_path / "new", output, filters=[("x1", "<", 99)])):
        assert run.manifest["notices"] == [f"no residuals: the target 'y' {says}"]
        assert run.manifest["rows"]["predicted"] == 80
        assert run.manifest["metrics"]["n_samples"] == 40
        counts = run.predictions.groupby("file").count()
        assert counts["residual"].to_dict() == counts["target"].to_dict() == {"1.parquet": 40, "2.parquet": 0}
        assert (counts["prediction"] == 40).all()
    assert run.predictions["target"][:40].to_list() == [float(i % 2) for i in range(40)]


def test_the_target_in_no_file_and_as_a_folder(output: Path, tmp_path: Path) -> None:
    columns = line_columns(40, seed=2)
    features = {name: columns[name] for name in ("x1", "x2")}
    for part in range(3):
        write_parquet(tmp_path / "new" / f"{part}.parquet", features)
    run = scored(tmp_path / "new", output)
    assert run.manifest["notices"] == ["no residuals: the target 'y' is not there in 0.parquet and 2 more files"]
    assert numbers(run) == (0, None, None, None)
    write_parquet(tmp_path / "hive" / "y=3" / "a.parquet", features)
    run = scored(tmp_path / "hive", output)
    assert run.predictions["target"].to_list() == [3.0] * 40
    assert run.manifest["metrics"]["r2"] is None  # it does not vary
    assert run.manifest["metrics"]["mae"] == pytest.approx(run.predictions["residual"].abs().mean())
    twice = pa.Table.from_arrays(
        [*map(pa.array, features.values()), *[pa.array(columns["y"])] * 2], ["x1", "x2", "y", "y"]
    )
    pq.write_table(twice, tmp_path / "twice.parquet")
    assert "is there twice" in scored(tmp_path / "twice.parquet", output).manifest["notices"][0]


@pytest.mark.parametrize("empty", ["typed", "null", "key", "no row group"])
def test_no_rows_leave_predictions_without_rows(empty: str, output: Path, tmp_path: Path) -> None:
    columns = {**line_columns(3), "name": ["a"] * 3}
    table = pa.table(columns).slice(0, 0)
    if empty == "null":  # what pandas writes of an empty frame
        table = pa.table({name: pa.nulls(0) for name in columns})
    if empty == "no row group":
        pq.ParquetWriter(tmp_path / "new.parquet", table.schema).close()
    else:
        pq.write_table(table, tmp_path / "new.parquet")
    run = scored(tmp_path / "new.parquet", output, key=["name"] if empty == "key" else ())
    there = run.table("predictions")
    assert there.num_rows == 0
    assert there.column_names == (["name", *COLUMNS[2:]] if empty == "key" else COLUMNS)
    assert [str(kind) for kind in there.schema.types[-3:]] == ["double"] * 3
    assert run.verify() == []
    assert run.manifest["rows"] == {"read": 0, "predicted": 0, "left_out": 0, "null": {}}
    path = f"{run.folder}/predictions/*.parquet"
    assert (
        pl.read_parquet(path).shape
        == duckdb.read_parquet(path).shape
        == pd.read_parquet(run.folder / "predictions").shape
    )
    shown = gdpipe_cli("show", run.folder)
    assert shown.out.startswith("rows        0 scored with run good\n")


def test_a_feature_of_nothing_but_nulls_predicts_nothing(output: Path, tmp_path: Path) -> None:
    columns = line_columns(20)
    run = scored(write_parquet(tmp_path / "new.parquet", {**columns, "x1": pa.nulls(20)}), output)
    assert run.predictions["prediction"].isna().all()
    assert run.manifest["rows"] == {"read": 20, "predicted": 0, "left_out": 20, "null": {"x1": 20}}


def test_residuals_beyond_float64_are_counted_and_not_averaged_away(output: Path, tmp_path: Path) -> None:
    columns = line_columns(20)
    columns["x1"][0], columns["y"][0] = 1.5e308, 1.0
    columns["x1"][1], columns["y"][1] = -0.8e308, 1.7e308
    run = scored(write_parquet(tmp_path / "new.parquet", columns), output)
    assert numbers(run) == (18, None, None, None)
    assert run.manifest["notices"] == ["no RMSE, R² and MAE: the residuals of 2 rows are too large for float64"]
    assert gdpipe_cli("show", run.folder).code == 0


def test_an_uncentred_model_is_compared_by_its_own_r2(data: Path, tmp_path: Path) -> None:
    settings = {"source": str(data), "target": "y", "fit_intercept": False, "report": False}
    gdpipe.train(output=str(tmp_path / "runs"), **settings)
    run = scored(data, tmp_path / "runs")
    assert run.manifest["metrics"]["r2_kind"] == "uncentred"
    own = run.manifest["training_metrics"]
    assert run.manifest["metrics"] == {**own, **{n: pytest.approx(own[n], rel=1e-12) for n in ("r2", "rmse", "mae")}}


# what is printed


def test_predict_and_show_say_what_was_done(output: Path, tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "new.parquet", new_rows())
    to = tmp_path / "scores"
    done = gdpipe_cli("predict", file, "--run", output, "--output", to)
    about, own = gdpipe.open_run(to).manifest, gdpipe.open_run(output).metrics.iloc[0]
    error = about["metrics"]
    assert done.out.splitlines() == [
        "rows        90 scored with run good, 5 without a prediction (x1 null 3, x2 null 3)",
        f"scores      R² {error['r2']:.7g}, RMSE {error['rmse']:.7g}, MAE {error['mae']:.7g}, on 84 rows with y",
        f"training    R² {own['r2']:.7g}, RMSE {own['rmse']:.7g}, MAE {own['mae']:.7g}, on 200 rows",
        f"files       {to / 'runs' / about['run_id']}",
    ]
    assert gdpipe_cli("show", to).out == done.out
    for command in (("show", to), ("predict", file, "--run", output, "--output", to)):
        printed = json.loads(gdpipe_cli(*command, "--json").out)
        assert printed["rows"] == about["rows"]
        assert printed["metrics"] == error
        assert not any(isinstance(v, float) and math.isnan(v) for v in printed["training_metrics"].values())


def test_a_notice_is_printed_and_quiet_is_quiet(output: Path, tmp_path: Path) -> None:
    columns = line_columns(20)
    file = write_parquet(tmp_path / "new.parquet", {**columns, "y": ["?"] * 20})
    to = tmp_path / "scores"
    assert gdpipe_cli("predict", file, "--run", output, "--output", to, "--quiet").out == ""
    shown = gdpipe_cli("show", to).out
    assert "notice      no residuals: the target 'y' is string in new.parquet\n" in shown
    assert "RMSE" not in shown


def test_an_infinite_target_is_compared_with_nothing(output: Path, tmp_path: Path) -> None:
    columns = line_columns(40, seed=2)
    columns["y"][3] = np.inf
    write_parquet(tmp_path / "new" / "a.parquet", columns)
    run = scored(tmp_path / "new", output)
    assert run.predictions["prediction"].notna().all()
    assert numbers(run)[1:] == (None, None, None)
    assert "the residuals of 1 row are too large" in run.manifest["notices"][0]
    columns["x1"][5] = -np.inf
    write_parquet(tmp_path / "new" / "a.parquet", columns)
    with pytest.raises(gdpipe.DataError, match=r"column 'x1' is infinite in row 5"):
        scored(tmp_path / "new", output)


def test_a_file_that_changes_while_it_is_scored_is_named(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_parquet(tmp_path / "new" / "a.parquet", line_columns(40, seed=2))
    decode = scan._decode

    def changed(*arguments: Any) -> Iterator[pa.RecordBatch]:
        yield from decode(*arguments)
        os.utime(file, ns=(1, 1))

    monkeypatch.setattr(scan, "_decode", changed)
    with pytest.raises(gdpipe.DataError, match=r"a\.parquet: changed while this run read it"):
        scored(tmp_path / "new", output)
    assert not (tmp_path / "scores" / "latest.json").exists()
