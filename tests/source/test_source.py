"""Finding files, partitions, schemas, filters and the largest magnitudes that footers tell."""

import operator as op
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdpipe.errors import ConfigError, DataError, SchemaError
from gdpipe.filters import filter_groups
from gdpipe.source.budget import Budget
from gdpipe.source.scan import read, shards
from gdpipe.source.source import Source
from tests.conftest import FLIGHTS, write_parquet


def one(path: Path, **columns: Any) -> Path:
    return write_parquet(path, columns or {"x": [1, 2, 3]})


def names(source: Source) -> list[str]:
    return [file.name for file in source.files]


def open_at(path: Path | str, filters: Any = None) -> Source:
    return Source.open(str(path), filters)


# which files


def test_a_single_file(tmp_path: Path) -> None:
    source = open_at(one(tmp_path / "a.parquet"))
    assert names(source) == ["a.parquet"]
    assert source.n_rows == 3


def test_a_single_file_of_any_name(tmp_path: Path) -> None:
    assert open_at(one(tmp_path / "_data.bin")).n_rows == 3


def test_a_folder_in_order_of_path(tmp_path: Path) -> None:
    for name in ("b.parquet", "a/z.parquet", "c.pq", "a/10.parquet", "a/9.parq"):
        one(tmp_path / name)
    assert names(open_at(tmp_path)) == ["a/10.parquet", "a/9.parq", "a/z.parquet", "b.parquet", "c.pq"]


def test_what_is_hidden_or_not_parquet_is_nobodys_data(tmp_path: Path) -> None:
    for name in ("a.parquet", ".hidden.parquet", "_truth.parquet", "_temporary/b.parquet", "x/.git/c.parquet"):
        one(tmp_path / name)
    for name in ("_SUCCESS", "notes.txt", "a.parquet.crc"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.parquet").mkdir()
    one(tmp_path / "folder.parquet" / "part-0.parquet")
    assert names(open_at(tmp_path)) == ["a.parquet", "folder.parquet/part-0.parquet"]


def test_a_hidden_folder_above_the_source_hides_nothing(tmp_path: Path) -> None:
    one(tmp_path / "_data" / ".run" / "a.parquet")
    assert names(open_at(tmp_path / "_data" / ".run")) == ["a.parquet"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.parquet", ["b.parquet", "c.parquet"]),
        ("[a-b].parquet", ["b.parquet"]),
        ("?.parquet", ["b.parquet", "c.parquet"]),
        ("year=202[45]", ["year=2024/a.parquet", "year=2025/a.parquet"]),
        ("year=*/a.parquet", ["year=2023/a.parquet", "year=2024/a.parquet", "year=2025/a.parquet"]),
    ],
)
def test_globs(pattern: str, found: list[str], tmp_path: Path) -> None:
    for name in ("b.parquet", "c.parquet", *(f"year={y}/a.parquet" for y in (2023, 2024, 2025))):
        one(tmp_path / name)
    assert names(open_at(tmp_path / pattern)) == found


def test_a_glob_through_all_folders(tmp_path: Path) -> None:
    for name in ("b.parquet", "deep/er/c.parquet"):
        one(tmp_path / name)
    assert names(open_at(tmp_path / "**" / "*.parquet")) == ["b.parquet", "deep/er/c.parquet"]


@pytest.mark.parametrize("pattern", ["*.parquet", "*", "**/*"])
def test_a_glob_finds_no_hidden_file(pattern: str, tmp_path: Path) -> None:
    for name in ("a.parquet", "_truth.parquet", ".hidden.parquet"):
        one(tmp_path / name)
    for name in ("_SUCCESS", ".a.parquet.crc"):
        (tmp_path / name).write_text("")
    assert names(open_at(tmp_path / pattern)) == ["a.parquet"]


def test_a_glob_finds_each_file_once(tmp_path: Path) -> None:
    one(tmp_path / "part=1" / "a.parquet")
    assert names(open_at(tmp_path / "**")) == ["part=1/a.parquet"]


