"""Files as many writers leave them: which columns count, and types that are one."""

import datetime as dt
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.errors import SchemaError
from tests.conftest import write_parquet
from tests.runs import train

N = 30
RNG = np.random.default_rng(7)
X, Z = RNG.normal(size=(2, N))
GOOD = pd.DataFrame({"x": X, "z": Z, "y": 3 * X + Z + RNG.normal(size=N), "note": ["a", "b"] * 15})
EMPTY = pd.DataFrame(columns=list(GOOD.columns))


def folder(path: Path, *frames: pd.DataFrame) -> Path:
    path.mkdir()
    for number, frame in enumerate(frames):
        frame.to_parquet(path / f"{number}.parquet")
    return path


def refusal(source: Path, output: Path, **settings: Any) -> str:
    with pytest.raises(SchemaError) as refused:
        train(source, output, **settings)
    return str(refused.value)


# which columns count


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_column_that_only_some_files_have(order: tuple[int, int], tmp_path: Path) -> None:
    frames = [GOOD, GOOD.drop(columns="z")]
    source = folder(tmp_path / "d", *(frames[i] for i in order))
    lacking, having = (source / f"{order.index(i)}.parquet" for i in (1, 0))
    run = train(source, tmp_path / "runs")
    assert run.manifest["features"] == ["x", "note"]
    assert f"left out, not in every file: z (not in {lacking})" in run.manifest["notices"]
    for role in ({"features": ["x", "z"]}, {"weight": "z"}, {"target": "z"}, {"key": ["z"]}, {"filters": "z > 0"}):
        said = refusal(source, tmp_path / "runs", **{"features": ["x"], **role})
        assert said.startswith(f"{lacking}: ")
        assert f"column 'z' is not there, but {having} has it" in said


def test_files_that_the_filters_leave_nothing_of_have_no_say(tmp_path: Path) -> None:
    for year, frame in ((2025, GOOD.drop(columns="z")), (2026, GOOD)):
        (tmp_path / "d" / f"year={year}").mkdir(parents=True)
        frame.to_parquet(tmp_path / "d" / f"year={year}" / "a.parquet")
    run = train(tmp_path / "d", tmp_path / "runs", filters="year = 2026", exclude="year")
    assert run.manifest["features"] == ["x", "z", "note"]


@pytest.mark.parametrize("statistics", [True, False])
def test_which_columns_count_does_not_depend_on_statistics(statistics: bool, tmp_path: Path) -> None:
    for day, columns in ((1, {"x": X, "z": Z, "y": GOOD.y}), (2, {"x": X, "y": GOOD.y})):
        file = tmp_path / "d" / f"{day}.parquet"
        write_parquet(file, {**columns, "day": np.full(N, day)}, write_statistics=statistics)
    run = train(tmp_path / "d", tmp_path / "runs", filters="day = 1", exclude=["day"])
    assert (run.manifest["features"], run.manifest["rows"]["read"]) == (["x"], N)
    assert "2.parquet: feature column 'z' is not there" in refusal(
        tmp_path / "d", tmp_path / "runs", filters="day = 1", features=["x", "z"]
    )


def test_files_without_rows_have_no_say(tmp_path: Path) -> None:
    every = [GOOD, EMPTY, pd.DataFrame(), EMPTY.astype("string")]
    plain = train(folder(tmp_path / "plain", GOOD), tmp_path / "right", key=["note"])
    for number, order in enumerate(itertools.permutations(every, 4)):
        if number % 5 == 0:
            run = train(folder(tmp_path / f"d{number}", *order), tmp_path / f"runs{number}", key=["note"])
            pd.testing.assert_frame_equal(run.parameters, plain.parameters, check_exact=True)
            assert run.manifest["rows"]["read"] == N


def test_columns_that_are_left_out_by_name(tmp_path: Path) -> None:
    source = folder(tmp_path / "d", GOOD)
    assert train(source, tmp_path / "runs", exclude=["z"]).manifest["features"] == ["x", "note"]
    assert "did you mean 'note'?" in refusal(source, tmp_path / "runs", exclude=["nota"])
    with pytest.raises(gdpipe.ConfigError, match="exclude: 'z' is named as a feature too"):
        train(source, tmp_path / "runs", features=["x", "z"], exclude=["z"])


@pytest.mark.parametrize("index", [["id"], ["id", "part"], [None]])
def test_the_index_of_a_pandas_table_is_no_feature(index: list[str | None], tmp_path: Path) -> None:
    labels = [RNG.permutation(N) for _ in index]
    frame = GOOD.set_index(pd.MultiIndex.from_arrays(labels, names=index) if len(index) > 1 else pd.Index(labels[0]))
    frame.index.names = index
    source = folder(tmp_path / "d", frame)
    run = train(source, tmp_path / "runs", exclude=["note"])
    assert run.manifest["features"] == ["x", "z"]
    named = [name for name in index if name]
    assert run.manifest["notices"] == ([f"left out, the index of a pandas table: {', '.join(named)}"] if named else [])
    if named:  # who names it wants it
        assert train(source, tmp_path / "named", features=["x", "id"]).manifest["features"] == ["x", "id"]


