"""Tables that are not Parquet: named for what they are, and the command in the message makes Parquet of them."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from gdpipe.errors import DataError
from gdpipe.source.listing import find_files
from gdpipe.source.source import Source

TABLE = pa.table({"x": [1, 2, 3], "y": [1.5, 2.5, 4.0], "kind": ["a", None, "b"]})


def write(path: Path) -> None:
    """The table in the format of the name."""
    rows = TABLE.to_pylist()
    kind = path.name.partition(".")[2].lower()
    if kind in {"csv", "csv.gz"}:
        with pa.output_stream(str(path)) as stream:
            pa.csv.write_csv(TABLE, stream)
    elif kind == "tsv":
        pa.csv.write_csv(TABLE, path, pa.csv.WriteOptions(delimiter="\t"))
    elif kind == "json":
        path.write_text(json.dumps(rows))
    elif kind in {"jsonl", "ndjson"}:
        path.write_text("\n".join(map(json.dumps, rows)))
    elif kind == "feather":
        pa.feather.write_feather(TABLE, path)
    elif kind == "arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, TABLE.schema) as writer:
            writer.write_table(TABLE)
    elif kind == "orc":
        pa.orc.write_table(TABLE, path)


NAMES = ["a.csv", "A.CSV", "a.csv.gz", "a.tsv", "a.json", "a.jsonl", "a.ndjson", "a.feather", "a.arrow", "a.orc"]


@pytest.mark.parametrize("name", [*NAMES, "it's $1.csv"])
def test_the_command_in_the_message_makes_parquet(name: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match="gdpipe reads Parquet; make it with: python -c ") as caught:
        find_files(str(tmp_path / name))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ")
    assert "\n" not in message
    command = message.partition("make it with: python ")[2]
    # as a shell reads it
    subprocess.run(["/bin/sh", "-c", f"{shlex.quote(sys.executable)} {command}"], check=True)
    [made] = tmp_path.glob("*.parquet")
    assert pq.read_table(made).to_pydict() == TABLE.to_pydict()
    assert len(find_files(str(made)).files) == 1


def test_a_workbook_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=r"a\.xlsx: an Excel workbook, and gdpipe reads Parquet; .*pandas\.read_excel"):
        find_files(str(tmp_path / "a.xlsx"))


def test_parquet_under_another_name_is_read(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.csv")
    assert len(find_files(str(tmp_path / "a.csv")).files) == 1


def test_a_folder_of_such_files_says_how_for_the_first(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name)
    with pytest.raises(DataError, match=rf"no Parquet file found .*; {tmp_path}/a\.csv: CSV, and gdpipe reads Parquet"):
        Source.open(str(tmp_path))