def test_a_path_that_looks_like_a_glob_is_taken_as_it_is(tmp_path: Path) -> None:
    one(tmp_path / "data [old]" / "a*.parquet")
    assert names(open_at(tmp_path / "data [old]")) == ["a*.parquet"]
    assert names(open_at(tmp_path / "data [old]" / "a*.parquet")) == ["a*.parquet"]


def test_a_relative_path_and_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one(tmp_path / "some data" / "month=1" / "a.parquet")
    monkeypatch.chdir(tmp_path)
    expected = open_at(tmp_path / "some data")
    for location in ("some data", "./some data/", (tmp_path / "some data").as_uri()):
        source = open_at(location)
        assert names(source) == names(expected)
        assert source.files[0].partition == {"month": 1}


def test_the_sample_has_a_file_a_month() -> None:
    source = open_at(FLIGHTS)
    assert names(source) == [f"month={m:02d}/flights.parquet" for m in range(1, 13)]
    assert [file.partition for file in source.files] == [{"month": m} for m in range(1, 13)]
    assert source.n_rows == 336_776


# partitions


def partitions(tmp_path: Path, *folders: str) -> tuple[list[dict[str, Any]], pa.Schema]:
    for folder in folders:
        one(tmp_path / folder / "a.parquet")
    source = open_at(tmp_path)
    return [file.partition for file in source.files], source.schema


def test_partitions_are_integers_where_all_are(tmp_path: Path) -> None:
    found, schema = partitions(tmp_path, "a=01/b=x", "a=-2/b=7")
    assert found == [{"a": -2, "b": "7"}, {"a": 1, "b": "x"}]
    assert schema.field("a").type == pa.int64()
    assert schema.field("b").type == pa.string()


def test_partitions_may_be_encoded_and_null(tmp_path: Path) -> None:
    found, schema = partitions(
        tmp_path, "the%20city=New%20York%2FNY", "the%20city=São Paulo", "the%20city=__HIVE_DEFAULT_PARTITION__"
    )
    assert {str(row["the city"]) for row in found} == {"New York/NY", "São Paulo", "None"}
    assert schema.field("the city").type == pa.string()


def test_a_null_among_integer_partitions(tmp_path: Path) -> None:
    found, schema = partitions(tmp_path, "n=1", "n=2", "n=__HIVE_DEFAULT_PARTITION__")
    assert [row["n"] for row in found] == [1, 2, None]
    assert schema.field("n").type == pa.int64()
    assert open_at(tmp_path).largest(["n"]).tolist() == [2.0]


@pytest.mark.parametrize("text", ["--5", "-", "5-", "1.5", "1e3", "٣", "99999999999999999999", "0x10", ""])
def test_a_partition_that_is_no_integer_is_text(text: str, tmp_path: Path) -> None:
    found, _ = partitions(tmp_path, f"n={text}")
    assert found == [{"n": text}]


def test_a_partition_that_not_all_files_have(tmp_path: Path) -> None:
    one(tmp_path / "n=1" / "a.parquet")
    one(tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match=r"b\.parquet.*'n'"):
        open_at(tmp_path)


def test_a_partition_wins_over_a_column_of_the_same_name(tmp_path: Path) -> None:
    one(tmp_path / "x=7" / "a.parquet", x=["text"], y=[1.0])
    source = open_at(tmp_path)
    assert source.schema.field("x").type == pa.int64()
    assert source.largest(["x", "y"]).tolist() == [7.0, 1.0]


# columns


def test_numeric_types_may_mix_and_others_may_not(tmp_path: Path) -> None:
    one(tmp_path / "1.parquet", n=pa.array([1], pa.int8()), t=["a"])
    one(tmp_path / "2.parquet", n=pa.array([1.5], pa.float32()), t=[b"a"])
    source = open_at(tmp_path)
    source.check_columns(["n"], "feature")
    with pytest.raises(SchemaError, match=r"2\.parquet.*'t' is binary, but string in .*1\.parquet"):
        source.check_columns(["t"], "key")


