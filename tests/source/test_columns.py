"""Arrow columns as float64: every numeric type, and what is missing."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gdpipe.source.columns import is_numeric, numbers

NUMERIC: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int8(), [-128, 0, 127]),
    (pa.int16(), [-32768, 0, 32767]),
    (pa.int32(), [-(2**31), 0, 2**31 - 1]),
    (pa.int64(), [-(2**63), 2**53, 5]),
    (pa.uint8(), [0, 1, 255]),
    (pa.uint16(), [0, 1, 65535]),
    (pa.uint32(), [0, 1, 2**32 - 1]),
    (pa.uint64(), [0, 2**53, 2**63]),
    (pa.float16(), [-0.5, 0.0, 65504.0]),
    (pa.float32(), [-0.5, 0.0, 3.0e38]),
    (pa.float64(), [-0.1, 0.0, 1e300]),
    (pa.bool_(), [True, False, True]),
    (pa.decimal32(9, 2), [Decimal("-1.25"), Decimal("0.00"), Decimal("9999999.75")]),
    (pa.decimal64(18, 2), [Decimal("-1.25"), Decimal("0.00"), Decimal("9999999.75")]),
    (pa.decimal128(38, 10), [Decimal("-1.25"), Decimal("0"), Decimal("12345678901234567890.5")]),
    (pa.decimal256(60, 2), [Decimal("-1.25"), Decimal("0"), Decimal("1e40")]),
    (pa.dictionary(pa.int8(), pa.int64()), [7, 9, 7]),
    (pa.dictionary(pa.int32(), pa.float64()), [0.5, 0.25, 0.5]),
]
names_of_types = [str(kind) for kind, _ in NUMERIC]


def column(kind: pa.DataType, values: list[Any]) -> pa.Array:
    if pa.types.is_float16(kind):
        values = [None if v is None else np.float16(v) for v in values]
    return pa.array(values, kind)


@pytest.mark.parametrize(("kind", "values"), NUMERIC, ids=names_of_types)
def test_every_numeric_type_becomes_the_nearest_float64(kind: pa.DataType, values: list[Any]) -> None:
    assert is_numeric(kind)
    expected = [float(np.float32(v)) if kind == pa.float32() else float(v) for v in values]
    block = numbers(pa.table({"x": column(kind, values)}), ["x"])
    assert np.array(block.columns).dtype == np.float64
    assert np.array(block.columns).tolist() == [expected]
    assert block.missing is None
    assert block.complete is None


@pytest.mark.parametrize(("kind", "values"), NUMERIC, ids=names_of_types)
def test_null_is_missing_in_every_numeric_type(kind: pa.DataType, values: list[Any]) -> None:
    expected = [float(np.float32(v)) if kind == pa.float32() else float(v) for v in values]
    block = numbers(pa.table({"x": column(kind, [values[0], None, *values[1:]])}), ["x"])
    assert block.missing is not None
    assert block.missing.tolist() == [[False, True, False, False]]
    assert np.array(block.columns).tolist() == [[expected[0], 0.0, *expected[1:]]]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_nan_is_missing_too(kind: pa.DataType) -> None:
    block = numbers(pa.table({"x": column(kind, [1.5, float("nan"), None, 2.5])}), ["x"])
    assert block.missing is not None
    assert block.missing.tolist() == [[False, True, True, False]]
    assert np.array(block.columns).tolist() == [[1.5, 0.0, 0.0, 2.5]]


@pytest.mark.parametrize("kind", [kind for kind, _ in NUMERIC], ids=names_of_types)
def test_a_column_of_nulls_alone(kind: pa.DataType) -> None:
    block = numbers(pa.table({"x": pa.nulls(3, kind)}), ["x"])
    assert block.missing is not None
    assert block.missing.all()
    assert np.array(block.columns).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("kind", [kind for kind, _ in NUMERIC], ids=names_of_types)
def test_a_column_without_rows(kind: pa.DataType) -> None:
    block = numbers(pa.table({"x": pa.array([], kind)}), ["x"])
    assert np.array(block.columns).shape == (1, 0)
    assert block.missing is None


def test_integers_beyond_2_to_53_are_rounded_once() -> None:
    values = [2**53 + 1, 2**62 + 2**9 + 1, -(2**63) + 1]
    block = numbers(pa.table({"x": pa.array(values, pa.int64())}), ["x"])
    assert np.array(block.columns).tolist() == [[float(v) for v in values]]
    block = numbers(pa.table({"x": pa.array([2**64 - 1, 2**63 + 1], pa.uint64())}), ["x"])
    assert np.array(block.columns).tolist() == [[2.0**64, 2.0**63]]


def test_infinity_stays() -> None:
    block = numbers(pa.table({"x": [float("inf"), -float("inf")]}), ["x"])
    assert np.array(block.columns).tolist() == [[float("inf"), -float("inf")]]
    assert block.missing is None


def test_several_columns_in_the_order_asked_for() -> None:
    table = pa.table({"a": [1, None, 3], "b": [4.0, 5.0, float("nan")], "c": [True, False, True], "d": [7, 8, 9]})
    block = numbers(table, ["d", "b", "a"])
    assert np.array(block.columns).tolist() == [[7, 8, 9], [4, 5, 0], [1, 0, 3]]
    assert block.missing is not None
    assert block.missing.tolist() == [[False] * 3, [False, False, True], [False, True, False]]
    assert block.complete is not None
    assert block.complete.tolist() == [True, False, False]


def test_chunks_and_slices_are_of_no_account() -> None:
    whole = pa.table({"x": [1.5, None, 3.5, float("nan"), 5.5], "b": [True, None, False, True, True]})
    chunked = pa.concat_tables([whole.slice(0, 2), whole.slice(2, 1), whole.slice(3)])
    for table in (chunked, chunked.combine_chunks().to_batches()[0], whole.slice(0, 5)):
        block = numbers(table, ["x", "b"])
        assert np.array(block.columns).tolist() == [[1.5, 0, 3.5, 0, 5.5], [1, 0, 0, 1, 1]]
        assert block.missing is not None
        assert block.missing.tolist() == [[False, True, False, True, False], [False, True, False, False, False]]
    part = numbers(whole.slice(1, 2), ["x", "b"])
    assert np.array(part.columns).tolist() == [[0, 3.5], [0, 0]]


def test_the_input_is_not_written_to() -> None:
    table = pa.table({"x": [1.0, float("nan"), 3.0]})
    numbers(table, ["x"]).columns[0][:] = 9.0
    assert str(table["x"].to_pylist()) == "[1.0, nan, 3.0]"


def test_what_need_not_be_copied_is_not() -> None:
    """And cannot be written to."""
    batch = pa.record_batch({"x": pa.array([1.0, 2.0, 3.0])})
    (x,) = numbers(batch, ["x"]).columns
    assert x.ctypes.data == batch.column("x").buffers()[1].address
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 9.0


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.binary(),
        pa.date32(),
        pa.timestamp("us"),
        pa.time64("us"),
        pa.duration("s"),
        pa.null(),
        pa.list_(pa.float64()),
        pa.struct([("a", pa.float64())]),
        pa.map_(pa.string(), pa.int64()),
        pa.dictionary(pa.int8(), pa.string()),
    ],
    ids=str,
)
def test_what_is_no_number(kind: pa.DataType) -> None:
    assert not is_numeric(kind)
