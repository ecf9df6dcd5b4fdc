"""Bad input, row by row of the design's table: what each gets, and that what was published before stays as it was."""

import itertools
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.layout import signed
from gdpipe.pipeline import Steps, train
from gdpipe.stages.measure import measure
from tests.conftest import REPO, Outcome, gdpipe_cli, line_columns, published, staged, write_parquet
from tests.s3 import Server

Refused = Callable[..., None]


@pytest.fixture
def refused(output: Path) -> Refused:
    """Train and see that it is refused: code, one line that holds every phrase, and nothing published changed."""

    def check(code: int, source: object, *args: object, says: tuple[object, ...], target: str = "y") -> None:
        before = published(output)
        done = gdpipe_cli("train", source, "--target", target, "--output", output, *args)
        assert done.code == code, done
        assert re.fullmatch(r"gdpipe: [^\n]+\n", done.err), done.err
        for phrase in says:
            assert str(phrase) in done.err
        assert published(output) == before
        assert staged(output) == []

    return check


def accepted(source: Path, output: Path, *args: object, target: str = "y") -> gdpipe.Run:
    done = gdpipe_cli("train", source, "--target", target, "--output", output, "--no-report", *args)
    assert done.code == 0, done.err
    return gdpipe.open_run(output)


def flip(file: Path, *places: int) -> None:
    content = bytearray(file.read_bytes())
    for place in places:
        content[place] ^= 0xFF
    file.write_bytes(content)


# path missing, glob or filter matching nothing


@pytest.mark.parametrize("name", ["nowhere", "nowhere.parquet", "no*where/*.parquet", "data/[x-z]*.parquet"])
def test_a_path_or_glob_that_matches_nothing(name: str, tmp_path: Path, refused: Refused) -> None:
    refused(3, tmp_path / name, says=(tmp_path / name,))


def test_a_uri_that_matches_nothing(tmp_path: Path, refused: Refused) -> None:
    refused(3, (tmp_path / "nowhere").as_uri(), says=((tmp_path / "nowhere").as_uri(),))
    refused(3, "nonsense://somewhere", says=("nonsense://somewhere",))


def test_a_bucket_or_a_prefix_that_is_not_there(s3: Server, bucket: str, refused: Refused) -> None:
    for place in ("no-such-bucket/data", f"{bucket}/nowhere", f"{bucket}/nowhere/*.parquet"):
        refused(3, s3.uri(place), says=(f"s3://{place}",))


def test_a_folder_without_parquet(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("nothing here")
    refused(3, tmp_path / "empty", says=(tmp_path / "empty", ".parquet"))


@pytest.mark.parametrize(
    "filters",
    [
        '[["x1", ">", 1e9]]',  # the footers rule it out
        '[["x1", "==", 0.123456789]]',  # only the rows do
        '[[["x1", ">", 1e9]], [["x2", "<", -1e9]]]',
        '[["x1", "in", []]]',
    ],
)
def test_filters_that_match_nothing(filters: str, data: Path, refused: Refused) -> None:
    refused(3, data, "--filters", filters, says=(data, *re.findall(r"x\d", filters)))


def test_filters_on_partitions_that_match_nothing(tmp_path: Path, refused: Refused) -> None:
    write_parquet(tmp_path / "parts" / "month=01" / "a.parquet", line_columns())
    refused(3, tmp_path / "parts", "--filters", '[["month", ">", 6]]', says=(tmp_path / "parts", "month"))


@pytest.mark.parametrize(
    "condition",
    [
        '["x1", "==", "text"]',
        '["x1", "in", ["text"]]',
        '["x1", "in", 5]',
        '["x1", "in", [1, "text"]]',
        '["x1", "=", "5"]',
        '["x1", "=", null]',
        '["x1", ">", "2024-01-05"]',
    ],
)
def test_filters_that_do_not_fit_the_column(condition: str, data: Path, refused: Refused) -> None:
    refused(2, data, "--filters", f"[{condition}]", says=("filters", "x1"))


def test_filters_on_a_column_that_is_not_there(data: Path, refused: Refused) -> None:
    refused(3, data, "--filters", '[["x11", ">", 0]]', says=("filter", "'x11'", "'x1'"))


def test_a_filter_value_of_no_usable_kind(data: Path, refused: Refused) -> None:
    refused(2, data, "--filters", '[["x1", "==", {"a": 1}]]', says=("filters", "x1"))


# not Parquet, truncated, corrupt


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"x,y\n1,2\n", b"\x00" * 100])
def test_a_file_that_is_not_parquet(content: bytes, data: Path, refused: Refused) -> None:
    (data / "other.parquet").write_bytes(content)
    refused(3, data, says=(data / "other.parquet",))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95, 0.999])