def test_a_missing_column_names_what_is_there_and_the_nearest(tmp_path: Path) -> None:
    one(tmp_path / "a.parquet", temperature=[1], pressure=[2])
    with pytest.raises(SchemaError, match=r"feature column 'temprature'.*temperature, pressure.*'temperature'\?"):
        open_at(tmp_path).check_columns(["temprature"], "feature")


ODD = ["two words", "a.b", "a", "größe", "温度", "intercept", "x'y", 'x"y', "x,y", "-", "100%", "file", "row", "term"]


@pytest.mark.parametrize("statistics", [True, False])
def test_columns_with_odd_names(statistics: bool, tmp_path: Path) -> None:
    columns = {name: [float(i), -2.0 * i] for i, name in enumerate(ODD)}
    source = open_at(write_parquet(tmp_path / "a.parquet", columns, write_statistics=statistics))
    source.check_columns(ODD, "feature")
    assert source.largest(ODD).tolist() == [2.0 * i for i in range(len(ODD))]


@pytest.mark.parametrize("struct_first", [True, False])
def test_a_name_with_a_dot_is_not_a_field_of_a_struct(struct_first: bool, tmp_path: Path) -> None:
    columns = {"s": [{"x": 1e6}, {"x": 2e6}], "s.x": [1.0, 2.0]}
    ordered = dict(columns.items() if struct_first else reversed(columns.items()))
    assert open_at(write_parquet(tmp_path / "a.parquet", ordered)).largest(["s.x"]).tolist() == [2.0]


# filters


def filtered(tmp_path: Path, filters: Any) -> list[str]:
    """Row groups kept, as month/group."""
    for month in (1, 2, 3):
        columns = {"x": np.arange(30) + 100 * month, "day": np.arange(30)}
        write_parquet(tmp_path / f"month={month}" / "a.parquet", columns, row_group_size=10)
    source = open_at(tmp_path, filters)
    return [f"{source.files[s.file].partition['month']}/{g}" for s in shards(source, 1) for g in s.row_groups]


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ([["month", "==", 2]], ["2/0", "2/1", "2/2"]),
        ([["month", "in", [1, 3]], ["day", "<", 5]], ["1/0", "3/0"]),
        ([[["month", "==", 1], ["day", ">=", 20]], [["x", "<", 205], ["month", "==", 2]]], ["1/2", "2/0"]),
        ([["month", "!=", 2], ["day", "=", 15]], ["1/1", "3/1"]),
        ([["x", "not in", [1]], ["month", ">", 2]], ["3/0", "3/1", "3/2"]),
        ((("x", ">=", 325),), ["3/2"]),
    ],
)
def test_filters_are_pushed_down(filters: Any, kept: list[str], tmp_path: Path) -> None:
    assert filtered(tmp_path, filters) == kept


def test_filters_on_text_and_null_partitions(tmp_path: Path) -> None:
    for folder in ("city=New%20York", "city=Boston", "city=__HIVE_DEFAULT_PARTITION__"):
        one(tmp_path / folder / "a.parquet")
    source = open_at(tmp_path, [["city", "==", "New York"]])
    assert [source.files[s.file].partition for s in shards(source, 1)] == [{"city": "New York"}]


def test_filters_that_match_nothing_and_filters_that_do_not_fit(tmp_path: Path) -> None:
    one(tmp_path / "a.parquet")
    assert [f.wanted_groups for f in open_at(tmp_path, [["x", ">", 9]]).files] == [()]
    with pytest.raises(ConfigError, match=r"'x', '==', 'a'"):
        open_at(tmp_path, [["x", "==", "a"]])
    with pytest.raises(SchemaError, match="filter column 'z'"):
        open_at(tmp_path, [["z", ">", 9]])


