"""Buffers in and out, against what Arrow makes of the same values."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdpipe.source.arrays import nulls_of, repeated, to_arrow, to_table, values_of


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, None, -2.0], pa.float64()),
        ([1, None, 3], pa.int64()),
        ([True, False, None, True], pa.bool_()),
        (["a", "", None, "ünï", "日本"], pa.string()),
        ([["a", "b"], [], ["c"]], pa.list_(pa.string())),
        ([[]], pa.list_(pa.string())),
        ([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64())),
        ([], pa.float64()),
    ],
)
def test_values_become_what_arrow_makes_of_them(values: list[Any], kind: pa.DataType) -> None:
    made = to_arrow(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))


def test_a_matrix_becomes_a_list_a_row_and_a_mask_becomes_nulls() -> None:
    assert to_arrow(np.eye(2), pa.list_(pa.float64())).to_pylist() == [[1.0, 0.0], [0.0, 1.0]]
    missing = np.array([True, False, True])
    assert to_arrow(np.arange(3.0), pa.float64(), missing).to_pylist() == [None, 1.0, None]


@pytest.mark.parametrize(("value", "kind"), [("a/ü.parquet", pa.string()), (-7, pa.int64()), (None, pa.string())])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_repeated(value: str | int | None, kind: pa.DataType, n: int) -> None:
    made = repeated(value, kind, n)
    made.validate(full=True)
    assert made.equals(pa.array([value] * n, kind))


@given(st.lists(st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)), max_size=40), st.integers(0, 9))
def test_values_and_nulls_of_slices(values: list[int | None], start: int) -> None:
    for kind in (pa.int32(), pa.int64(), pa.float64()):
        column = pa.array(values, kind)[start:]
        nulls = nulls_of(column)
        there = [v is None for v in values[start:]]
        assert (nulls is None and not any(there)) or (nulls is not None and nulls.tolist() == there)
        if len(column):
            kept = [v for v, gone in zip(values_of(column).tolist(), there, strict=True) if not gone]
            assert kept == [v for v in values[start:] if v is not None]


def test_columns_are_matched_to_a_schema_by_name() -> None:
    schema = pa.schema([("b", pa.int64()), ("a", pa.string())], metadata={"k": "v"})
    table = to_table({"a": ["x"], "b": [1]}, schema)
    assert table.schema.equals(schema, check_metadata=True)
    assert table.to_pylist() == [{"b": 1, "a": "x"}]
