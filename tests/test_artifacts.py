"""What a run leaves: the files, columns, types and metadata of the contract, for every reader the same."""

import hashlib
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.errors import PublishError, SchemaError
from tests.conftest import FLIGHTS, gdpipe_cli, line_columns, snapshot, write_parquet

F, S, I, B = pa.float64(), pa.string(), pa.int64(), pa.bool_()  # noqa: E741  # short, as the catalog has them

# the contract, word for word
CONTRACT: dict[str, dict[str, pa.DataType]] = {
    "parameters": {
        "term": S,
        **dict.fromkeys(
            ("estimate", "estimate_scaled", "ols_estimate", "std_error", "t_value", "p_value", "ci_lower", "ci_upper"),
            F,
        ),
        **dict.fromkeys(("mean", "scale", "vif"), F),
        "status": S,
    },
    "loss_history": {"iteration": I, "loss": F, "gradient_norm": F, "learning_rate": F, "estimate_scaled": pa.list_(F)},
    "convergence": {
        "status": S,
        "passed": B,
        "method": S,
        "iterations": I,
        "forecast_iterations": I,
        "learning_rate": F,
        "condition_number": F,
        "rank": I,
        **dict.fromkeys(("gradient_norm", "distance_bound", "coef_gap", "coef_gap_se", "loss", "ols_loss"), F),
        **dict.fromkeys(("excess_loss", "row_gradient", "tolerance"), F),
        "dependencies": pa.list_(S),
    },
}
# columns that came after the contract was written stand behind its own
ROW_GAPS = ("row_mean_gap", "row_loss_gap", "row_probe_gap")
LATER: dict[str, dict[str, pa.DataType]] = {
    "parameters": {"std_error_hc1": F, "feature": S, "level": S, "optimum_estimate": F},
    "convergence": {
        "row_count_gap": I,
        "row_weight_gap": F,
        **{f"{name}{end}": F for name in ROW_GAPS for end in ("", "_limit")},
        "penalty": S,
        "alpha": F,
        "l1_ratio": F,
        "nonzero": I,
        "fit_gap": F,
        "proof": S,
    },
}
METRICS = {"r2": F, "adjusted_r2": F, "rmse": F, "mae": F, "n_samples": I, "f_statistic": F}
PREDICTED = {"target": F, "prediction": F, "residual": F}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files with holes, text, keys, a dependent column, a constant one, and one named `intercept`."""
    folder = tmp_path_factory.mktemp("source")
    for part, n in enumerate((120, 1, 79)):
        columns = line_columns(n, seed=part)
        at = np.arange(n)
        write_parquet(
            folder / f"part-{part}.parquet",
            {
                "id": at + 1000 * part,
                "name": [f"größe {i}" for i in at],
                "when": pa.array(at * 10**9, pa.timestamp("us")),
                "x1": pa.array(columns["x1"], mask=at % 11 == 3),
                "x2": np.where(at % 17 == 5, np.nan, columns["x2"]),
                "intercept": (at % 5).astype(np.int32),
                "double": 2 * (at % 5),
                "seven": np.full(n, 7, np.int16),
                "y": pa.array(columns["y"], mask=at % 13 == 8),
            },
            row_group_size=50,
        )
    return folder


def publish(source: Path, output: Path, *more: object) -> gdpipe.Run:
    done = gdpipe_cli("train", source, "--target", "y", "--output", output, *more)
    assert done.code == 0, done.err
    return gdpipe.open_run(output)


@pytest.fixture(scope="module")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> gdpipe.Run:
    return publish(source, tmp_path_factory.mktemp("output"), "--run-id", "the-run", "--key", "id,name,when")


@pytest.fixture(scope="module")
def keyless(source: Path, tmp_path_factory: pytest.TempPathFactory) -> gdpipe.Run:
    features = ("--features", "x1,x2,intercept")
    return publish(source, tmp_path_factory.mktemp("keyless"), "--run-id", "keyless", *features)


def tables(run: gdpipe.Run) -> list[Path]:
    return sorted(run.folder.rglob("*.parquet"))


def types(table: pa.Table | pa.Schema) -> dict[str, pa.DataType]:
    schema = table.schema if isinstance(table, pa.Table) else table
    return dict(zip(schema.names, schema.types, strict=True))


# files


def test_the_files_of_a_run(run: gdpipe.Run) -> None:
    assert sorted(snapshot(run.folder)) == [
        "convergence.parquet",
        "folds.parquet",
        "loss_history.parquet",
        "manifest.json",
        "metrics.parquet",
        "parameters.parquet",
        "predictions/part-00000.parquet",
        "predictions/part-00001.parquet",
        "predictions/part-00002.parquet",
        "report.html",
    ]


def test_the_output_has_the_run_and_the_pointer(run: gdpipe.Run) -> None:
    output = run.folder.parent.parent
    assert run.folder == output / "runs" / "the-run"
    pointer = json.loads((output / "latest.json").read_text(encoding="utf-8"))
    assert pointer == {"schema_version": 1, "run_id": "the-run", "path": "runs/the-run"}
    assert (output / pointer["path"]).samefile(run.folder)
    assert {p.name for p in output.iterdir()} <= {"latest.json", "runs", "moments", ".staging"}


def test_no_report_leaves_only_the_report_out(source: Path, run: gdpipe.Run, tmp_path: Path) -> None:
    without = publish(source, tmp_path, "--no-report", "--key", "id,name,when")
    assert set(snapshot(run.folder)) - set(snapshot(without.folder)) == {"report.html"}
    assert set(snapshot(without.folder)) <= set(snapshot(run.folder))


def test_the_report_needs_no_network(run: gdpipe.Run) -> None:
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "the-run" in page
    assert not re.search(r"<script|<link|<iframe|@import|url\(\s*['\"]?(http|//)", page, re.IGNORECASE)
    assert not re.search(r"\b(src|href)\s*=\s*['\"]?\s*(https?:)?//", page, re.IGNORECASE)


def test_the_manifest_lists_each_file_as_it_is(run: gdpipe.Run) -> None:
    listed = {entry["path"]: entry for entry in run.manifest["files"]}
    content = snapshot(run.folder)
    del content["manifest.json"]
    assert set(listed) == set(content)
    for name, entry in listed.items():
        assert entry["bytes"] == len(content[name])
        assert entry["sha256"] == hashlib.sha256(content[name]).hexdigest()
        rows = pq.read_metadata(run.folder / name).num_rows if name.endswith(".parquet") else None
        assert entry["rows"] == rows


def test_the_manifest_tells_the_inputs_the_rows_and_the_verdict(source: Path, run: gdpipe.Run) -> None:
    manifest = run.manifest
    assert [(entry["file"], entry["rows"]) for entry in manifest["inputs"]] == [
        ("part-0.parquet", 120),
        ("part-1.parquet", 1),
        ("part-2.parquet", 79),
    ]
    for entry in manifest["inputs"]:
        assert entry["bytes"] == (source / entry["file"]).stat().st_size
    frame = pd.concat([pd.read_parquet(source / entry["file"]) for entry in manifest["inputs"]])
    holes = frame[["x1", "x2", "y"]].isna()
    assert manifest["rows"] == {
        "read": 200,
        "scanned": 200,
        "used": int((~holes.any(axis=1)).sum()),
        "held_out": 0,
        "left_out": int(holes.any(axis=1).sum()),
        "null": {name: int(count) for name, count in holes.sum().items()},
        "zero_weight": 0,
    }
    assert manifest["verdict"]["passed"] is True
    assert manifest["settings"]["target"] == "y"
    assert {"python", "gdpipe", "numpy", "pyarrow"} <= set(manifest["versions"])
    assert manifest["run_id"] == "the-run"


# columns, types, metadata


@pytest.mark.parametrize("artifact", CONTRACT)
def test_columns_and_types_are_those_of_the_contract(artifact: str, run: gdpipe.Run) -> None:
    found = types(pq.read_schema(run.folder / f"{artifact}.parquet"))
    expected = {**CONTRACT[artifact], **LATER.get(artifact, {})}
    assert list(found.items()) == list(expected.items())


def test_metrics_has_the_columns_that_the_contract_names(run: gdpipe.Run) -> None:
    found = types(pq.read_schema(run.folder / "metrics.parquet"))
    assert {name: found.get(name) for name in METRICS} == METRICS
    assert set(found.values()) <= {F, I, S}


def test_predictions_have_the_key_or_file_and_row(run: gdpipe.Run, keyless: gdpipe.Run) -> None:
    keys = {"id": I, "name": S, "when": pa.timestamp("us")}
    for path in run.folder.glob("predictions/*"):
        assert list(types(pq.read_schema(path)).items()) == list({**keys, **PREDICTED}.items())
    for path in keyless.folder.glob("predictions/*"):
        assert list(types(pq.read_schema(path)).items()) == list({"file": S, "row": I, **PREDICTED}.items())


def test_every_file_carries_its_metadata(run: gdpipe.Run) -> None:
    for path in tables(run):
        schema = pq.read_schema(path)
        artifact = "predictions" if path.parent.name == "predictions" else path.stem
        assert schema.metadata[b"gdpipe.schema_version"] == b"1"
        assert schema.metadata[b"gdpipe.run_id"] == b"the-run"
        assert schema.metadata[b"gdpipe.artifact"] == artifact.encode()
        # other readers find them in the file's own key-value metadata, not in Arrow's
        assert {b"gdpipe.schema_version", b"gdpipe.run_id", b"gdpipe.artifact"} <= set(pq.read_metadata(path).metadata)
        for field in schema:
            assert field.metadata[b"unit"], (path.name, field.name)
            assert field.metadata[b"meaning"], (path.name, field.name)


def test_every_column_is_compressed_with_zstd(run: gdpipe.Run) -> None:
    for path in tables(run):
        metadata = pq.read_metadata(path)
        for g in range(metadata.num_row_groups):
            group = metadata.row_group(g)
            assert {group.column(c).compression for c in range(group.num_columns)} == {"ZSTD"}


def test_a_rejected_run_has_the_same_tables_but_no_predictions(source: Path, tmp_path: Path) -> None:
    slow = ("--learning-rate", "1e-9", "--max-iterations", "20", "--run-id", "slow")
    assert gdpipe_cli("train", source, "--target", "y", "--output", tmp_path, *slow).code == 1
    for artifact, columns in CONTRACT.items():
        schema = pq.read_schema(tmp_path / "rejected" / "slow" / f"{artifact}.parquet")
        assert types(schema) == {**columns, **LATER.get(artifact, {})}
        assert schema.metadata[b"gdpipe.run_id"] == b"slow"
    rejected = gdpipe.open_run(tmp_path / "rejected" / "slow")
    with pytest.raises(PublishError, match="no predictions"):
        _ = rejected.predictions
    with pytest.raises(PublishError, match="no published run"):
        gdpipe.open_run(tmp_path)


# readers


def plain(value: Any) -> Any:
    """A value such that NaN equals NaN, whatever the reader wraps it in."""
    if isinstance(value, (list, np.ndarray)):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    return value


def test_polars_and_duckdb_read_the_same_values(run: gdpipe.Run, keyless: gdpipe.Run) -> None:
    for path in [*tables(run), *tables(keyless)]:
        expected = [[plain(v) for v in row.values()] for row in pq.ParquetFile(path).read().to_pylist()]
        assert expected
        polars = pl.read_parquet(path, hive_partitioning=False)
        assert [[plain(v) for v in row] for row in polars.rows()] == expected, path.name
        with duckdb.connect() as connection:
            found = connection.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        assert [[plain(v) for v in row] for row in found] == expected, path.name


def test_pandas_reads_the_same_values(run: gdpipe.Run, keyless: gdpipe.Run) -> None:
    for path in [*tables(run), *tables(keyless)]:
        table = pq.ParquetFile(path).read()
        frame = pd.read_parquet(path)
        assert frame.columns.to_list() == table.column_names
        for name in table.column_names:
            expected = [math.nan if v is None else v for v in table[name].to_pylist()]
            assert [plain(v) for v in frame[name].to_list()] == [plain(v) for v in expected], (path.name, name)


def test_all_parts_of_predictions_read_as_one_table(run: gdpipe.Run) -> None:
    parts = str(run.folder / "predictions" / "*.parquet")
    expected = run.predictions["id"].to_list()
    assert pl.read_parquet(parts)["id"].to_list() == expected
    assert pd.read_parquet(run.folder / "predictions")["id"].to_list() == expected
    with duckdb.connect() as connection:
        found = connection.execute("SELECT id FROM read_parquet(?)", [parts]).fetchall()
    assert [row[0] for row in found] == expected


# values


def test_the_intercept_comes_first_and_then_the_features_in_order(run: gdpipe.Run, keyless: gdpipe.Run) -> None:
    assert run.parameters["term"].to_list() == ["intercept", "x1", "x2", "intercept", "double", "seven"]
    assert run.parameters["status"].to_list() == ["ok", "ok", "ok", "dependent", "dependent", "constant"]
    assert keyless.parameters["term"].to_list() == ["intercept", "x1", "x2", "intercept"]
    assert keyless.parameters["status"].to_list() == ["ok"] * 4
    np.testing.assert_allclose(keyless.parameters["estimate"], [1, 2, -3, 0], atol=0.1)


def test_without_an_intercept_there_is_no_row_for_it(source: Path, tmp_path: Path) -> None:
    run = publish(source, tmp_path, "--no-fit-intercept", "--features", "intercept,x1")
    assert run.parameters["term"].to_list() == ["intercept", "x1"]
    assert run.model.features == ("intercept", "x1")
    assert run.model.intercept == 0.0
    assert run.metrics["r2_kind"].to_list() == ["uncentred"]
    frame = pd.DataFrame({"intercept": [0.0, 1.0], "x1": [0.0, 0.0]})
    assert run.predict(frame).to_list() == [0.0, run.parameters["estimate"][0]]


def test_the_history_starts_at_zero_and_ends_at_the_parameters(run: gdpipe.Run) -> None:
    history, parameters, verdict = run.loss_history, run.parameters, run.convergence.iloc[0]
    assert history["iteration"].to_list() == list(range(verdict["iterations"] + 1))
    assert list(history["estimate_scaled"].iloc[0]) == [0.0] * 5
    assert list(history["estimate_scaled"].iloc[-1]) == parameters["estimate_scaled"][1:].to_list()
    assert history["loss"].iloc[-1] == verdict["loss"]
    assert history["gradient_norm"].iloc[-1] == verdict["gradient_norm"]
    assert (history["learning_rate"] == verdict["learning_rate"]).all()
    # nothing is explained yet at the start
    assert history["loss"].iloc[0] == pytest.approx(run.metrics["target_scale"][0] ** 2)


def test_a_long_history_is_thinned_and_keeps_both_ends(source: Path, tmp_path: Path) -> None:
    slow = ("--learning-rate", "1e-6", "--method", "gd", "--max-iterations", "40000", "--run-id", "slow")
    assert gdpipe_cli("train", source, "--target", "y", "--output", tmp_path, *slow).code == 1
    iterations = pq.read_table(tmp_path / "rejected" / "slow" / "loss_history.parquet")["iteration"].to_numpy()
    assert 5_000 < len(iterations) <= 10_000
    assert (iterations[0], iterations[-1]) == (0, 40_000)
    assert iterations[:100].tolist() == list(range(100))
    gaps = np.diff(iterations)
    assert gaps.min() >= 1
    assert gaps[-5:].mean() > gaps[:5].mean()


def test_the_verdict_is_that_of_its_numbers(run: gdpipe.Run) -> None:
    verdict = run.convergence.iloc[0]
    assert verdict["status"] == "converged"
    assert verdict["passed"]
    assert verdict["coef_gap"] <= verdict["distance_bound"] <= verdict["tolerance"] == 1e-8
    assert verdict["coef_gap_se"] < 1e-3
    assert abs(verdict["row_gradient"]) < 1e-7
    assert verdict["excess_loss"] >= 0
    assert verdict["row_count_gap"] == verdict["row_weight_gap"] == 0
    assert all(verdict[name] <= verdict[f"{name}_limit"] < 1e-8 for name in ROW_GAPS)
    assert verdict["loss"] == pytest.approx(verdict["ols_loss"])
    assert verdict["rank"] == 3
    assert sorted(verdict["dependencies"]) == ["double = 2 intercept", "seven is constant (7)"]


def test_predictions_have_every_row_in_order(source: Path, run: gdpipe.Run, keyless: gdpipe.Run) -> None:
    frame = pd.concat([pd.read_parquet(path) for path in sorted(source.glob("*.parquet"))], ignore_index=True)
    for predictions, features in ((run.predictions, ["x1", "x2"]), (keyless.predictions, ["x1", "x2"])):
        assert len(predictions) == len(frame) == 200
        np.testing.assert_array_equal(predictions["target"], frame["y"])
        np.testing.assert_array_equal(predictions["prediction"].isna(), frame[features].isna().any(axis=1))
        np.testing.assert_array_equal(predictions["residual"], predictions["target"] - predictions["prediction"])
        assert predictions["prediction"].isna().sum() > 10
        assert (predictions["prediction"].notna() & predictions["target"].isna()).sum() > 10
    pd.testing.assert_frame_equal(run.predictions[["id", "name", "when"]], frame[["id", "name", "when"]])
    assert keyless.predictions["file"].to_list() == (
        ["part-0.parquet"] * 120 + ["part-1.parquet"] + ["part-2.parquet"] * 79
    )
    assert keyless.predictions["row"].to_list() == [*range(120), 0, *range(79)]


def test_what_cannot_be_predicted_is_null_and_not_nan(run: gdpipe.Run) -> None:
    table = run.table("predictions")
    for name in PREDICTED:
        column = table[name].combine_chunks()
        assert column.null_count > 0
        assert not np.isnan(column.drop_null().to_numpy()).any()


def test_predictions_are_those_of_the_published_parameters(source: Path, keyless: gdpipe.Run) -> None:
    frame = pd.concat([pd.read_parquet(path) for path in sorted(source.glob("*.parquet"))], ignore_index=True)
    estimate = keyless.parameters["estimate"].to_numpy()
    by_hand = estimate[0] + frame[["x1", "x2", "intercept"]].to_numpy(float) @ estimate[1:]
    np.testing.assert_allclose(keyless.predictions["prediction"], by_hand, rtol=1e-13, atol=1e-13)


def test_metrics_are_those_of_the_predictions(run: gdpipe.Run) -> None:
    fitted = run.predictions.dropna()
    residual, target = fitted["residual"], fitted["target"]
    metrics = run.metrics.iloc[0]
    assert metrics["n_samples"] == len(fitted)
    assert metrics["n_features"] == 5
    assert metrics["rmse"] == pytest.approx(math.sqrt((residual**2).mean()), rel=1e-12)
    assert metrics["mae"] == pytest.approx(residual.abs().mean(), rel=1e-12)
    assert metrics["r2"] == pytest.approx(1 - (residual**2).sum() / ((target - target.mean()) ** 2).sum(), rel=1e-12)
    assert metrics["r2_kind"] == "centred"


def test_filters_choose_the_rows_of_predictions_too(source: Path, tmp_path: Path) -> None:
    filters = ("--filters", '[["id", ">=", 100], ["id", "<", 1001]]')
    run = publish(source, tmp_path, *filters, "--features", "x1,x2")
    assert run.predictions["file"].to_list() == ["part-0.parquet"] * 20 + ["part-1.parquet"]
    assert run.predictions["row"].to_list() == [*range(100, 120), 0]
    assert run.manifest["rows"]["read"] == 21


def test_a_key_may_be_a_feature_or_the_target(source: Path, tmp_path: Path) -> None:
    keys = ("--features", "x1,x2", "--key", "x1,y")
    for number, filters in enumerate(((), ("--filters", '[["id", "<", 100]]'))):
        predictions = publish(source, tmp_path / str(number), *keys, *filters).predictions
        np.testing.assert_array_equal(predictions["y"], predictions["target"])
        assert predictions["x1"].isna().sum() > 0


# Run.predict


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    order = np.random.default_rng(seed).permutation(frame.columns.to_numpy())
    mixed: pd.DataFrame = frame[order.tolist()]
    return mixed.assign(extra="text", zzz=1.0)


def test_predicting_a_frame_gives_the_published_predictions(source: Path, run: gdpipe.Run, keyless: gdpipe.Run) -> None:
    frame = pd.concat([pd.read_parquet(path) for path in sorted(source.glob("*.parquet"))], ignore_index=True)
    for model in (run, keyless):
        published = model.predictions["prediction"]
        for seed in range(3):
            found = model.predict(shuffled(frame, seed))
            assert found.name == "prediction"
            np.testing.assert_array_equal(found.to_numpy(), published.to_numpy())
        as_arrow = model.predict(pa.Table.from_pandas(shuffled(frame, 4)))
        np.testing.assert_array_equal(as_arrow.to_numpy(), published.to_numpy())


def test_predicting_keeps_the_index_of_the_frame(source: Path, run: gdpipe.Run) -> None:
    frame = pd.read_parquet(source / "part-0.parquet")
    backwards = frame.set_index("name").iloc[::-1]
    found = run.predict(backwards)
    assert found.index.equals(backwards.index)
    np.testing.assert_array_equal(found.to_numpy()[::-1], run.predictions["prediction"][:120].to_numpy())
    assert run.predict(frame.iloc[:0]).to_list() == []
    levels = frame.set_index([frame.index, "name"])
    assert run.predict(levels).index.equals(levels.index)
    assert run.predict(frame[[*run.model.features]].to_dict("list")).index.equals(pd.RangeIndex(len(frame)))


def test_columns_that_are_numbers_in_pandas_are_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 3)))
    (tmp_path / "data").mkdir()
    frame.to_parquet(tmp_path / "data" / "a.parquet")
    run = publish(tmp_path / "data", tmp_path, "--target", "2")
    assert run.model.features == ("0", "1")
    np.testing.assert_array_equal(run.predict(frame), run.predictions["prediction"])
    np.testing.assert_array_equal(run.predict(frame.rename(columns=str)), run.predictions["prediction"])


def test_predicting_one_row_gives_what_the_table_gave(source: Path, run: gdpipe.Run) -> None:
    frame = pd.read_parquet(source / "part-0.parquet")
    alone = [float(run.predict(frame.iloc[[i]]).iloc[0]) for i in range(20)]
    np.testing.assert_array_equal(alone, run.predictions["prediction"][:20].to_numpy())


def test_predicting_needs_the_columns_of_the_model(source: Path, keyless: gdpipe.Run) -> None:
    frame = pd.read_parquet(source / "part-0.parquet")
    with pytest.raises(SchemaError, match="'x2'"):
        keyless.predict(frame.drop(columns="x2"))
    with pytest.raises(SchemaError, match=r"'x2'.*string"):
        keyless.predict(frame.assign(x2="text"))


def test_predictions_of_the_sample_are_those_of_its_model(tmp_path: Path) -> None:
    filters = '[["month", "in", [2, 11]]]'
    options = ("--features", "dep_delay,air_time,distance,month", "--filters", filters, "--no-report")
    done = gdpipe_cli("train", FLIGHTS, "--target", "arr_delay", "--output", tmp_path, *options)
    assert done.code == 0, done.err
    run = gdpipe.open_run(tmp_path)
    frame = pd.read_parquet(FLIGHTS, filters=[("month", "in", [2, 11])])
    assert run.manifest["rows"]["read"] == len(frame) > 50_000
    frame["month"] = frame["month"].astype(int)
    found = run.predict(shuffled(frame, 1))
    np.testing.assert_array_equal(found.to_numpy(), run.predictions["prediction"].to_numpy())


# opening


def test_opening_the_output_or_the_folder_of_a_run(run: gdpipe.Run) -> None:
    for path in (run.folder, run.folder.parent.parent, str(run.folder)):
        opened = gdpipe.open_run(path)
        assert opened.run_id == "the-run"
        pd.testing.assert_frame_equal(opened.parameters, run.parameters)


@pytest.mark.parametrize("name", ["parameters.parquet", "predictions/part-00001.parquet", "report.html"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_run_does_not_open(name: str, damage: str, run: gdpipe.Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder.parent.parent, tmp_path / "copy")
    file = tmp_path / "copy" / "runs" / "the-run" / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[:-1])
    else:
        file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    for path in (tmp_path / "copy", tmp_path / "copy" / "runs" / "the-run"):
        with pytest.raises(PublishError, match=re.escape(name)):
            gdpipe.open_run(path)


def test_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="no published run"):
        gdpipe.open_run(tmp_path)


def test_the_door(source: Path, tmp_path: Path) -> None:
    run = gdpipe.train(source=str(source), target="y", output=str(tmp_path), features=["x1", "x2"])
    assert isinstance(run, gdpipe.Run)
    assert str(run.folder) in repr(run)
    for table in (run.parameters, run.loss_history, run.metrics, run.convergence, run.predictions):
        assert isinstance(table, pd.DataFrame)
        assert len(table) > 0