def test_filters_where_widths_mix(tmp_path: Path) -> None:
    for part, kind in enumerate(("int8", "int64", "float32", "float64")):
        one(tmp_path / f"{part}.parquet", x=np.array([1, 2, 3], kind))
    assert len(shards(open_at(tmp_path, [["x", ">", 2]]), 1)) == 4


# the largest magnitude


def halves(values: list[float]) -> pa.Array:
    return pa.array([np.float16(v) for v in values], pa.float16())


LARGEST: dict[str, tuple[Any, float]] = {
    "int64": (pa.array([-(2**63), 5]), 2.0**63),
    "uint64": (pa.array([2**64 - 1, 5], pa.uint64()), 2.0**64),
    "int8": (pa.array([-128, 127], pa.int8()), 128.0),
    "bool": ([True, False], 1.0),
    "bool_false": ([False, False], 0.0),
    "float16": (halves([-2.5, 1.0]), 2.5),
    "float32": (pa.array([0.5, -8.25], pa.float32()), 8.25),
    "float64": ([0.1, -0.2], 0.2),
    "zero": ([0.0, -0.0], 0.0),
    "nan": ([float("nan"), -3.0], 3.0),
    "only_nan": ([float("nan"), float("nan")], 0.0),
    "null": ([None, -4.0], 4.0),
    "only_null": (pa.nulls(2, pa.float64()), 0.0),
    "infinite": ([1.0, -float("inf")], float("inf")),
    "infinite_and_nan": ([float("nan"), float("inf")], float("inf")),
    "decimal": ([Decimal("-12.25"), Decimal("3.00")], 12.25),
    "decimal32": (pa.array([Decimal("-12.25"), Decimal("3.00")], pa.decimal32(6, 2)), 12.25),
    "decimal64": (pa.array([Decimal("-12.25"), Decimal("3.00")], pa.decimal64(12, 2)), 12.25),
    "decimal256": (pa.array([Decimal("-12.25"), Decimal("3.00")], pa.decimal256(50, 2)), 12.25),
    "dictionary": (pa.array([3, -7]).dictionary_encode(), 7.0),
    "dictionary_of_floats": (pa.array([0.5, -0.75]).dictionary_encode(), 0.75),
}


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("kind", LARGEST)
def test_the_largest_magnitude_with_and_without_statistics(kind: str, statistics: bool, tmp_path: Path) -> None:
    values, expected = LARGEST[kind]
    table = pa.table({"other": [1e9, -1e9], "x": values})
    pq.write_table(table, tmp_path / "a.parquet", write_statistics=statistics)
    assert open_at(tmp_path).largest(["x"]).tolist() == [expected]


def test_the_largest_of_all_row_groups_and_files(tmp_path: Path) -> None:
    one(tmp_path / "1.parquet", x=[1.0, -2.0], y=[7.0, 0.0])
    write_parquet(tmp_path / "2.parquet", {"x": [1.0, -5.0, 3.0], "y": [0.0] * 3}, row_group_size=1)
    one(tmp_path / "3.parquet", x=pa.array([], pa.float64()), y=pa.array([], pa.float64()))
    assert open_at(tmp_path).largest(["y", "x"]).tolist() == [7.0, 5.0]
    assert open_at(tmp_path, [["x", ">", 2]]).largest(["y", "x"]).tolist() == [7.0, 5.0]


def test_a_footer_is_believed_until_its_digits_overflow(tmp_path: Path) -> None:
    """What the footer says is what the grid is made of: patched there, it is what `largest` returns."""
    file = write_parquet(tmp_path / "a.parquet", {"x": [0.5, 12345.675]}, use_dictionary=False, compression="none")
    content = file.read_bytes()
    at = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    footer = content[at:].replace(struct.pack("<d", 12345.675), struct.pack("<d", 2.0))
    assert footer != content[at:]
    file.write_bytes(content[:at] + footer)
    assert open_at(tmp_path).largest(["x"]).tolist() == [2.0]


# damage


