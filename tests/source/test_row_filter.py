"""Filters at work: files by their folders, which nobody opens where they are ruled out; rows by their own values."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import gdpipe
from gdpipe.errors import ConfigError, DataError, SchemaError
from gdpipe.source.budget import Budget
from gdpipe.source.scan import read, shards
from gdpipe.source.source import Source
from tests.conftest import write_parquet

STRUCT = pa.struct([("a", pa.int64()), ("b", pa.int64())])
NESTED: dict[str, pa.Array] = {
    # the first leaf is null in every row, and lists may have no leaf at all
    "struct": pa.array([None, {"a": None, "b": 1}, {"a": None, "b": None}, None], STRUCT),
    "list": pa.array([None, [], [None, None], None], pa.list_(pa.int64())),
    "large_list": pa.array([None, [], [None], None], pa.large_list(pa.string())),
    "fixed_list": pa.array([None, [None, 1], [None, None], None], pa.list_(pa.int64(), 2)),
    "map": pa.array([None, [], [("a", None)], None], pa.map_(pa.string(), pa.int64())),
    "list_of_structs": pa.array([None, [], [{"a": None, "b": 1}], None], pa.list_(STRUCT)),
}
FOLDERS = ("month=1/city=Bonn", "month=2/city=Bonn", "month=2/city=Rom", "month=__HIVE_DEFAULT_PARTITION__/city=Rom")
# filters, and the folders that they let in, by hand
LET_IN: list[tuple[Any, set[int]]] = [
    ([["month", "==", 2]], {1, 2}),
    ([["month", "!=", 2]], {0}),
    ([["month", "<", 2]], {0}),
    ([["month", ">=", 1.5]], {1, 2}),
    ([["month", "in", [1, 7]]], {0}),
    ([["month", "not in", [1]]], {1, 2}),
    ([["month", "is null"]], {3}),
    ([["month", "is not null"], ["city", "==", "Bonn"]], {0, 1}),
    ([["city", ">", "Bonn"]], {2, 3}),
    ([["month", "==", 1], ["x", ">", 0]], {0}),
    ([[["month", "==", 1], ["x", ">", 0]], [["city", "==", "Rom"], ["month", "==", 2]]], {0, 2}),
    ([[["month", "==", 1]], [["x", ">", 2]]], {0, 1, 2, 3}),
    ([["x", ">", 2]], {0, 1, 2, 3}),
]


def rows(path: Path, filters: Any) -> list[int]:
    source = Source.open(str(path), filters)
    return [
        i for s in shards(source, 1) for b in read(source, s, ["i"], Budget(1024)) for i in b.column("i").to_pylist()
    ]


@pytest.mark.parametrize("at_once", [1, 2, 4])
@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("kind", NESTED)
def test_a_nested_value_is_null_where_it_is_itself(kind: str, statistics: bool, at_once: int, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path, {"i": range(4), "c": NESTED[kind]}, row_group_size=at_once, write_statistics=statistics)
    assert rows(path, [["c", "is null"]]) == [0, 3]
    assert rows(path, "c IS NOT NULL") == [1, 2]
    with pytest.raises(ConfigError, match="can only be asked for null"):
        rows(path, [["c", "=", 1]])


@pytest.mark.parametrize("kind", [pa.decimal32(9, 2), pa.decimal64(18, 2), pa.decimal128(38, 2), pa.decimal256(76, 2)])
@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('["c", "=", 6]', [1]),
        ('["c", "!=", "6.10"]', [1, 4]),
        ('["c", "in", [6.1, 7, 6.105]]', [0, 2]),
        ('["c", "not in", [6.1]]', [1, 4]),
        ('["c", "<", 6.105]', [0, 1, 2, 4]),
    ],
)
def test_decimals_of_every_width(kind: pa.DataType, condition: str, found: list[int], tmp_path: Path) -> None:
    values = [Decimal("6.10"), Decimal("6.00"), Decimal("6.10"), None, Decimal("-0.01")]
    path = write_parquet(tmp_path / "a.parquet", {"i": range(5), "c": pa.array(values, kind)})
    assert rows(path, f"[{condition}]") == found


def of_two_folders(path: Path, **second: Any) -> Path:
    """A column z in the first folder, and what is given in the second."""
    write_parquet(
        path / "part=1" / "a.parquet", {"i": range(6), "x": [1.0, 2, 3, 4, 5, 7], "y": range(6), "z": range(6)}
    )
    columns = {"i": range(10, 16), "x": [1.0, 2, 3, 4, 5, 7], "y": range(6), **second}
    write_parquet(path / "part=2" / "a.parquet", columns)
    return path


@pytest.mark.parametrize("second", [{}, {"z": ["a", "b", "c", "d", "e", None]}])
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("part = 1 AND z > 2 OR part = 2", [3, 4, 5, *range(10, 16)]),
        ("part = 1 AND z > 2 OR part = 2 AND x > 3", [3, 4, 5, 13, 14, 15]),
        ("part = 1 AND z > 2", [3, 4, 5]),
        ("part < 2 AND z IS NOT NULL OR part > 1 AND x <= 1", [*range(6), 10]),
    ],
)
def test_an_alternative_that_a_folder_rules_out_asks_nothing_of_its_files(
    second: dict[str, Any], filters: str, found: list[int], tmp_path: Path
) -> None:
    path = of_two_folders(tmp_path / "data", **second)
    assert rows(path, filters) == found
    settings = {"source": str(path), "target": "y", "features": ["x"], "filters": filters, "report": False}
    for expected in (len(found), 0):  # and kept sums know the file by its own columns
        run = gdpipe.train(output=str(tmp_path / "out"), force=True, predict="none", **settings)
        assert (run.manifest["rows"]["read"], run.manifest["rows"]["scanned"]) == (len(found), expected)


def test_a_column_that_is_missing_or_of_another_kind_where_it_counts(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"part=2/a.parquet: filter column 'z' is not there, but .*part=1"):
        rows(of_two_folders(tmp_path / "missing"), "part = 1 AND z > 2 OR part = 2 AND z < 1")
    with pytest.raises(ConfigError, match="column 'z' is string; write a text"):
        rows(of_two_folders(tmp_path / "text", z=["a"] * 6), "part = 1 AND z > 2 OR part = 2 AND z < 1")


def test_a_filter_column_that_is_there_twice(tmp_path: Path) -> None:
    table = pa.table([pa.array([1, 2]), pa.array([1, 2]), pa.array([2, 1])], names=["i", "z", "z"])
    path = write_parquet(tmp_path / "month=1" / "a.parquet", table)
    with pytest.raises(SchemaError, match=r"a.parquet: filter column 'z' is there twice; rename one of them"):
        rows(path, [["z", ">", 1]])
    assert rows(path, [["i", ">", 1]]) == [2]


def write(tmp_path: Path) -> list[Path]:
    return [write_parquet(tmp_path / folder / "a.parquet", {"x": [1, 2, 3]}) for folder in FOLDERS]


@pytest.mark.parametrize(("filters", "let_in"), LET_IN, ids=lambda value: str(value) if isinstance(value, list) else "")
def test_only_files_in_folders_that_can_match_are_opened(filters: Any, let_in: set[int], tmp_path: Path) -> None:
    for f, file in enumerate(write(tmp_path)):
        if f not in let_in:
            file.write_bytes(b"no Parquet at all")
    files = Source.open(str(tmp_path), filters).files
    assert {f for f, file in enumerate(files) if file.is_opened} == let_in
    assert [file.name for file in files] == [f"{folder}/a.parquet" for folder in FOLDERS]
    assert all(
        (file.footer_sha256 is not None, any(file.group_rows)) == (f in let_in,) * 2 for f, file in enumerate(files)
    )


def test_whoever_cannot_be_ruled_out_is_opened(tmp_path: Path) -> None:
    write(tmp_path)[2].write_bytes(b"no Parquet at all")
    with pytest.raises(DataError, match=r"city=Rom/a\.parquet"):
        Source.open(str(tmp_path), [["month", "==", 2]])


def test_columns_and_values_of_files_ruled_out_do_not_matter(tmp_path: Path) -> None:
    [first, *_] = write(tmp_path)
    write_parquet(first, {"other": ["text"], "x": [1e300]})
    source = Source.open(str(tmp_path), [["month", "==", 2]])
    assert source.schema == pa.schema({"x": pa.int64(), "month": pa.int64(), "city": pa.string()})
    assert source.largest(["x"]).tolist() == [3.0]
    assert source.n_rows == 6


def test_where_all_are_ruled_out_the_first_with_rows_tells_the_columns(tmp_path: Path) -> None:
    first, second, *others = write(tmp_path)
    write_parquet(first, {"x": pa.array([], pa.null())})
    for file in others:
        file.write_bytes(b"no Parquet at all")
    source = Source.open(str(tmp_path), [["month", "==", 9]])
    assert source.schema.field("x").type == pa.int64()
    assert [(file.is_opened, file.wanted_groups) for file in source.files] == [(True, ())] * 2 + [(False, ())] * 2
    second.write_bytes(b"no Parquet at all")
    with pytest.raises(DataError, match="month=2/city=Bonn"):
        Source.open(str(tmp_path), [["month", "==", 9]])


def test_filters_that_do_not_fit_are_errors_whichever_files_are_opened(tmp_path: Path) -> None:
    write(tmp_path)
    for filters in ([["month", "==", "x"]], [["month", "==", 9], ["city", ">", 4]]):
        with pytest.raises(ConfigError, match="filters"):
            Source.open(str(tmp_path), filters)
    with pytest.raises(SchemaError, match="filter column 'z' is not there"):
        Source.open(str(tmp_path), [["month", "==", 9], ["z", ">", 4]])


def test_a_file_ruled_out_has_the_fingerprint_of_its_listing(tmp_path: Path) -> None:
    [path, *_] = write(tmp_path)
    file = Source.open(str(tmp_path), [["month", "==", 2]]).files[0]
    listed = {"path": str(path), "bytes": path.stat().st_size, "modified_ns": path.stat().st_mtime_ns}
    assert file.fingerprint == {**listed, "footer_sha256": None}


def test_a_schema_that_files_share_is_kept_once(tmp_path: Path) -> None:
    write(tmp_path)
    assert len({id(file.schema) for file in Source.open(str(tmp_path)).files}) == 1