def test_a_truncated_file(kept: float, data: Path, refused: Refused) -> None:
    content = (data / "line.parquet").read_bytes()
    (data / "short.parquet").write_bytes(content[: int(len(content) * kept)])
    refused(3, data, says=(data / "short.parquet",))


def corrupt_page(file: Path, place: str, compression: str = "zstd", statistics: bool = True) -> Path:
    """A file of three row groups, with a flipped byte in the second's second column."""
    write_parquet(
        file,
        line_columns(3000),
        row_group_size=1000,
        write_page_checksum=True,
        use_dictionary=False,
        compression=compression,
        write_statistics=statistics,
    )
    page = pq.read_metadata(file).row_group(1).column(1)
    flip(file, page.data_page_offset + (page.total_compressed_size // 2 if place == "values" else 0))
    return file


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("place", ["header", "values"])
def test_a_corrupt_page(place: str, compression: str, statistics: bool, data: Path, refused: Refused) -> None:
    file = corrupt_page(data / "second.parquet", place, compression, statistics)
    refused(3, data, says=(file, "row group 1"))


def test_a_corrupt_page_of_a_key(data: Path, refused: Refused) -> None:
    columns = {**line_columns(1000), "name": [f"row {i}" for i in range(1000)]}
    options: dict[str, Any] = {"write_page_checksum": True, "use_dictionary": False, "compression": "none"}
    file = write_parquet(data / "line.parquet", columns, **options)
    page = pq.read_metadata(file).row_group(0).column(3)
    flip(file, page.data_page_offset + page.total_compressed_size // 2)
    refused(3, data, "--key", "name", says=(file, "row group 0"))


def lying_file(data: Path, true: float, claimed: float) -> Path:
    rng = np.random.default_rng(1)
    x = rng.uniform(-490, 490, 2000)
    y = x + rng.normal(size=2000)
    x[5], y[5] = true, -490.0
    file = write_parquet(data / "line.parquet", {"x": x, "y": y}, use_dictionary=False, compression="none")
    content = file.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    wanted, lie = struct.pack("<d", true), struct.pack("<d", claimed)
    assert content[footer:].count(wanted) >= 1
    file.write_bytes(content[:footer] + content[footer:].replace(wanted, lie))
    return file


def test_a_footer_that_lies(data: Path, refused: Refused) -> None:
    file = lying_file(data, true=123456789.0, claimed=500.0)
    refused(3, data, says=(file, "statistics are wrong"))


def test_a_footer_that_lies_by_less_than_the_grid_has_room_for(data: Path, tmp_path: Path) -> None:
    file = lying_file(data, true=1000.25, claimed=500.0)
    file.rename(tmp_path / "line.parquet")
    run = accepted(tmp_path / "line.parquet", tmp_path / "right")  # the rows themselves say how large they are
    table = pd.read_parquet(tmp_path / "line.parquet")
    slope, intercept = np.polyfit(table["x"], table["y"], 1)
    assert run.parameters["estimate"].to_list() == pytest.approx([intercept, slope], rel=1e-9)


def damaged_footer(file: Path) -> Path:
    """A file whose footer still parses, with a column of another type than its chunk: Arrow would end the process."""
    write_parquet(file, line_columns(20), store_schema=False)
    content = bytearray(file.read_bytes())
    # the schema's element of x1: its type (field 1, i32) stands before its repetition (field 3, i32) and name
    element = content.rindex(b"\x15\x0a\x25\x02\x18\x02x1")
    content[element + 1] ^= 2  # from double, 5, to float, 4
    file.write_bytes(content)
    return file


def test_a_damaged_footer(data: Path, refused: Refused) -> None:
    file = damaged_footer(data / "second.parquet")
    refused(3, data, says=(file, "row group 0", "the footer is damaged"))


def test_a_huge_value_in_a_row_that_is_not_used(tmp_path: Path) -> None:
    columns = line_columns(50)
    columns["x1"] = np.append(columns["x1"], 2.0**70)
    columns["x2"] = np.append(columns["x2"], np.nan)  # leaves the row out, but x1's grid must still reach to it
    columns["y"] = np.append(columns["y"], 0.0)
    write_parquet(tmp_path / "huge" / "1.parquet", columns)
    found = accepted(tmp_path / "huge", tmp_path / "runs").parameters
    write_parquet(tmp_path / "plain" / "1.parquet", line_columns(50))
    pd.testing.assert_frame_equal(found, accepted(tmp_path / "plain", tmp_path / "right").parameters, check_exact=True)


# schemas that differ


def test_text_in_one_file_and_numbers_in_another(tmp_path: Path, refused: Refused) -> None:
    columns = line_columns(50)
    for name, first, second in (("a", list(range(50)), ["1"] * 50), ("b", ["1"] * 50, list(range(50)))):
        folder = tmp_path / name
        write_parquet(folder / "1.parquet", {**columns, "x3": first})
        write_parquet(folder / "2.parquet", {**columns, "x3": second})
        refused(3, folder, "--features", "x1,x3", says=(folder / "2.parquet", "'x3'", "int64", "string"))
        refused(3, folder, "--features", "x1", says=(folder / "2.parquet", "int64", "string"), target="x3")


@pytest.mark.parametrize("text_first", [False, True])
def test_text_and_numbers_where_features_are_not_named(text_first: bool, tmp_path: Path, refused: Refused) -> None:
    values: list[Any] = [list(range(50)), ["1"] * 50]
    for part, x3 in enumerate(reversed(values) if text_first else values):
        write_parquet(tmp_path / "mixed" / f"{part}.parquet", {**line_columns(50), "x3": x3})
    refused(3, tmp_path / "mixed", says=(tmp_path / "mixed" / "1.parquet", "'x3'", "int64", "string"))


def test_a_key_that_differs(tmp_path: Path, refused: Refused) -> None:
    folder = tmp_path / "mixed"
    write_parquet(folder / "1.parquet", {**line_columns(50), "k": list(range(50))})
    write_parquet(folder / "2.parquet", {**line_columns(50), "k": ["a"] * 50})
    options = ("--key", "k", "--features", "x1,x2")
    refused(3, folder, *options, says=(folder / "2.parquet", "'k'", "int64", "string"))


def test_a_column_that_only_some_files_have(tmp_path: Path, refused: Refused) -> None:
    folder, columns = tmp_path / "mixed", line_columns(50)
    write_parquet(folder / "1.parquet", columns)
    write_parquet(folder / "2.parquet", {"x1": columns["x1"], "y": columns["y"]})
    for role in ("--features=x2", "--weight=x2", "--key=x2", "--filters=x2 > 0"):
        refused(3, folder, role, says=(folder / "2.parquet", "'x2'", folder / "1.parquet"))
    run = accepted(folder, tmp_path / "runs")
    assert run.manifest["features"] == ["x1"]
    assert run.manifest["notices"] == [f"left out, not in every file: x2 (not in {folder / '2.parquet'})"]


@pytest.mark.parametrize("order", list(itertools.permutations(["int32", "float64", "int64", "float32"]))[::5])
def test_widths_of_numbers_may_mix(order: tuple[str, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.integers(-1000, 1000, 80), rng.integers(-1000, 1000, 80)
    for part, kind in enumerate(order):
        rows = slice(20 * part, 20 * part + 20)
        write_parquet(tmp_path / "mixed" / f"{part}.parquet", {"x": x[rows].astype(kind), "y": y[rows].astype(kind)})
    write_parquet(tmp_path / "plain" / "all.parquet", {"x": x, "y": y})
    mixed = accepted(tmp_path / "mixed", tmp_path / "one").parameters
    plain = accepted(tmp_path / "plain", tmp_path / "two").parameters
    pd.testing.assert_frame_equal(mixed, plain, check_exact=True)


def test_widths_of_a_key_may_mix(tmp_path: Path) -> None:
    columns = line_columns(40)
    write_parquet(tmp_path / "mixed" / "1.parquet", {**columns, "k": np.arange(40, dtype=np.int32)})
    write_parquet(tmp_path / "mixed" / "2.parquet", {**columns, "k": np.arange(40) + 2**40})
    run = accepted(tmp_path / "mixed", tmp_path / "runs", "--key", "k")
    assert run.predictions["k"].to_list() == [*range(40), *(2**40 + i for i in range(40))]


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (np.arange(40) + 2**60, np.arange(40.0), "'k' as double"),
        (np.arange(40, dtype=np.uint64) + 2**63, np.arange(40), "'k' as"),
        (np.arange(40) % 2 == 0, np.arange(40), "'k' is int64, but bool in"),
    ],
)
def test_keys_that_no_column_holds_together(
    first: Any, second: Any, says: str, tmp_path: Path, refused: Refused
) -> None:
    for part, key in enumerate((first, second)):
        write_parquet(tmp_path / "mixed" / f"{part}.parquet", {**line_columns(40), "k": key})
    refused(
        3, tmp_path / "mixed", "--key", "k", "--features", "x1,x2", says=("key" if "as" in says else "column", says)
    )


# scoring


@pytest.mark.parametrize(
    ("key", "says"), [("name,name", "named twice"), ("residual", "a column 'residual' of their own")]
)
def test_a_key_of_scores_that_would_be_there_twice(key: str, says: str, tmp_path: Path, output: Path) -> None:
    file = write_parquet(tmp_path / "new.parquet", {**line_columns(50), "name": ["a"] * 50, "residual": [0.0] * 50})
    done = gdpipe_cli("predict", file, "--run", output, "--output", tmp_path / "scores", "--key", key)
    assert done.code == 2, done
    assert says in done.err
    assert not (tmp_path / "scores" / "latest.json").exists()


# columns


@pytest.mark.parametrize(
    "args", [("--features", "x1,x_2"), ("--weight", "x_2"), ("--key", "x_2"), ("--features", "x_2")]
)
def test_a_column_that_is_not_there(args: tuple[str, str], data: Path, refused: Refused) -> None:
    role = args[0].removeprefix("--").removesuffix("s")
    refused(3, data, *args, says=(data, role, "'x_2'", "x1, x2, y", "'x2'"))


def test_a_target_that_is_not_there(data: Path, refused: Refused) -> None:
    refused(3, data, says=("target", "'yy'", "x1, x2, y", "'y'"), target="yy")


def test_a_column_that_is_there_twice(tmp_path: Path, refused: Refused) -> None:
    columns = line_columns(20)
    table = pa.table([columns["x1"], columns["x2"], columns["y"]], names=["x", "x", "y"])
    pq.write_table(table, tmp_path / "twice.parquet")
    refused(3, tmp_path / "twice.parquet", says=(tmp_path / "twice.parquet", "'x'", "twice"))


NOT_NUMBERS: dict[str, tuple[Any, str]] = {
    "text": (["a", "b"] * 20, "string"),
    "list": ([[1.0], [2.0, 3.0]] * 20, "list"),
    "struct": ([{"a": 1}, {"a": 2}] * 20, "struct"),
    "time": (pa.array(range(40), pa.timestamp("us")), "timestamp"),
    "nothing": (pa.nulls(40), "null"),
}


@pytest.mark.parametrize("name", NOT_NUMBERS)
def test_a_column_that_is_no_number(name: str, tmp_path: Path, refused: Refused) -> None:
    values, kind = NOT_NUMBERS[name]
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(40), name: values})
    if name == "time":
        refused(2, file, "--features", "x1,time", says=("'time' is a timestamp", "days(time)"))
    elif name != "text":
        refused(3, file, "--features", f"x1,{name}", says=(file, f"'{name}'", kind))
    refused(3, file, "--weight", name, says=(file, f"'{name}'", kind))
    refused(3, file, says=(file, f"'{name}'", kind), target=name)


def test_what_is_no_feature_is_left_out_with_a_notice(tmp_path: Path) -> None:
    others = {name: values for name, (values, _) in NOT_NUMBERS.items() if name != "text"}
    file = write_parquet(tmp_path / "d.parquet", {**others, **line_columns(40)})
    done = gdpipe_cli("train", file, "--target", "y", "--output", tmp_path / "runs")
    assert done.code == 0, done.err
    run = gdpipe.open_run(tmp_path / "runs")
    assert run.parameters["term"].to_list() == ["intercept", "x1", "x2"]
    assert run.manifest["features"] == ["x1", "x2"]
    notices = " ".join(run.manifest["notices"])
    for name in ("list", "struct", "nothing"):
        assert f"{name} ({NOT_NUMBERS[name][1]}" in notices
        assert f"{name} ({NOT_NUMBERS[name][1]}" in done.out
    assert "left out, dates and timestamps, of which features name parts such as days(time), month(time)" in notices


def test_no_column_is_left_to_be_a_feature(tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", {"y": line_columns(40)["y"], "list": NOT_NUMBERS["list"][0]})
    refused(3, file, says=(file, "feature"))


@pytest.mark.parametrize("name", ["target", "prediction", "residual"])
def test_a_key_with_the_name_of_a_column_of_predictions(name: str, tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(40), name: ["a", "b"] * 20})
    refused(2, file, "--key", name, says=("key", f"'{name}'"))


# null and NaN


def holes() -> dict[str, Any]:
    """20 rows: x1 null in 3 and NaN in 4; x2 null in 4, 17; y NaN in 9."""
    columns = line_columns(20)
    at = np.arange(20)
    return {
        "x1": pa.array(np.where(at == 4, np.nan, columns["x1"]), mask=at == 3),
        "x2": pa.array(columns["x2"], mask=np.isin(at, [4, 17])),
        "y": pa.array(np.where(at == 9, np.nan, columns["y"])),
    }


def test_null_and_nan_are_dropped_and_counted(tmp_path: Path) -> None:
    write_parquet(tmp_path / "d" / "1.parquet", line_columns(10, seed=5))
    write_parquet(tmp_path / "d" / "2.parquet", holes(), row_group_size=7)
    run = accepted(tmp_path / "d", tmp_path / "runs")
    assert run.manifest["rows"] == {
        "read": 30,
        "used": 26,
        "left_out": 4,
        "null": {"x1": 2, "x2": 2, "y": 1},
        "held_out": 0,
        "zero_weight": 0,
        "scanned": 30,
    }
    assert run.metrics["n_samples"].to_list() == [26]
    predictions = run.predictions
    assert len(predictions) == 30
    assert predictions.index[predictions["prediction"].isna()].to_list() == [13, 14, 27]
    assert predictions.index[predictions["target"].isna()].to_list() == [19]
    assert predictions.index[predictions["residual"].isna()].to_list() == [13, 14, 19, 27]

    # the same fit as of the complete rows alone
    keep = ~np.isin(np.arange(20), [3, 4, 9, 17])
    whole = {name: np.concatenate([line_columns(10, seed=5)[name], line_columns(20)[name][keep]]) for name in holes()}
    alone = accepted(write_parquet(tmp_path / "e.parquet", whole), tmp_path / "alone")
    pd.testing.assert_frame_equal(run.parameters, alone.parameters, check_exact=True)


def test_null_and_nan_fail_where_that_was_asked_for(tmp_path: Path, refused: Refused) -> None:
    write_parquet(tmp_path / "d" / "1.parquet", line_columns(10))
    second = write_parquet(tmp_path / "d" / "2.parquet", holes(), row_group_size=7)
    write_parquet(tmp_path / "d" / "3.parquet", holes())
    fail = ("--null-policy", "fail")
    refused(3, tmp_path / "d", *fail, says=(second, "'x1'", " 4 rows", "row 3"))
    refused(3, tmp_path / "d", *fail, "--features", "x2", says=(second, "'x2'", " 4 rows", "row 4"))
    # the row that the message names is that of the file, also where filters leave rows out
    filters = ("--filters", '[["x1", "<", 1e9], ["y", "<", 1e9]]')
    refused(3, tmp_path / "d", *fail, *filters, says=(second, "'x2'", " 2 rows", "row 17"))


def test_complete_rows_pass_where_null_would_fail(data: Path, tmp_path: Path) -> None:
    assert accepted(data, tmp_path / "runs", "--null-policy", "fail").manifest["rows"]["used"] == 200


@pytest.mark.parametrize("policy", ["drop", "fail"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e200, -1e200])
@pytest.mark.parametrize("statistics", [True, False])
def test_infinity_and_what_overflows_when_squared(
    value: float, policy: str, statistics: bool, tmp_path: Path, refused: Refused
) -> None:
    columns = line_columns(50)
    write_parquet(tmp_path / "d" / "1.parquet", columns)
    for name in ("x2", "y"):
        values = columns[name].copy()
        values[37] = value
        worse = {**columns, name: values}
        file = write_parquet(tmp_path / "d" / "2.parquet", worse, row_group_size=20, write_statistics=statistics)
        refused(3, tmp_path / "d", "--null-policy", policy, says=(file, f"'{name}'", "row 37"))


def test_large_numbers_whose_squares_are_numbers_pass(tmp_path: Path) -> None:
    columns = line_columns(50)
    file = write_parquet(tmp_path / "d.parquet", {"x1": columns["x1"] * 1e150, "y": columns["y"]})
    assert accepted(file, tmp_path / "runs").convergence["passed"].to_list() == [True]


# no usable row


def test_files_without_rows(tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", {name: v[:0] for name, v in line_columns(1).items()})
    refused(3, file, says=(file, "no row"))


def test_a_file_without_rows_among_others(data: Path, tmp_path: Path) -> None:
    write_parquet(data / "empty.parquet", {name: v[:0] for name, v in line_columns(1).items()})
    assert accepted(data, tmp_path / "runs").manifest["rows"]["used"] == 200


@pytest.mark.parametrize("kind", ["null", "nan"])
def test_rows_that_all_miss_a_value(kind: str, tmp_path: Path, refused: Refused) -> None:
    values = pa.nulls(30, pa.float64()) if kind == "null" else np.full(30, np.nan)
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(30), "y": values})
    refused(3, file, says=(file, "y", "30"))
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(30), "x1": values})
    refused(3, file, "--features=x1,x2", says=(file, "x1", "30"))
    run = accepted(file, tmp_path / "runs")  # nobody named it
    assert (run.manifest["features"], run.manifest["rows"]["used"]) == (["x2"], 30)
    assert run.manifest["notices"] == ["left out, null in every row: x1"]


