"""The plan of a run: right numbers, from a sample, and nothing changed."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import gdpipe
from gdpipe.config import TrainingConfig
from gdpipe.engine import cores
from gdpipe.errors import ConfigError, DataError, SchemaError
from gdpipe.report.plan import RunPlan, describe
from gdpipe.source.budget import PAGE_BYTES
from gdpipe.source.scan import read
from gdpipe.stages.plan import ABSORBED_BYTES, LINES_OF_COLUMN, TERM_MATRICES, WORKER_BYTES, plan
from tests.conftest import FEATURES, FLIGHTS, gdpipe_cli, line_columns, snapshot, write_parquet

ALL_ROWS = 10**9


def planned(source: Path, target: str = "y", sample_rows: int = ALL_ROWS, **settings: Any) -> RunPlan:
    with ThreadPoolExecutor(2) as executor:
        return plan(TrainingConfig(source=str(source), target=target, **settings), executor, sample_rows)


def flights(sample_rows: int, **settings: Any) -> RunPlan:
    return planned(FLIGHTS, "arr_delay", sample_rows, features=FEATURES, **settings)


def in_groups(tmp_path: Path, columns: dict[str, Any], row_group_size: int, **options: Any) -> Path:
    return write_parquet(tmp_path / "d" / "d.parquet", columns, row_group_size=row_group_size, **options)


# numbers


def test_with_all_rows_it_knows_what_the_run_will_find() -> None:
    found = flights(ALL_ROWS)
    assert found.is_exact
    assert (found.files, found.file_rows, found.rows, found.sample_rows) == (12, 336_776, 336_776, 336_776)
    assert found.bytes == sum(p.stat().st_size for p in FLIGHTS.rglob("*.parquet"))
    assert found.features == FEATURES
    assert (found.rows_left_out, found.least_left_out) == (9_430, 9_430)
    assert found.condition_number == pytest.approx(214.271, abs=1e-3)
    assert found.method == "gd"
    assert found.forecast_iterations == pytest.approx(2_314, rel=0.02)


def test_a_sample_reads_less_and_comes_near() -> None:
    found = flights(200_000)
    assert not found.is_exact
    assert 150_000 < found.sample_rows < 250_000
    assert found.sample_groups < found.row_groups == 12
    assert (found.file_rows, found.rows) == (336_776, 336_776)
    assert 9_430 <= found.rows_left_out < 12_000
    assert found.condition_number == pytest.approx(214, rel=0.1)
    assert found.forecast_iterations == pytest.approx(2_314, rel=0.1)


def test_only_the_row_groups_of_the_sample_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = in_groups(tmp_path, line_columns(2_000), 100)
    seen: list[int] = []

    def recorded(source: Any, shard: Any, *rest: Any) -> Any:
        seen.extend(shard.row_groups)
        return read(source, shard, *rest)

    monkeypatch.setattr("gdpipe.stages.scan.sum_shard.read", recorded)
    found = planned(file, sample_rows=500)
    assert (found.sample_groups, found.row_groups, found.sample_rows) == (5, 20, 500)
    assert seen == [2, 6, 10, 14, 18]  # spread evenly


def test_what_the_sample_missed_is_scaled_to_all_rows(tmp_path: Path) -> None:
    columns = line_columns(2_000)
    columns["x1"][::4] = np.nan  # no footer counts NaN
    found = planned(in_groups(tmp_path, columns, 100), sample_rows=500)
    assert (found.rows_left_out, found.least_left_out) == (500, 0)


def test_footers_tell_of_nulls_that_the_sample_missed(tmp_path: Path) -> None:
    columns = line_columns(2_000)
    nulls = np.zeros((2, 2_000), bool)
    nulls[0, :60], nulls[1, 30:100] = True, True  # both in the first row group, which is no part of the sample
    gaps = {name: pa.array(columns[name], mask=mask) for name, mask in zip(("x1", "x2"), nulls, strict=True)}
    found = planned(in_groups(tmp_path, {**columns, **gaps}, 100), sample_rows=500)
    assert (found.rows_left_out, found.least_left_out) == (70, 70)


def test_filters_leave_an_estimate_of_the_rows(tmp_path: Path) -> None:
    columns = {**line_columns(2_000), "k": np.arange(2_000) % 10, "part": np.repeat([0, 1], 1_000)}
    found = planned(
        in_groups(tmp_path, columns, 100),
        sample_rows=500,
        features=("x1", "x2"),
        filters=[["part", "=", 1], ["k", "<", 3]],
    )
    assert (found.file_rows, found.row_groups, found.rows, found.least_left_out) == (2_000, 10, 300, None)


def test_rows_of_no_weight_are_left_out(tmp_path: Path) -> None:
    columns = {**line_columns(2_000), "w": np.arange(2_000) % 2}
    assert planned(in_groups(tmp_path, columns, 100), sample_rows=500, weight="w").rows_left_out == 1_000


def test_more_rows_than_the_sample_are_more_certain_and_the_forecast_knows_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x1, extra, noise = rng.normal(size=(3, 100_000))
    columns = {"x1": x1, "x2": x1 + 0.2 * extra, "y": 2 * x1 + 0.2 * extra + 1e-6 * noise}
    file = in_groups(tmp_path, columns, 1_000)
    found = planned(file, sample_rows=1_000)
    run = gdpipe.train(source=str(file), target="y", output=str(tmp_path / "runs"), report=False)
    # standard errors ten times smaller than the sample's are a hundred steps more
    assert found.forecast_iterations == pytest.approx(run.convergence["iterations"][0], rel=0.05)


def test_dependent_features_are_named(tmp_path: Path) -> None:
    columns = line_columns()
    found = planned(in_groups(tmp_path, {**columns, "twin": columns["x1"]}, 100))
    assert len(found.dependencies) == 1
    assert "twin" in found.dependencies[0]


def test_time_and_memory_grow_with_the_rows(tmp_path: Path) -> None:
    found = planned(in_groups(tmp_path, line_columns(200_000), 2_000), sample_rows=20_000)
    parts = (found.open_seconds, found.first_scan_seconds, found.descent_seconds, found.second_scan_seconds)
    assert all(part > 0 for part in parts)
    assert found.seconds == sum(parts)
    assert found.memory_bytes > planned(write_parquet(tmp_path / "small.parquet", line_columns())).memory_bytes


def test_dictionaries_take_memory(tmp_path: Path) -> None:
    columns = {name: np.random.default_rng(0).normal(size=150_000) for name in ("x1", "x2", "y")}
    plain, coded = (
        planned(in_groups(tmp_path / str(coded), columns, 150_000, use_dictionary=coded), sample_rows=1_000)
        for coded in (False, True)
    )
    assert plain.workers == coded.workers == 1
    # of each column a dictionary, as it is stored and as values, is held beside the page
    assert coded.memory_bytes - plain.memory_bytes == pytest.approx(3 * 2 * PAGE_BYTES, rel=0.01)


def test_levels_take_memory(tmp_path: Path) -> None:
    codes = np.tile(np.arange(900), 4)
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=3_600), "y": rng.normal(size=3_600)}
    few, many = (
        planned(
            in_groups(tmp_path / str(n), {**columns, "c": np.array([f"{c % n:03d}" for c in codes])}, 3_600),
            features="x,c",
            folds=0,
        )
        for n in (2, 900)
    )
    assert (few.terms, many.terms, few.workers) == (2, 900, 1)
    # of the many the category is absorbed: beside its 899 terms stand x and the target
    matrices, sums = TERM_MATRICES * 8 * (2**2 - 2**2), (900 - 2) * 8 * 2 * LINES_OF_COLUMN
    # footers differ, too
    wanted = matrices + sums + ABSORBED_BYTES * 899 * 3
    assert many.memory_bytes - few.memory_bytes == pytest.approx(wanted, rel=0.02)
    whole = planned(tmp_path / "900" / "d", features="x,c", folds=0, arithmetic="float64")
    more = TERM_MATRICES * 8 * 900**2 - ABSORBED_BYTES * 899 * 3
    assert whole.memory_bytes - many.memory_bytes == pytest.approx(more, rel=0.02)
    products = planned(tmp_path / "900" / "d", features="x:c", folds=0)
    more = 900 * 8 * ((2 * LINES_OF_COLUMN) ** 2 - 2 * LINES_OF_COLUMN) - ABSORBED_BYTES * 899
    assert products.memory_bytes - many.memory_bytes == pytest.approx(more, rel=0.05)


def test_processes_are_forecast_with_their_memory(tmp_path: Path) -> None:
    for part in range(4):
        write_parquet(tmp_path / "data" / f"{part}.parquet", line_columns())
    one, two, many = (planned(tmp_path / "data", workers=workers) for workers in (1, 2, 16))
    assert [(found.processes, found.workers) for found in (two, many)] == [(2, 2), (4, 4)]  # a shard for each
    assert (one.processes, one.workers) == (0, min(4, cores()))
    assert 2 * WORKER_BYTES < two.memory_bytes - one.memory_bytes < many.memory_bytes - one.memory_bytes
    assert planned(tmp_path / "data").memory_bytes == one.memory_bytes  # little to read
    assert planned(tmp_path / "data", engine="tcp://127.0.0.1:9", workers=2).processes == 0
    shown = gdpipe_cli("plan", tmp_path / "data", "--target", "y", "--workers", 2).out
    assert ": 2 processes, " in shown


def test_a_descent_that_will_not_arrive_is_told(tmp_path: Path) -> None:
    file = in_groups(tmp_path, line_columns(), 100)
    options = ("--method", "gd", "--max-iterations", 2)
    assert "would not converge" in gdpipe_cli("plan", file, "--target", "y", *options).out
    assert "would not converge" not in gdpipe_cli("plan", file, "--target", "y").out


def test_footers_that_say_nothing_are_told(tmp_path: Path) -> None:
    found = planned(in_groups(tmp_path, line_columns(), 100, write_statistics=False))
    assert any("x1, x2, y" in line for line in found.notices)
    assert found.least_left_out == 0


# changes nothing


def test_it_changes_nothing(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    assert gdpipe_cli("plan", data, "--target", "y", "--output", tmp_path / "out").code == 0
    assert gdpipe_cli("plan", data, "--target", "y").code == 0
    assert snapshot(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_a_published_run_stays_as_it_is(data: Path, output: Path) -> None:
    before = snapshot(output)
    assert gdpipe_cli("plan", data, "--target", "y", "--output", output).code == 0
    assert snapshot(output) == before
    assert gdpipe.open_run(output).run_id == "good"


# on a terminal


def test_lines_are_aligned(data: Path) -> None:
    done = gdpipe_cli("plan", data, "--target", "y")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    names = ["source", "rows", "sample", "left out", "unseen rows", "features", "descent", "time", "memory"]
    assert [line[:12].rstrip() for line in lines] == names
    assert all(line[11] == " " != line[12] for line in lines)


def test_json_is_the_record(tmp_path: Path) -> None:
    columns = line_columns()
    file = in_groups(tmp_path, {**columns, "twin": columns["x1"], "name": ["a"] * 200}, 100)
    done = gdpipe_cli("plan", file, "--target", "y", "--json")
    record = json.loads(done.out)
    assert (record["rows"], record["features"], record["is_exact"]) == (200, ["x1", "x2", "twin", "name"], True)
    assert any("name" in notice for notice in record["notices"])


def test_quiet_prints_nothing(data: Path) -> None:
    assert gdpipe_cli("--quiet", "plan", data, "--target", "y").out == ""


# bad input


def test_bad_input_is_what_it_is_in_train(tmp_path: Path, data: Path) -> None:
    cases: list[tuple[int, tuple[object, ...]]] = [
        (2, (data, "--target", "y", "--tolerance", "-1")),
        (2, (data, "--target", "y", "--learning-rate", "5")),
        (2, (data, "--target", "y", "--sample-rows", "0")),
        (3, (tmp_path / "nowhere", "--target", "y")),
        (3, (data, "--target", "z")),
        (3, (data, "--target", "y", "--features", "x3")),
        (3, (write_parquet(tmp_path / "c.parquet", {"x": [1.0, 2.0], "y": [3.0, 3.0]}), "--target", "y")),
        (3, (write_parquet(tmp_path / "i.parquet", {"x": [1.0, np.inf], "y": [3.0, 4.0]}), "--target", "y")),
        (
            3,
            (
                write_parquet(tmp_path / "e.parquet", {"x": pa.array([], "f8"), "y": pa.array([], "f8")}),
                "--target",
                "y",
            ),
        ),
    ]
    for code, args in cases:
        done = gdpipe_cli("plan", *args)
        assert done.code == code, (args, done)
        assert done.err.startswith("gdpipe: ")
        assert done.err.count("\n") == 1


def test_null_policy_fail_fails_on_what_footers_count(tmp_path: Path) -> None:
    columns = line_columns(2_000)
    gaps = pa.array(columns["x1"], mask=np.arange(2_000) < 60)
    file = in_groups(tmp_path, {**columns, "x1": gaps}, 100)
    with pytest.raises(DataError, match="x1 60"):
        planned(file, sample_rows=500, null_policy="fail")


def test_an_error_seen_in_a_sample_says_so(tmp_path: Path) -> None:
    columns = line_columns(2_000)
    columns["y"][100:] = 3.0  # constant but for the first row group, which is no part of the sample
    file = in_groups(tmp_path, columns, 100)
    with pytest.raises(DataError, match="read 500 of 2,000 rows"):
        planned(file, sample_rows=500)
    assert planned(file).is_exact
    with pytest.raises(ConfigError, match=r"2/L.*read 500 of 2,000"):
        planned(in_groups(tmp_path, line_columns(2_000), 100), sample_rows=500, learning_rate=5.0)


def test_a_column_that_is_not_there_is_a_schema_error(data: Path) -> None:
    with pytest.raises(SchemaError, match="nowhere"):
        planned(data, "nowhere")


def test_a_record_is_plain_and_frozen(data: Path) -> None:
    found = planned(data)
    assert replace(found, rows=1).rows == 1
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["seconds"] == found.seconds


def test_categories_are_named_with_their_levels(tmp_path: Path) -> None:
    write_parquet(tmp_path / "d.parquet", line_columns())
    found = replace(
        planned(tmp_path / "d.parquet"),
        features=("x", "carrier", "x:carrier"),
        levels={"carrier": 16, "x:carrier": 1},
        terms=17,
    )
    lines = describe(found).splitlines()
    assert "features    3 for y: x, carrier (16 levels), x:carrier (1 level)" in lines
    assert "terms       17" in lines
    # a sample may lack some
    sampled = describe(replace(found, sample_groups=0)).splitlines()
    assert "features    3 for y: x, carrier (at least 16 levels), x:carrier (at least 1 level)" in sampled
    assert "terms       at least 17" in sampled