def test_a_fingerprint_changes_with_the_values(tmp_path: Path) -> None:
    file = one(tmp_path / "a.parquet", x=[1.0, 2.0])
    first = open_at(file).files[0]
    assert open_at(file).files[0] == first
    one(file, x=[1.0, 3.0])
    assert open_at(file).files[0].footer_sha256 != first.footer_sha256


def test_a_footer_whose_column_names_are_no_text(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", {"column_one": [1.5, 2.5], "y": [0.5, 1.5]}, store_schema=False)
    file.write_bytes(file.read_bytes().replace(b"column_one", b"column\xff\xfene"))
    with pytest.raises(DataError, match=r"a\.parquet"):
        open_at(file)


# whether filters need be evaluated


def plainly(value: Any, operator: str, literal: Any) -> bool:
    """What a condition says of a value, in Python; NaN is null."""
    if value is None or value != value:  # noqa: PLR0124  # only NaN differs from itself
        return False
    if operator == "not in":
        return value not in literal
    comparisons: dict[str, Callable[[Any, Any], bool]] = {"=": op.eq, "!=": op.ne, "<": op.lt, "<=": op.le, ">": op.gt}
    return comparisons[operator](value, literal)


FILE = {
    "plain": [1, 2, 3],
    "nulls": [1, None, 3],
    "only_nulls": pa.array([None, None, None], pa.int64()),
    "floats": [1.0, 2.0, 3.0],
    "nan": [1.0, float("nan"), 3.0],
    "text": ["a", "b", "b"],
}


@pytest.mark.parametrize(
    ("filters", "filtered"),
    [
        ([["plain", "<=", 3]], False),
        ([["plain", "<=", 2]], True),
        ([["plain", "!=", 9]], False),
        ([["plain", "not in", [7, 8]]], False),
        ([["plain", ">", 0], ["text", "<", "c"]], False),
        ([["plain", ">", 0], ["text", "<", "b"]], True),
        ([[["plain", ">", 2]], [["text", "<", "c"]]], False),
        # a null passes no condition, not even !=
        ([["nulls", "<=", 3]], True),
        ([["nulls", "!=", 9]], True),
        ([["nulls", "not in", [9]]], True),
        ([[["plain", ">", 0]], [["only_nulls", "=", 1]]], False),
        ([[["plain", ">", 1]], [["only_nulls", "=", 1]]], True),
        # no statistic shows a NaN, so floats are always looked at
        ([["nan", "<=", 3]], True),
        ([["floats", "<=", 3]], True),
        ([["month", "<=", 3]], False),
        ([["month", "=", 3], ["plain", "<", 3]], True),
        ([[["month", "=", 3]], [["plain", "<", 3]]], False),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_filters_are_not_evaluated_where_no_row_can_fail_them(
    filters: Any, filtered: bool, statistics: bool, tmp_path: Path
) -> None:
    path = write_parquet(tmp_path / "month=3" / "a.parquet", FILE, write_statistics=statistics)
    source = open_at(tmp_path, filters)
    [file] = source.files
    # without statistics any column may hold a null, but for the folder's
    by_folder = all(group[0][0] == "month" and len(group) == 1 for group in filter_groups(filters)[:1])
    assert file.filtered is (filtered or not (statistics or by_folder))
    table = pq.ParquetFile(path).read().append_column("month", pa.array([3, 3, 3]))
    kept = sum(
        any(all(plainly(row[c], how, v) for c, how, v in g) for g in filter_groups(filters))
        for row in table.to_pylist()
    )
    assert file.filtered or kept == 3
    [shard] = shards(source, 1)
    assert sum(batch.num_rows for batch in read(source, shard, ["plain"], Budget(1024))) == kept


def test_a_null_partition_value_passes_no_filter(tmp_path: Path) -> None:
    for name in ("3", "__HIVE_DEFAULT_PARTITION__"):
        one(tmp_path / f"month={name}" / "a.parquet")
    source = open_at(tmp_path, [["month", "!=", 9]])
    assert [(f.wanted_groups, f.filtered) for f in source.files] == [((0,), False), ((), True)]