# target and features


@pytest.mark.parametrize("value", [0.0, 288.0, 0.1])
def test_a_constant_target(value: float, tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(30), "y": np.full(30, value)})
    refused(3, file, says=(file, "'y'", f"{value:g}"))


def test_one_row(tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", line_columns(1))
    refused(3, file, says=(file, "'y'"))


def dependent() -> dict[str, Any]:
    """x3 = x1 + 2·x2 to the last bit, and c is 288 throughout."""
    rng = np.random.default_rng(2)
    x1, x2 = rng.integers(-50, 50, 60), rng.integers(-50, 50, 60)
    return {"x1": x1, "x2": x2, "x3": x1 + 2 * x2, "c": np.full(60, 288), "y": 3 * x1 - x2 + rng.normal(size=60)}


def test_dependent_features_fail_where_that_was_asked_for(tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", dependent())
    refused(3, file, "--collinear", "fail", says=(file, "c is constant (288)", "x1", "x2", "x3", "2 x2"))
    refused(3, file, "--collinear", "fail", "--features", "x1,c", says=(file, "c is constant (288)"))
    refused(3, file, "--collinear", "fail", "--features", "x1,x2,x3", says=(file, "x3"))


@pytest.mark.parametrize("collinear", ["min_norm", "drop"])
def test_dependent_features_are_named(collinear: str, tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "d.parquet", dependent())
    run = accepted(file, tmp_path / "runs", "--collinear", collinear)
    terms = run.parameters.set_index("term")
    named = run.convergence["dependencies"][0]
    assert len(named) == 2
    assert "c is constant (288)" in named
    assert all(name in " ".join(named) for name in ("x1", "x2", "x3"))
    assert list(named) == run.manifest["dependencies"]
    assert run.convergence["rank"].to_list() == [2]
    assert terms["status"]["c"] == "constant"
    assert terms["estimate"]["c"] == 0.0
    status = terms["status"][["x1", "x2", "x3"]].to_list()
    if collinear == "min_norm":
        assert status == ["dependent"] * 3
    else:
        assert sorted(status) == ["dependent", "ok", "ok"]
        left_out = terms.index[terms["status"] == "dependent"][0]
        assert terms["estimate"][left_out] == 0.0
    assert terms["std_error"][terms["status"] == "dependent"].isna().all()

    # whichever way it is shared out, the predictions are those without the dependent columns
    alone = accepted(file, tmp_path / "alone", "--features", "x1,x2").predictions["prediction"]
    np.testing.assert_allclose(run.predictions["prediction"], alone, rtol=0, atol=1e-6)


def test_min_norm_is_the_shortest_of_all_solutions(tmp_path: Path) -> None:
    columns = dependent()
    file = write_parquet(tmp_path / "d.parquet", columns)
    run = accepted(file, tmp_path / "runs", "--features", "x1,x2,x3")
    X = np.array([columns[name] for name in ("x1", "x2", "x3")], float).T
    Z, t = (X - X.mean(axis=0)) / X.std(axis=0), columns["y"]
    shortest = np.linalg.pinv(Z, rcond=1e-10) @ ((t - t.mean()) / t.std())
    np.testing.assert_allclose(run.parameters["estimate_scaled"][1:], shortest, atol=1e-7)


def test_features_that_are_all_constant(tmp_path: Path, refused: Refused) -> None:
    y = line_columns(40)["y"]
    file = write_parquet(tmp_path / "d.parquet", {"c": np.ones(40), "y": y})
    run = accepted(file, tmp_path / "runs")
    assert run.parameters["status"].to_list() == ["ok", "constant"]
    assert run.parameters["estimate"][0] == pytest.approx(y.mean())
    refused(3, file, "--collinear", "fail", says=(file, "c is constant"))


def test_fewer_rows_than_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    columns = {f"x{j}": rng.normal(size=5) for j in range(8)}
    y = rng.normal(size=5)
    file = write_parquet(tmp_path / "d.parquet", {**columns, "y": y})
    run = accepted(file, tmp_path / "runs")
    terms = run.parameters
    assert terms["term"].to_list() == ["intercept", *columns]
    assert terms["std_error"].isna().all()
    assert terms["p_value"].isna().all()
    assert terms["ci_lower"].isna().all()
    assert run.convergence["passed"].to_list() == [True]
    assert run.convergence["rank"].to_list() == [4]
    np.testing.assert_allclose(run.predictions["prediction"], y, atol=1e-6)
    X = np.array(list(columns.values())).T
    shortest = np.linalg.pinv((X - X.mean(axis=0)) / X.std(axis=0), rcond=1e-10) @ ((y - y.mean()) / y.std())
    np.testing.assert_allclose(terms["estimate_scaled"][1:], shortest, atol=1e-7)


def test_fewer_rows_than_features_is_said_plainly(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    file = write_parquet(tmp_path / "d.parquet", {name: rng.normal(size=3) for name in ("x1", "x2", "x3", "x4", "y")})
    done = gdpipe_cli("train", file, "--target", "y", "--output", tmp_path / "runs")
    assert done.code == 0
    assert re.search(r"fewer (usable )?rows than features", done.out), done.out


# weights


def test_a_negative_weight(tmp_path: Path, refused: Refused) -> None:
    write_parquet(tmp_path / "d" / "1.parquet", {**line_columns(30), "w": np.ones(30)})
    weights = np.where(np.arange(30) == 17, -0.5, 1.0)
    file = write_parquet(tmp_path / "d" / "2.parquet", {**line_columns(30), "w": weights}, row_group_size=10)
    refused(3, tmp_path / "d", "--weight", "w", says=(file, "'w'", "-0.5", "row 17"))


def test_weights_that_are_all_zero(tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(30), "w": np.zeros(30)})
    refused(3, file, "--weight", "w", says=(file, "weight", "30"))


def test_an_infinite_weight(tmp_path: Path, refused: Refused) -> None:
    weights = np.where(np.arange(30) == 17, np.inf, 1.0)
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(30), "w": weights})
    refused(3, file, "--weight", "w", says=(file, "'w'", "row 17"))


