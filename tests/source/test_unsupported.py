"""What other readers take is read; what PyArrow cannot read is called unsupported, not damaged."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from gdpipe.errors import DataError
from gdpipe.source.source import Source
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.runs import train
from tests.source.test_footer import Keys, footer_of

ROWS = 40  # fewer than 64, so that their count is one byte of a footer


def patched(file: Path, old: bytes, new: bytes, times: int) -> Path:
    """A file with other bytes in its footer."""
    content = file.read_bytes()
    footer = footer_of(content)
    assert footer.count(old) == times
    at = len(content) - 8 - len(footer)
    footer = footer.replace(old, new)
    file.write_bytes(content[:at] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return file


def plain(path: Path, **options: Any) -> Path:
    return write_parquet(path, line_columns(ROWS), use_dictionary=False, store_schema=False, **options)


# what is read


def test_a_footer_that_counts_no_rows_though_its_groups_do(tmp_path: Path) -> None:
    whole = plain(tmp_path / "whole" / "a.parquet")
    # field 3 of the footer, an i64, after the list of the schema's elements
    zero = patched(plain(tmp_path / "zero" / "a.parquet"), b"\x16\x50\x19", b"\x16\x00\x19", 1)
    assert pq.read_metadata(zero).num_rows == 0
    assert duckdb.read_parquet(str(zero)).count("y").fetchall() == [(ROWS,)]
    filters = [["x1", ">", 0.0]]
    for settings in ({}, {"filters": filters}):
        expected = train(whole, tmp_path / "runs", force=True, **settings)
        found = train(zero, tmp_path / "runs", force=True, **settings)
        assert found.manifest["rows"] == expected.manifest["rows"]
        assert found.parameters["estimate"].tolist() == expected.parameters["estimate"].tolist()
    assert gdpipe_cli("plan", zero, "--target", "y").code == 0


def test_a_footer_that_counts_other_rows_than_its_groups_is_damaged(tmp_path: Path) -> None:
    file = patched(plain(tmp_path / "a.parquet"), b"\x16\x50\x19", b"\x16\x52\x19", 1)
    with pytest.raises(DataError, match=r"a damaged Parquet footer \(41 rows, 40 in row groups\)"):
        Source.open(str(file))


@pytest.mark.parametrize("statistics", [True, False])
def test_row_groups_without_rows(statistics: bool, tmp_path: Path) -> None:
    table = pa.table(line_columns(ROWS))
    (tmp_path / "data").mkdir()
    with pq.ParquetWriter(tmp_path / "data" / "a.parquet", table.schema, write_statistics=statistics) as writer:
        for part in (table[:0], table[:25], table[:0], table[25:], table[:0]):
            writer.write_table(part)
    assert 0 in Source.open(str(tmp_path / "data")).files[0].group_rows
    write_parquet(tmp_path / "whole.parquet", line_columns(ROWS))
    found = train(tmp_path / "data", tmp_path / "a", key=["x2"])
    expected = train(tmp_path / "whole.parquet", tmp_path / "b", key=["x2"])
    assert found.predictions.equals(expected.predictions)


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_each_codec_that_pyarrow_has(codec: str, tmp_path: Path) -> None:
    file = plain(tmp_path / "a.parquet", compression=codec)
    assert train(file, tmp_path / "runs").manifest["rows"]["used"] == ROWS


# what is not


@pytest.mark.parametrize(
    ("codec", "says"),
    [
        (3, "a column is compressed with LZO, which PyArrow cannot read; write it with zstd or snappy"),
        (9, "a column is compressed with codec 9, which PyArrow does not know; write it with zstd or snappy"),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_a_codec_that_pyarrow_has_not(codec: int, says: str, statistics: bool, tmp_path: Path) -> None:
    file = plain(tmp_path / "a.parquet", compression="zstd", write_statistics=statistics)
    patched(file, b"\x02x1\x15\x0c", b"\x02x1\x15" + bytes([2 * codec]), 1)
    for command in (["train", file, "--output", tmp_path / "runs"], ["plan", file]):
        done = gdpipe_cli(*command, "--target", "y")
        assert done.code == 3
        assert done.err.startswith(f"gdpipe: {file}"), done.err
        assert says in done.err
        assert "damaged" not in done.err
        assert done.err.count("\n") == 1
    # a column that nobody asks for need not be readable
    assert train(file, tmp_path / "runs", features=["x2"]).manifest["rows"]["used"] == ROWS


def test_an_encoding_that_pyarrow_has_not(tmp_path: Path) -> None:
    file = plain(tmp_path / "a.parquet", compression="none")
    # the first page's header: 40 values, and their encoding, here 10
    file.write_bytes(file.read_bytes().replace(b"\x2c\x15\x50\x15\x00", b"\x2c\x15\x50\x15\x14", 1))
    with pytest.raises(DataError, match=r"a\.parquet.*: a column is encoded in a way that PyArrow does not know"):
        train(file, tmp_path / "runs")


def test_a_type_that_pyarrow_has_not(tmp_path: Path) -> None:
    file = patched(plain(tmp_path / "a.parquet"), b"\x15\x0a\x25\x02\x18\x02x1", b"\x15\x12\x25\x02\x18\x02x1", 1)
    with pytest.raises(DataError, match=r"a\.parquet: a column of a type that PyArrow does not know"):
        Source.open(str(file))


@pytest.mark.parametrize("name", ["a.parquet", "000000_0"])
@pytest.mark.parametrize("plaintext_footer", [True, False])
def test_encrypted_files(plaintext_footer: bool, name: str, tmp_path: Path) -> None:
    how = pe.EncryptionConfiguration(footer_key="f", column_keys={"k": ["x2"]}, plaintext_footer=plaintext_footer)
    properties = pe.CryptoFactory(lambda _: Keys()).file_encryption_properties(pe.KmsConnectionConfig(), how)
    file = tmp_path / "data" / name
    write_parquet(file, {"x2": np.arange(9.0)}, encryption_properties=properties)
    for location in (file, file.parent):
        with pytest.raises(DataError, match=rf"{name}: .*an encrypted .*, which gdpipe cannot read; write it unencr"):
            Source.open(str(location))
