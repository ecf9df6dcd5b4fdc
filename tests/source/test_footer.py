"""Footers that Arrow would end the process over, and footers that are as they should be."""

import contextlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from gdpipe.errors import DataError
from gdpipe.source.footer import check_footer
from tests.conftest import REPO, line_columns, write_parquet

FLIPS = "from tests.source.test_footer import flip_every_bit; import sys; flip_every_bit(*sys.argv[1:])"
COUNTS = ("refused by Arrow", "refused by check_footer", "accepted")


def footer_of(content: bytes) -> bytes:
    return content[len(content) - 8 - int.from_bytes(content[-8:-4], "little") : -8]


def accept(file: Path) -> None:
    """See that a footer passes, and that Arrow can hand out what it describes."""
    check_footer(str(file), footer_of(file.read_bytes()))
    touch(pq.read_metadata(file))


def touch(metadata: pq.FileMetaData) -> None:
    """Have every column chunk handed out, where Arrow ends the process if it does not fit the schema."""
    for g in range(metadata.num_row_groups):
        for c in range(metadata.num_columns):
            metadata.row_group(g).column(c)


def outcome(content: bytes, checked: bool) -> str:
    """What becomes of a file with this content."""
    try:
        metadata = pq.read_metadata(pa.BufferReader(content))
        metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return COUNTS[0]
    try:
        if checked:
            check_footer("a file", footer_of(content))
    except DataError:
        return COUNTS[1]
    with contextlib.suppress(pa.ArrowException, OSError, ValueError, IndexError):
        touch(metadata)
    return COUNTS[2]


def flip_every_bit(path: str, checked: str) -> None:
    """In a process of its own: flip each bit of a footer in turn, and print where it is and what became of it."""
    content = Path(path).read_bytes()
    size = len(footer_of(content))
    for bit in range(8 * size):
        damaged = bytearray(content)
        damaged[len(content) - 8 - size + bit // 8] ^= 1 << bit % 8
        print(bit, end=" ", flush=True)
        print(outcome(bytes(damaged), checked == "checked"), flush=True)


def flipped(file: Path, checked: str) -> tuple[int, Counter[str], str]:
    command = [sys.executable, "-c", FLIPS, str(file), checked]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return done.returncode, Counter(line.partition(" ")[2] for line in lines), "".join(lines[-1:]) + done.stderr[-2000:]


SMALL: dict[str, dict[str, Any]] = {
    "plain": {"x": [1.5, 2.5, 3.5, 4.5], "n": [1, 2, None, 4], "s": ["a", "bc", "", "d"]},
    "nested": {"l": [[1.0], [2.0, 3.0], None, []], "r": [{"a": 1, "b": "x"}] * 4, "x": [1.0, 2.0, 3.0, 4.0]},
}


@pytest.mark.parametrize("name", SMALL)
def test_no_flipped_bit_ends_the_process(name: str, tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "small.parquet", SMALL[name], row_group_size=2, store_schema=False)
    bits = 8 * len(footer_of(file.read_bytes()))
    code, counts, last = flipped(file, "checked")
    assert code == 0, last
    assert sum(counts.values()) == bits
    assert set(counts) == set(COUNTS)  # each of the three was there to be seen
    assert counts[COUNTS[2]] > bits // 4  # a flipped statistic or byte count is for others to notice


def test_without_the_check_a_flipped_bit_does_end_it(tmp_path: Path) -> None:
    """If this one fails, Arrow no longer aborts, and check_footer can go."""
    file = write_parquet(tmp_path / "small.parquet", SMALL["plain"], row_group_size=2, store_schema=False)
    code, _, last = flipped(file, "unchecked")
    assert code < 0, last


NESTED: dict[str, pa.DataType] = {
    "list": pa.list_(pa.float64()),
    "list of texts": pa.list_(pa.string()),
    "list of lists": pa.list_(pa.list_(pa.int8())),
    "struct": pa.struct([("a", pa.int8()), ("b", pa.struct([("c", pa.string())]))]),
    "list of structs": pa.list_(pa.struct([("a", pa.int8()), ("l", pa.list_(pa.float64()))])),
    "map": pa.map_(pa.string(), pa.list_(pa.int64())),
    "fixed list": pa.list_(pa.float32(), 2),
}


def test_nested_columns_pass(tmp_path: Path) -> None:
    columns: dict[str, Any] = {name: pa.nulls(6, kind) for name, kind in NESTED.items()}
    columns |= {"l": [[1.0], [], None, [2.0], [3.0, 4.0], [5.0]], "m": pa.array([[("k", [1])]] * 6, NESTED["map"])}
    for options in ({}, {"version": "1.0"}, {"write_page_index": True}, {"write_statistics": False}):
        accept(write_parquet(tmp_path / "a.parquet", columns, row_group_size=2, **options))


def test_every_plain_type_passes(tmp_path: Path) -> None:
    kinds = [
        "bool",
        "int8",
        "uint64",
        "float16",
        "float32",
        "string",
        "binary",
        "date32",
        "timestamp[us]",
        "time64[us]",
    ]
    columns: dict[str, Any] = {kind: pa.nulls(4, pa.type_for_alias(kind)) for kind in kinds[:8]}
    columns |= {
        "t": pa.nulls(4, pa.timestamp("us", "UTC")),
        "d": pa.nulls(4, pa.decimal128(30, 2)),
        "null": pa.nulls(4),
    }
    columns |= {"cat": pa.array(["a", "b", "a", None]).dictionary_encode(), "fixed": pa.nulls(4, pa.binary(3))}
    schema = pa.schema([pa.field("required", pa.int64(), nullable=False)])
    accept(write_parquet(tmp_path / "a.parquet", columns))
    pq.write_table(pa.table({"required": [1, 2]}, schema=schema), tmp_path / "b.parquet")
    accept(tmp_path / "b.parquet")


def test_more_columns_and_row_groups_than_a_short_list_holds(tmp_path: Path) -> None:
    columns = {f"column {j}": np.arange(300.0) for j in range(150)}
    accept(write_parquet(tmp_path / "a.parquet", columns, row_group_size=15))


def test_a_file_without_rows_or_columns_passes(tmp_path: Path) -> None:
    accept(write_parquet(tmp_path / "a.parquet", {"x": np.zeros(0)}))
    accept(write_parquet(tmp_path / "b.parquet", {}))


def test_what_duckdb_writes_passes(tmp_path: Path) -> None:
    query = (
        "SELECT i AS n, i / 7 AS x, i::VARCHAR AS s, [i, 2] AS l, {'a': i, 'b': [{'c': 's'}]} AS r, MAP {'k': i} AS m"
    )
    for version in ("V1", "V2"):
        file = tmp_path / f"{version}.parquet"
        duckdb.sql(f"COPY ({query} FROM range(5000) t(i)) TO '{file}' (ROW_GROUP_SIZE 2048, PARQUET_VERSION {version})")
        accept(file)


def test_what_polars_writes_passes(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "n": range(100),
            "x": np.linspace(0, 1, 100),
            "s": ["a", None] * 50,
            "l": [[1.0], []] * 50,
            "r": [{"a": 1, "b": ["x"]}] * 100,
            "c": pl.Series(["u", "v"] * 50, dtype=pl.Categorical),
        }
    )
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=30)
    accept(tmp_path / "a.parquet")


