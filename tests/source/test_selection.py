"""Files that their partition values rule out: nobody opens them, and nothing that lies in them matters."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gdpipe.errors import ConfigError, DataError, SchemaError
from gdpipe.source.source import Source
from tests.conftest import write_parquet

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