def test_some_weights_that_are_zero_or_missing(tmp_path: Path) -> None:
    columns, at = line_columns(30), np.arange(30)
    weights = pa.array(np.where(at < 5, 0.0, 1.0), mask=at == 29)
    run = accepted(write_parquet(tmp_path / "d.parquet", {**columns, "w": weights}), tmp_path / "runs", "--weight", "w")
    rows = {"read": 30, "scanned": 30, "used": 24, "held_out": 0, "left_out": 6, "null": {"w": 1}, "zero_weight": 5}
    assert run.manifest["rows"] == rows
    alone = accepted(
        write_parquet(tmp_path / "e.parquet", {name: v[5:29] for name, v in columns.items()}), tmp_path / "alone"
    )
    np.testing.assert_allclose(run.parameters["estimate"], alone.parameters["estimate"], rtol=1e-12)
    assert run.predictions["prediction"].notna().all()


# settings; an unknown one, and one of a wrong type, in test_cli.py


def test_a_rate_that_would_diverge(data: Path, refused: Refused) -> None:
    refused(2, data, "--learning-rate", "2", says=("learning_rate", "2/L"))


@pytest.mark.parametrize("rate", ["0", "-0.5", "inf"])
def test_a_rate_that_is_none(rate: str, data: Path, refused: Refused) -> None:
    refused(2, data, "--learning-rate", rate, says=("learning_rate", rate))


