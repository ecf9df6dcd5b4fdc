"""Shards, and the rows in them: order, row numbers, filters, partitions."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdpipe.design import Coded, Input
from gdpipe.errors import DataError
from gdpipe.source.budget import BYTES_PER_NUMBER, Budget
from gdpipe.source.columns import read_columns
from gdpipe.source.scan import ROW, Shard, read, shards
from gdpipe.source.source import Source
from tests.conftest import write_parquet


def room(batch_rows: int) -> Budget:
    return Budget(batch_rows)


def rows(source: Source, columns: list[str], batch: int = 1000, per_shard: int = 2**30) -> list[dict[str, Any]]:
    """All rows of a source, shard by shard, with the file each came from."""
    return [
        {"file": source.files[shard.file].name, **row}
        for shard in shards(source, len(columns), per_shard)
        for decoded in read(source, shard, columns, room(batch))
        for row in decoded.to_pylist()
    ]


def numbered(path: Path, n: int = 50, row_group: int = 10, **more: Any) -> Source:
    write_parquet(path, {"x": np.arange(n), **more}, row_group_size=row_group)
    return Source.open(str(path))


# shards


def test_row_groups_are_put_together_up_to_the_size(tmp_path: Path) -> None:
    source = numbered(tmp_path / "a.parquet")
    size = 10 * BYTES_PER_NUMBER  # of a row group, with one column
    groups = [shard.row_groups for shard in shards(source, 1, 2 * size)]
    assert groups == [(0, 1), (2, 3), (4,)]
    assert [shard.row_groups for shard in shards(source, 2, 2 * size)] == [(0,), (1,), (2,), (3,), (4,)]
    assert [shard.row_groups for shard in shards(source, 1, 1)] == [(0,), (1,), (2,), (3,), (4,)]
    assert [shard.row_groups for shard in shards(source, 1)] == [(0, 1, 2, 3, 4)]


def test_shards_are_numbered_in_input_order_and_hold_one_file_each(tmp_path: Path) -> None:
    for name, n in (("a", 30), ("b", 0), ("c", 20)):
        write_parquet(tmp_path / f"{name}.parquet", {"x": np.arange(n)}, row_group_size=10)
    source = Source.open(str(tmp_path))
    size = 20 * BYTES_PER_NUMBER
    assert shards(source, 1, size) == [Shard(0, 0, (0, 1)), Shard(1, 0, (2,)), Shard(2, 2, (0, 1))]


def test_every_row_is_in_one_shard(tmp_path: Path) -> None:
    source = numbered(tmp_path / "a.parquet", n=57, row_group=7)
    for size in (1, 100, 150, 2**30):
        found = rows(source, ["x"], per_shard=size)
        assert [row["x"] for row in found] == list(range(57))
        assert [row[ROW] for row in found] == list(range(57))


# rows


@pytest.mark.parametrize("batch", [1, 3, 10, 11, 1000])
def test_batches_hold_no_more_rows_than_asked_for(batch: int, tmp_path: Path) -> None:
    source = numbered(tmp_path / "a.parquet", n=25)
    batches = list(read(source, Shard(0, 0, (0, 1, 2)), ["x"], room(batch)))
    assert max(b.num_rows for b in batches) <= batch
    assert [v for b in batches for v in b.column(ROW).to_pylist()] == list(range(25))


def test_row_numbers_are_those_of_the_file_in_every_shard(tmp_path: Path) -> None:
    source = numbered(tmp_path / "a.parquet")
    found = [row for b in read(source, Shard(7, 0, (1, 3)), ["x"], room(4)) for row in b.to_pylist()]
    assert [row[ROW] for row in found] == [*range(10, 20), *range(30, 40)]
    assert [row["x"] for row in found] == [*range(10, 20), *range(30, 40)]


@pytest.mark.parametrize("batch", [3, 1000])
@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ([["x", ">=", 37]], range(37, 50)),
        ([["x", "in", [3, 12, 49]]], [3, 12, 49]),
        ([[["x", "<", 2]], [["x", ">", 47], ["even", "==", True]]], [0, 1, 48]),
        ([["even", "==", False], ["x", "<", 6]], [1, 3, 5]),
        ([["two words", "==", "b c"], ["a.b", ">", 40.0]], [43, 48]),
    ],
)
def test_row_numbers_after_filters(filters: Any, kept: Any, batch: int, tmp_path: Path) -> None:
    x = np.arange(50)
    columns = {"even": x % 2 == 0, "two words": [("a", "b", "c", "b c", "")[i % 5] for i in x], "a.b": x * 1.0}
    numbered(tmp_path / "a.parquet", **columns)
    source = Source.open(str(tmp_path / "a.parquet"), filters)
    found = rows(source, ["x"], batch)
    assert [row["x"] for row in found] == list(kept)
    assert [row[ROW] for row in found] == list(kept)
    assert set(found[0]) == {"file", "x", ROW}


def test_a_null_passes_no_comparison(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", {"x": [1.0, None, float("nan"), 4.0]})
    assert [row["x"] for row in rows(Source.open(str(file), [["x", ">", 0]]), ["x"])] == [1.0, 4.0]
    assert [row[ROW] for row in rows(Source.open(str(file), [["x", "<", 4]]), ["x"])] == [0]


def test_a_column_asked_for_twice_is_there_with_filters_and_without(tmp_path: Path) -> None:
    """A key may be a feature too."""
    numbered(tmp_path / "a.parquet", n=5)
    for filters in (None, [["x", ">=", 0]]):
        source = Source.open(str(tmp_path / "a.parquet"), filters)
        (batch,) = read(source, Shard(0, 0, (0,)), ["x", "x"], room(100))
        assert batch.column("x").to_pylist() == [0, 1, 2, 3, 4]
        assert batch.column(ROW).to_pylist() == [0, 1, 2, 3, 4]


def test_partition_columns_are_repeated_for_each_row(tmp_path: Path) -> None:
    for folder in ("city=New%20York/n=1", "city=__HIVE_DEFAULT_PARTITION__/n=2"):
        write_parquet(tmp_path / folder / "a.parquet", {"x": [1.5, 2.5]})
    found = rows(Source.open(str(tmp_path)), ["n", "x", "city"])
    assert [(row["n"], row["x"], row["city"], row[ROW]) for row in found] == [
        (1, 1.5, "New York", 0),
        (1, 2.5, "New York", 1),
        (2, 1.5, None, 0),
        (2, 2.5, None, 1),
    ]


def test_partition_columns_alone_have_as_many_rows_as_the_file(tmp_path: Path) -> None:
    write_parquet(tmp_path / "n=3" / "a.parquet", {"x": [1.5, 2.5], "text": ["a", "b"]})
    assert [row["n"] for row in rows(Source.open(str(tmp_path)), ["n"])] == [3, 3]


def test_filters_on_partitions_and_rows_together(tmp_path: Path) -> None:
    for n in (1, 2):
        write_parquet(tmp_path / f"n={n}" / "a.parquet", {"x": np.arange(6)}, row_group_size=2)
    filters = [[["n", "==", 1], ["x", "<", 2]], [["n", "==", 2], ["x", ">", 4]]]
    found = rows(Source.open(str(tmp_path), filters), ["x"])
    assert [(row["file"], row["x"], row[ROW]) for row in found] == [
        ("n=1/a.parquet", 0, 0),
        ("n=1/a.parquet", 1, 1),
        ("n=2/a.parquet", 5, 5),
    ]


@pytest.mark.parametrize("name", ["two words", "a.b", "a", "größe", "温度", "intercept", 'x"y', "row", "file", "s.x"])
@pytest.mark.parametrize("with_filter", [False, True])
def test_columns_with_odd_names(name: str, with_filter: bool, tmp_path: Path) -> None:
    columns = {"a": [1.0, 2.0], "a.b": [3.0, 4.0], "s": [{"x": 1}, {"x": 2}], "s.x": [5.0, 6.0], name: [7.0, 8.0]}
    file = write_parquet(tmp_path / "a.parquet", columns)
    source = Source.open(str(file), [[name, ">", 7.5]] if with_filter else None)
    assert [row[name] for row in rows(source, [name])] == ([8.0] if with_filter else [7.0, 8.0])


# damage


def test_a_file_that_was_cut_since_its_footer_was_read(tmp_path: Path) -> None:
    source = numbered(tmp_path / "a.parquet", n=5000, row_group=1000)
    file = tmp_path / "a.parquet"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match=r"a\.parquet"):
        rows(source, ["x"])


def test_a_file_that_is_gone_since_its_footer_was_read(tmp_path: Path) -> None:
    source = numbered(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(DataError, match=r"a\.parquet") as caught:
        rows(source, ["x"])
    assert not caught.value.transient


@pytest.mark.parametrize("change", ["fewer rows", "fewer groups", "no such column"])
def test_a_file_that_was_written_again_since_its_footer_was_read(change: str, tmp_path: Path) -> None:
    source = numbered(tmp_path / "a.parquet")
    columns = {"z" if change == "no such column" else "x": np.arange(20 if change == "fewer groups" else 49)}
    write_parquet(tmp_path / "a.parquet", columns, row_group_size=10)
    with pytest.raises(DataError, match=r"a\.parquet"):
        rows(source, ["x"])


def test_a_damaged_page_names_file_and_row_group(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    table = pa.table({"x": np.arange(3000)})
    options: dict[str, Any] = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
    pq.write_table(table, file, row_group_size=1000, **options)
    content = bytearray(file.read_bytes())
    page = pq.read_metadata(file).row_group(2).column(0)
    content[page.data_page_offset + page.total_compressed_size - 100] ^= 1
    file.write_bytes(content)
    source = Source.open(str(file))
    assert sum(b.num_rows for b in read(source, Shard(0, 0, (0, 1)), ["x"], room(500))) == 2000
    with pytest.raises(DataError, match=r"a\.parquet.*row group 2"):
        list(read(source, Shard(0, 0, (2,)), ["x"], room(500)))


# levels of text


@pytest.mark.parametrize("use_dictionary", [True, False])
def test_text_of_which_levels_are_asked_for_comes_as_a_dictionary(use_dictionary: bool, tmp_path: Path) -> None:
    texts = [None if i % 7 == 0 else f"level {i % 4}" for i in range(50)]
    write_parquet(
        tmp_path / "a.parquet", {"x": np.arange(50), "c": texts}, row_group_size=20, use_dictionary=use_dictionary
    )
    source, level = Source.open(str(tmp_path)), Input("c", None, "text")
    [shard] = shards(source, 2)
    asked: list[tuple[list[str | Input], bool]]
    asked = [([level], True), (["c"], False), ([level, "c"], False), (["x", level], True)]
    for columns, is_dictionary in asked:
        batches = list(read(source, shard, columns, room(8)))
        assert {pa.types.is_dictionary(batch.schema.field("c").type) for batch in batches} == {is_dictionary}
        assert [value for batch in batches for value in batch.column("c").to_pylist()] == texts
        blocks = [read_columns(batch, [level]) for batch in batches]
        found: list[str | None] = []
        for block in blocks:
            [coded] = block.columns
            assert isinstance(coded, Coded)
            missing = np.zeros(len(coded.codes), np.bool_) if block.missing is None else block.missing[0]
            found += [None if gap else coded.labels[c] for c, gap in zip(coded.codes, missing, strict=True)]
        assert found == texts


def test_levels_beside_filters_and_partitions(tmp_path: Path) -> None:
    for part in ("a", "b"):
        write_parquet(tmp_path / f"p={part}" / "0.parquet", {"c": ["u", "v", "w"]})
    source = Source.open(str(tmp_path), "c != 'v'")
    asked = [Input("c", None, "text"), Input("p", None, "text")]
    found = [b for shard in shards(source, 2) for b in read(source, shard, asked, room(8))]
    assert [row for batch in found for row in batch.select(["c", "p"]).to_pylist()] == [
        {"c": c, "p": p} for p in "ab" for c in "uw"
    ]
    # a filter compares the text itself
    assert not any(pa.types.is_dictionary(batch.schema.field("c").type) for batch in found)
    labels = [
        column.labels for batch in found for column in read_columns(batch, asked).columns if isinstance(column, Coded)
    ]
    assert labels == [("u", "w"), ("a",), ("u", "w"), ("b",)]


def test_levels_that_are_not_utf_8_are_an_error_with_their_file(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(bytes(4) + b"\1\0\0\0"), pa.py_buffer(b"\xff")])
    for number, filters in enumerate([None, "c != 'a'"]):
        file = write_parquet(tmp_path / f"{number}.parquet", {"c": bad})
        source = Source.open(str(file), filters)
        with pytest.raises(DataError, match=rf"{number}.parquet: column 'c' holds text that is not UTF-8"):
            list(read(source, shards(source, 1)[0], [Input("c", None, "text")], room(8)))