class Keys(pe.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """Keeps no secrets: what it wraps is the key itself."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return key_bytes.hex().encode()

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        return bytes.fromhex(wrapped_key.decode())


def test_an_encrypted_column_is_refused(tmp_path: Path) -> None:
    how = pe.EncryptionConfiguration(footer_key="f", column_keys={"k": ["x2"]}, plaintext_footer=True)
    properties = pe.CryptoFactory(lambda _: Keys()).file_encryption_properties(pe.KmsConnectionConfig(), how)
    file = write_parquet(tmp_path / "a.parquet", line_columns(20), encryption_properties=properties)
    with pytest.raises(DataError, match=r"a\.parquet: row group 0: an encrypted column"):
        check_footer(str(file), footer_of(file.read_bytes()))


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.9, 0.99])
def test_half_a_footer_is_refused(kept: float, tmp_path: Path) -> None:
    footer = footer_of(write_parquet(tmp_path / "a.parquet", line_columns(20)).read_bytes())
    with pytest.raises(DataError, match="a file: a damaged Parquet footer"):
        check_footer("a file", footer[: int(len(footer) * kept)])


@pytest.mark.parametrize(
    "footer", [b"\x00", b"\xff" * 100, b"\x1c" * 5000, b"\x19\xfc" + b"\xff" * 20, b"\x1b\x7f\xcc"]
)
def test_noise_is_refused(footer: bytes) -> None:
    with pytest.raises(DataError, match="a file: a damaged Parquet footer"):
        check_footer("a file", footer)


def test_sizes_of_texts_in_a_column_of_numbers_are_refused(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", {"b": [b"a", b"bc", None]}, store_schema=False)
    footer = footer_of(file.read_bytes())
    text, number = b"\x15\x0c", b"\x15\x04"  # field 1, an i32: BYTE_ARRAY, INT64
    assert footer.count(text) == 2  # in the schema and in the column chunk
    with pytest.raises(DataError, match="row group 0: sizes of texts in a column without any"):
        check_footer("a file", footer.replace(text, number))