@pytest.mark.parametrize("run_id", ["a/b", "../good", "..", "a b"])
def test_a_run_id_that_is_no_name(run_id: str, data: Path, refused: Refused) -> None:
    refused(2, data, "--run-id", run_id, says=("run_id", run_id))


# output that cannot be written


def test_an_output_below_a_file(data: Path, tmp_path: Path) -> None:
    blocker = tmp_path / "plain-file"
    blocker.write_text("stays as it is")
    for place in (blocker, blocker / "runs"):
        done = gdpipe_cli("train", data, "--target", "y", "--output", place)
        assert done.code == 4
        assert str(place) in done.err
    assert blocker.read_text() == "stays as it is"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_without_permission(data: Path, output: Path, refused: Refused) -> None:
    output.chmod(0o500)
    (output / ".staging").chmod(0o500)
    try:
        refused(4, data, says=(output,))
    finally:
        output.chmod(0o700)
        (output / ".staging").chmod(0o700)


FULL = """
import resource, sys
from gdpipe.cli import main
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main(sys.argv[2:])
"""


@pytest.mark.parametrize("limit", [4, 2000, 20_000])
def test_a_file_that_can_grow_no_more(limit: int, data: Path, output: Path) -> None:
    """4 bytes stop the first table, 2,000 the footer of one, 20,000 the predictions of more rows."""
    write_parquet(data / "more.parquet", line_columns(3000, seed=9))
    before = published(output)
    command = [sys.executable, "-c", FULL, str(limit), "train", str(data), "--target", "y", "--output", str(output)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert re.fullmatch(r"gdpipe: [^\n]+\n", done.stderr), done.stderr
    assert str(output) in done.stderr
    assert published(output) == before
    assert staged(output) == []


def test_predict_into_an_output_that_cannot_be_written(data: Path, output: Path, tmp_path: Path) -> None:
    (tmp_path / "plain-file").write_text("")
    done = gdpipe_cli("predict", data, "--run", output, "--output", tmp_path / "plain-file" / "scores")
    assert done.code == 4
    assert str(tmp_path / "plain-file" / "scores") in done.err


def test_a_run_id_that_is_there_already(data: Path, output: Path, refused: Refused) -> None:
    refused(2, data, "--run-id", "good", says=("run_id", "'good'"))


def test_a_run_id_that_was_rejected(data: Path, output: Path, refused: Refused) -> None:
    slow = ("--learning-rate", "1e-9", "--max-iterations", "5", "--run-id", "slow")
    assert gdpipe_cli("train", data, "--target", "y", "--output", output, *slow).code == 1
    refused(2, data, "--run-id", "slow", says=("run_id", "'slow'"))


# two at once


def test_runs_in_threads_on_one_output_all_complete(data: Path, tmp_path: Path) -> None:
    output, names = tmp_path / "shared", [f"run-{i}" for i in range(6)]

    def one(run_id: str) -> str:
        return gdpipe.train(source=str(data), target="y", output=str(output), run_id=run_id).run_id

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(one, names)) == names
    parameters = [gdpipe.open_run(output / "runs" / name).parameters for name in names]
    for other in parameters[1:]:
        pd.testing.assert_frame_equal(parameters[0], other, check_exact=True)
    assert gdpipe.open_run(output).run_id in names
    assert staged(output) == []


