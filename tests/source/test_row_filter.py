"""Filters at work: rows by their own values, whatever footers and folders tell."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import gdpipe
from gdpipe.errors import ConfigError, SchemaError
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
