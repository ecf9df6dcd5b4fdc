"""Tables of Delta Lake, Iceberg and Hudi are refused, wherever in them a source lies."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.errors import DataError
from gdpipe.source.source import Source
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.s3 import Server

# what tells each table, and where its files lie
FORMATS = {
    "Delta Lake": ("_delta_log/00000000000000000000.json", "day=1/part-0.snappy.parquet"),
    "Iceberg": ("metadata/v1.metadata.json", "data/day=1/0.parquet"),
    "Hudi": (".hoodie/hoodie.properties", "day=1/0.parquet"),
}
NEIGHBOURS = {"Iceberg": "metadata/00001-2f0c6e5e.gz.metadata.json", "Hudi": "day=1/.hoodie_partition_metadata"}


def table(folder: Path, owner: str, marker: str | None = None) -> Path:
    """A table's folder; what is in its log does not matter."""
    log, file = FORMATS[owner]
    for name in (marker or log,):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return write_parquet(folder / file, line_columns())


@pytest.mark.parametrize("owner", FORMATS)
def test_each_command_refuses(owner: str, tmp_path: Path, output: Path) -> None:
    table(tmp_path / "t", owner)
    for command in (
        ["train", tmp_path / "t", "--target", "y", "--output", output],
        ["plan", tmp_path / "t", "--target", "y"],
        ["predict", tmp_path / "t", "--run", output, "--output", tmp_path / "scores"],
    ):
        done = gdpipe_cli(*command)
        assert done.code == 3
        assert re.fullmatch(rf"gdpipe: {tmp_path}/t: an? {owner} table \(.*plain Parquet.*\n", done.err), done.err
    with pytest.raises(DataError, match=owner):
        gdpipe.train(source=str(tmp_path / "t"), target="y", output=str(tmp_path / "runs"))


@pytest.mark.parametrize("owner", FORMATS)
def test_a_source_around_and_inside_a_table(owner: str, tmp_path: Path) -> None:
    file = table(tmp_path / "lake" / "db" / "t", owner)
    write_parquet(tmp_path / "lake" / "plain" / "a.parquet", line_columns())
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "a.parquet").symlink_to(file)
    (tmp_path / "link").symlink_to(file.parent)
    (tmp_path / "around").mkdir()
    (tmp_path / "around" / "p").symlink_to(file.parent)
    for location in (
        tmp_path / "lake",
        tmp_path / "lake" / "*",
        tmp_path / "lake" / "**" / "*.parquet",
        file.parent,
        file,
        file.parent / "*.parquet",
        file.parents[1] / "day=*",
        file.as_uri(),
        tmp_path / "linked",
        tmp_path / "linked" / "a.parquet",
        tmp_path / "link",
        tmp_path / "around",
    ):
        with pytest.raises(DataError, match=rf"/lake/db/t: .*{owner} table") as caught:
            Source.open(str(location))
        assert "\n" not in str(caught.value)
    for beside in ("p*", "**/plain/*.parquet"):
        assert len(Source.open(str(tmp_path / "lake" / beside)).files) == 1


@pytest.mark.parametrize(("owner", "marker"), NEIGHBOURS.items())
def test_other_marks_of_the_same_tables(owner: str, marker: str, tmp_path: Path) -> None:
    file = table(tmp_path, owner, marker)
    for location in (tmp_path, file):
        with pytest.raises(DataError, match=owner):
            Source.open(str(location))


def test_a_folder_called_metadata_is_no_table(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", line_columns())
    write_parquet(tmp_path / "metadata" / "b.parquet", line_columns())
    (tmp_path / "metadata" / "about.json").write_text("{}")
    (tmp_path / "v1.metadata.json").write_text("{}")
    source = Source.open(str(tmp_path))
    assert [file.name for file in source.files] == ["a.parquet", "metadata/b.parquet"]
    assert source.passed_over == ("metadata/about.json", "v1.metadata.json")


DELETES = {
    "equality": (pa.schema([pa.field("x1", pa.float64())]), {"delete-type": "equality", "delete-field-ids": "1"}),
    "position": (
        pa.schema(
            [
                pa.field("file_path", pa.string(), metadata={"PARQUET:field_id": "2147483546"}),
                pa.field("pos", pa.int64(), metadata={"PARQUET:field_id": "2147483545"}),
            ]
        ),
        {},
    ),
}


@pytest.mark.parametrize("kind", DELETES)
def test_a_delete_file_of_iceberg_is_no_data(kind: str, tmp_path: Path) -> None:
    """Such a file lies among the data, and says that some of them are gone."""
    write_parquet(tmp_path / "a.parquet", line_columns())
    schema, metadata = DELETES[kind]
    rows = pa.Table.from_arrays([pa.nulls(2, field.type) for field in schema], schema=schema.with_metadata(metadata))
    pq.write_table(rows, tmp_path / "a-deletes.parquet")
    with pytest.raises(DataError, match=r"a-deletes\.parquet: a list of deleted rows, of an Iceberg table"):
        Source.open(str(tmp_path))


@pytest.mark.parametrize("owner", FORMATS)
def test_a_table_in_a_bucket(owner: str, s3: Server, bucket: str, tmp_path: Path) -> None:
    file = table(tmp_path / "lake" / "t", owner)
    for path in (p for p in (tmp_path / "lake").rglob("*") if p.is_file()):
        with s3.filesystem.open_output_stream(f"{bucket}/{path.relative_to(tmp_path)}") as stream:
            stream.write(path.read_bytes())
    inside = str(file.relative_to(tmp_path))
    for location in ("lake", "lake/t", "lake/**/*.parquet", inside, inside.rpartition("/")[0], f"{inside[:-9]}*"):
        with pytest.raises(DataError, match=f"{bucket}/lake/t: .*{owner} table"):
            Source.open(s3.uri(f"{bucket}/{location}"))