def test_a_run_in_progress_keeps_its_name_and_its_files(data: Path, output: Path) -> None:
    """While a run is being written, another leaves its staging alone, and a third cannot take its name."""
    others: list[Outcome] = []

    def meanwhile(*args: Any) -> Any:
        for name in ("other", "mine"):
            others.append(gdpipe_cli("train", data, "--target", "y", "--output", output, "--run-id", name))
        assert (output / ".staging" / signed("mine") / "predictions" / "part-00000.parquet").is_file()
        return measure(*args)

    config = gdpipe.TrainingConfig(source=str(data), target="y", output=str(output), run_id="mine")
    assert train(config, Steps(measure=meanwhile)).run_id == "mine"
    assert [other.code for other in others] == [0, 2]
    assert "'mine'" in others[1].err
    assert gdpipe.open_run(output).run_id == "mine"
    assert gdpipe.open_run(output / "runs" / "other").run_id == "other"
    assert staged(output) == []


def test_uris_that_are_none(data: Path, tmp_path: Path) -> None:
    assert gdpipe_cli("train", "nowhere://bucket", "--target", "y", "--output", tmp_path / "runs").code == 3
    done = gdpipe_cli("train", data, "--target", "y", "--output", "nowhere://bucket/runs")
    assert done.code == 2
    assert "'nowhere://bucket/runs'" in done.err