def test_a_period_of_pandas_is_no_number_whatever_was_imported(tmp_path: Path) -> None:
    frame = GOOD.assign(p=pd.period_range("2024-01", periods=N, freq="M"), i=pd.interval_range(0, N))
    source = folder(tmp_path / "d", frame.drop(columns="note"))
    program = (
        "import {first}; import gdpipe, sys; run = gdpipe.train(source=sys.argv[1], target='y', output=sys.argv[2]);"
        "print(run.manifest['features'], run.manifest['notices'])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program.format(first=first), source, tmp_path / f"runs-{first}"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        ).stdout
        for first in ("sys", "pandas.core.arrays.arrow.extension_types")
    }
    [line] = said
    assert line.startswith("['x', 'z'] ['left out, of a type that cannot be a feature: p (extension")


def test_paths_names_and_numbers_as_pandas_and_numpy_hold_them(tmp_path: Path) -> None:
    source = folder(tmp_path / "d", GOOD)
    run = train(
        source,
        tmp_path / "runs",
        features=GOOD.columns[:2],
        key=np.array(["note"]),
        tolerance=np.float64(1e-6),
        max_iterations=np.int64(500),
        fit_intercept=np.bool_(True),
    )
    assert run.manifest["settings"]["features"] == ["x", "z"]
    assert run.manifest["settings"]["max_iterations"] == 500
    assert gdpipe.open_run(tmp_path / "runs").run_id == run.run_id


# types that are one

NOTES = ["a", "b"] * 15

NOON = [dt.datetime(2026, 1, 1, 12) + dt.timedelta(hours=i) for i in range(N)]
PAIRS: dict[str, tuple[pa.Array, pa.Array, pa.DataType]] = {
    "string and large_string": (pa.array(NOTES), pa.array(NOTES, pa.large_string()), pa.string()),
    "large_string and string_view": (
        pa.array(NOTES, pa.large_string()),
        pa.array(NOTES, pa.string_view()),
        pa.string(),
    ),
    "string and categories": (pa.array(NOTES), pa.array(NOTES).dictionary_encode(), pa.string()),
    "categories with other codes": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1] * 15, pa.int8()), ["a", "b"]),
        pa.DictionaryArray.from_arrays(pa.array([299, 1] * 15, pa.int16()), [str(i) for i in range(299)] + ["a"]),
        pa.string(),
    ),
    "null and string": (pa.nulls(N), pa.array(NOTES), pa.string()),
    "ns and us": (pa.array(NOON, pa.timestamp("ns")), pa.array(NOON, pa.timestamp("us")), pa.timestamp("ns")),
    "ms and null": (pa.array(NOON, pa.timestamp("ms")), pa.nulls(N), pa.timestamp("ms")),
    "two zones": (
        pa.array(NOON, pa.timestamp("us", "UTC")),
        pa.array(NOON, pa.timestamp("ms", "Europe/Berlin")),
        pa.timestamp("us", "UTC"),
    ),
    "binary and large_binary": (pa.array([b"a"] * N), pa.array([b"a"] * N, pa.large_binary()), pa.binary()),
    "null and null": (pa.nulls(N), pa.nulls(N), pa.null()),
}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("pair", PAIRS)
def test_types_that_are_one_as_keys_and_in_filters(pair: str, swapped: bool, tmp_path: Path) -> None:
    first, second, unified = PAIRS[pair]
    for part, key in enumerate((second, first) if swapped else (first, second)):
        table = pa.table({"x": X, "y": GOOD.y, "k": key})
        (tmp_path / "d").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "d" / f"{part}.parquet")
    run = train(tmp_path / "d", tmp_path / "runs", features=["x"], key=["k"])
    keys = run.table("predictions")["k"]
    assert keys.type == unified
    order = (second, first) if swapped else (first, second)
    assert keys.to_pylist() == [value for array in order for value in array.cast(unified).to_pylist()]
    text = pa.types.is_string(unified) or pa.types.is_binary(unified)
    nulls = sum(array.null_count for array in (first, second))
    day = "2026-01-02 00:00Z" if pair == "two zones" else "2026-01-02"
    condition = "k IS NULL" if nulls == 2 * N else "k = 'a'" if text else f"k < '{day}'"
    expected = sum(
        value is None if nulls == 2 * N else value in {"a", b"a"} if text else str(value) < "2026-01-02"
        for value in keys.to_pylist()
    )
    read = train(tmp_path / "d", tmp_path / "some", features=["x"], filters=condition).manifest["rows"]["read"]
    assert read == expected


@pytest.mark.parametrize(
    "key",
    [
        pa.array(NOTES, pa.string_view()),
        pa.array([b"a", b"b"] * 15, pa.binary_view()),
        pa.array(NOTES).dictionary_encode(),
        pa.nulls(N),
        pa.array([[1], None] * 15),
        pa.array([{"a": 1}, None] * 15),
    ],
    ids=lambda key: str(key.type),
)
def test_keys_of_any_type_beside_filters(key: pa.Array, tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": X, "y": GOOD.y, "k": key}), tmp_path / "a.parquet")
    run = train(tmp_path / "a.parquet", tmp_path / "runs", features=["x"], key=["k"], filters="x > 0")
    assert run.table("predictions")["k"].to_pylist() == [key[i].as_py() for i in np.flatnonzero(X > 0)]


def test_text_beside_numbers_and_zones_beside_none_are_not_one(tmp_path: Path) -> None:
    for number, (first, second) in enumerate(
        [
            (pa.array(NOTES), pa.array([b"a"] * N)),
            (pa.array(NOON, pa.timestamp("us")), pa.array(NOON, pa.timestamp("us", "UTC"))),
            (pa.array(X), pa.array(NOTES)),
        ]
    ):
        for part, key in enumerate((first, second)):
            write_parquet(tmp_path / f"d{number}" / f"{part}.parquet", {"x": X, "y": GOOD.y, "k": key})
        said = refusal(tmp_path / f"d{number}", tmp_path / "runs", features=["x"], key=["k"])
        assert said.startswith(f"{tmp_path / f'd{number}' / '1.parquet'}: column 'k' is {second.type}")


# 96-bit timestamps


@pytest.mark.parametrize("store_schema", [False, True])
def test_96_bit_timestamps_keep_their_value(store_schema: bool, tmp_path: Path) -> None:
    at = [dt.datetime(2024, 1, 1, 0, 0, 0, 5) + dt.timedelta(days=i) for i in range(N)]
    at[3], at[4] = dt.datetime(9999, 12, 31), dt.datetime(1, 1, 1)
    table = pa.table({"x": X, "y": GOOD.y, "valid_to": pa.array(at, pa.timestamp("us"))})
    file = tmp_path / "a.parquet"
    pq.write_table(table, file, use_deprecated_int96_timestamps=True, store_schema=store_schema)
    run = train(file, tmp_path / "runs", features=["x"], key=["valid_to"])
    keys = run.table("predictions")["valid_to"]
    assert keys.type == pa.timestamp("us")
    assert keys.to_pylist() == at
    [(expected,)] = duckdb.sql(f"SELECT count(*) FROM '{file}' WHERE valid_to >= '2024-01-10'").fetchall()  # type: ignore[union-attr]  # noqa: S608  # a query has rows
    for filters in ("valid_to >= '2024-01-10'", [("valid_to", ">=", dt.datetime(2024, 1, 10))]):
        read = train(file, tmp_path / "runs", features=["x"], filters=filters).manifest["rows"]["read"]
        assert read == expected == sum(moment >= dt.datetime(2024, 1, 10) for moment in at)


def test_a_partition_of_text_is_a_category_and_one_of_whole_numbers_a_number(tmp_path: Path) -> None:
    for place in (
        "region=north/shift=1",
        "region=west/shift=1",
        "region=west/shift=2",
        "region=__HIVE_DEFAULT_PARTITION__/shift=2",
    ):
        (tmp_path / "d" / place).mkdir(parents=True)
        GOOD[["x", "y"]].to_parquet(tmp_path / "d" / place / "0.parquet")
    run = train(tmp_path / "d", tmp_path / "runs")
    assert run.parameters["term"].to_list() == ["intercept", "x", "region[west]", "shift"]
    assert run.manifest["rows"]["null"] == {"region": N}  # that of Hive's folder for nulls
    # the second time from kept sums
    assert train(tmp_path / "d", tmp_path / "runs", force=True).manifest["rows"]["scanned"] == 0
    by_hand = train(tmp_path / "d", tmp_path / "runs", features=["x", "C(shift)"])
    assert by_hand.parameters["term"].to_list() == ["intercept", "x", "C(shift)[2]"]


def test_a_column_of_which_two_parts_are_used_misses_a_value_once(tmp_path: Path) -> None:
    days: list[dt.date | None] = [dt.date(2024, 1, 1) + dt.timedelta(days=5 * i) for i in range(N)]
    days[3] = None
    table = pa.table({"x": X, "y": GOOD["y"].to_numpy(), "day": days})
    run = train(
        write_parquet(tmp_path / "d.parquet", dict(zip(table.column_names, table.columns, strict=True))),
        tmp_path / "runs",
        features=["x", "x**2", "days(day)", "C(weekday(day))"],
    )
    assert run.manifest["rows"]["null"] == {"day": 1}
