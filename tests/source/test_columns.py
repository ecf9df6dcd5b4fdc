"""Arrow columns as numbers, every type of them, as categories and as parts of dates; and what is missing."""

import datetime
import math
import zoneinfo
from collections import defaultdict
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gdpipe.design import Coded, Input, LevelKind
from gdpipe.errors import DataError
from gdpipe.source.categories import LastLabels
from gdpipe.source.columns import Block, column_kind, is_numeric, read_columns

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


def numbers_of(table: pa.RecordBatch | pa.Table, names: list[str]) -> Block:
    return read_columns(table, [*map(Input, names)])


def column(kind: pa.DataType, values: list[Any]) -> pa.Array:
    if pa.types.is_float16(kind):
        values = [None if v is None else np.float16(v) for v in values]
    return pa.array(values, kind)


@pytest.mark.parametrize(("kind", "values"), NUMERIC, ids=names_of_types)
def test_every_numeric_type_becomes_the_nearest_float64(kind: pa.DataType, values: list[Any]) -> None:
    assert is_numeric(kind)
    expected = [float(np.float32(v)) if kind == pa.float32() else float(v) for v in values]
    block = numbers_of(pa.table({"x": column(kind, values)}), ["x"])
    assert np.array(block.numbers).dtype == np.float64
    assert np.array(block.numbers).tolist() == [expected]
    assert block.missing is None
    assert block.complete is None


@pytest.mark.parametrize(("kind", "values"), NUMERIC, ids=names_of_types)
def test_null_is_missing_in_every_numeric_type(kind: pa.DataType, values: list[Any]) -> None:
    expected = [float(np.float32(v)) if kind == pa.float32() else float(v) for v in values]
    block = numbers_of(pa.table({"x": column(kind, [values[0], None, *values[1:]])}), ["x"])
    assert block.missing is not None
    assert block.missing.tolist() == [[False, True, False, False]]
    assert np.array(block.numbers).tolist() == [[expected[0], 0.0, *expected[1:]]]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_nan_is_missing_too(kind: pa.DataType) -> None:
    block = numbers_of(pa.table({"x": column(kind, [1.5, float("nan"), None, 2.5])}), ["x"])
    assert block.missing is not None
    assert block.missing.tolist() == [[False, True, True, False]]
    assert np.array(block.numbers).tolist() == [[1.5, 0.0, 0.0, 2.5]]


@pytest.mark.parametrize("kind", [kind for kind, _ in NUMERIC], ids=names_of_types)
def test_a_column_of_nulls_alone(kind: pa.DataType) -> None:
    block = numbers_of(pa.table({"x": pa.nulls(3, kind)}), ["x"])
    assert block.missing is not None
    assert block.missing.all()
    assert np.array(block.numbers).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("kind", [kind for kind, _ in NUMERIC], ids=names_of_types)
def test_a_column_without_rows(kind: pa.DataType) -> None:
    block = numbers_of(pa.table({"x": pa.array([], kind)}), ["x"])
    assert np.array(block.numbers).shape == (1, 0)
    assert block.missing is None


def test_integers_beyond_2_to_53_are_rounded_once() -> None:
    values = [2**53 + 1, 2**62 + 2**9 + 1, -(2**63) + 1]
    block = numbers_of(pa.table({"x": pa.array(values, pa.int64())}), ["x"])
    assert np.array(block.numbers).tolist() == [[float(v) for v in values]]
    block = numbers_of(pa.table({"x": pa.array([2**64 - 1, 2**63 + 1], pa.uint64())}), ["x"])
    assert np.array(block.numbers).tolist() == [[2.0**64, 2.0**63]]


def test_infinity_stays() -> None:
    block = numbers_of(pa.table({"x": [float("inf"), -float("inf")]}), ["x"])
    assert np.array(block.numbers).tolist() == [[float("inf"), -float("inf")]]
    assert block.missing is None


def test_several_columns_in_the_order_asked_for() -> None:
    table = pa.table({"a": [1, None, 3], "b": [4.0, 5.0, float("nan")], "c": [True, False, True], "d": [7, 8, 9]})
    block = numbers_of(table, ["d", "b", "a"])
    assert np.array(block.numbers).tolist() == [[7, 8, 9], [4, 5, 0], [1, 0, 3]]
    assert block.missing is not None
    assert block.missing.tolist() == [[False] * 3, [False, False, True], [False, True, False]]
    assert block.complete is not None
    assert block.complete.tolist() == [True, False, False]


def test_chunks_and_slices_are_of_no_account() -> None:
    whole = pa.table({"x": [1.5, None, 3.5, float("nan"), 5.5], "b": [True, None, False, True, True]})
    chunked = pa.concat_tables([whole.slice(0, 2), whole.slice(2, 1), whole.slice(3)])
    for table in (chunked, chunked.combine_chunks().to_batches()[0], whole.slice(0, 5)):
        block = numbers_of(table, ["x", "b"])
        assert np.array(block.numbers).tolist() == [[1.5, 0, 3.5, 0, 5.5], [1, 0, 0, 1, 1]]
        assert block.missing is not None
        assert block.missing.tolist() == [[False, True, False, True, False], [False, True, False, False, False]]
    part = numbers_of(whole.slice(1, 2), ["x", "b"])
    assert np.array(part.numbers).tolist() == [[0, 3.5], [0, 0]]


def test_the_input_is_not_written_to() -> None:
    table = pa.table({"x": [1.0, float("nan"), 3.0]})
    numbers_of(table, ["x"]).numbers[0][:] = 9.0
    assert str(table["x"].to_pylist()) == "[1.0, nan, 3.0]"


def test_what_need_not_be_copied_is_not() -> None:
    """And cannot be written to."""
    batch = pa.record_batch({"x": pa.array([1.0, 2.0, 3.0])})
    (x,) = numbers_of(batch, ["x"]).numbers
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


# categories


def labels_of(
    kind: pa.DataType | pa.Array, values: list[Any] | None, levels: LevelKind, part: str | None = None
) -> list[str | None]:
    """The label of each row, None where it is missing."""
    array = kind if isinstance(kind, pa.Array) else column(kind, values or [])
    block = read_columns(pa.table({"x": array}), [Input("x", part, levels)])
    [coded] = block.columns
    assert isinstance(coded, Coded)
    assert len(set(coded.labels)) == len(coded.labels) > 0 or not len(array)
    assert coded.codes.dtype == np.intp
    assert ((coded.codes >= 0) & (coded.codes < max(len(coded.labels), 1))).all()
    missing = [False] * len(array) if block.missing is None else block.missing[0].tolist()
    return [None if gap else coded.labels[code] for code, gap in zip(coded.codes.tolist(), missing, strict=True)]


def test_batches_after_each_other_have_the_labels_that_each_has_alone() -> None:
    places = pa.array([0, 1, None, 1], pa.int32())
    dictionaries = [
        pa.array(["AA", "UA"]),
        pa.array(["AA", "UA"]),
        pa.array(["UA", "AA"]),
        pa.array(["AA", None]),
        pa.array(["AA", None]),
        pa.array([0.0, -0.0]),
        pa.array([0.0, math.nan]),
        pa.array([0, 7], pa.int64()),
        pa.array(["AA", "UA"]),
    ]
    last = defaultdict[Input, LastLabels](LastLabels)
    found = []
    for values in dictionaries:
        table = pa.table({"x": pa.DictionaryArray.from_arrays(places, values)})
        levels: LevelKind = "text" if values.type == pa.string() else "number"
        of_asked = Input("x", None, levels), Input("x", None, "text")  # two of one column
        asked = of_asked if levels == "text" else of_asked[:1]
        after, alone = read_columns(table, asked, last), read_columns(table, asked)
        for one, other in zip(after.columns, alone.columns, strict=True):
            assert isinstance(one, Coded)
            assert isinstance(other, Coded)
            assert (one.labels, one.codes.tolist()) == (other.labels, other.codes.tolist())
            found.append(one.labels)
        assert np.array_equal(np.array(after.missing), np.array(alone.missing))
    assert found[0] is found[2]  # those that come again are not made again
    of_kinds = LastLabels()
    flags = pa.array([True, False])
    assert [of_kinds.of(flags, kind).labels for kind in ("boolean", "number")] == [("true", "false"), ("1", "0")]


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()],
    ids=str,
)
def test_a_number_has_one_label_in_every_type(kind: pa.DataType) -> None:
    assert labels_of(kind, [5, None, 7, 5], "number") == ["5", None, "7", "5"]


@pytest.mark.parametrize(
    "kind", [pa.decimal32(9, 2), pa.decimal64(18, 2), pa.decimal128(38, 2), pa.decimal256(60, 2)], ids=str
)
def test_decimals_have_the_labels_of_the_nearest_floats(kind: pa.DataType) -> None:
    values = [Decimal("5.00"), None, Decimal("0.10"), Decimal("-0.00"), Decimal("5")]
    assert labels_of(kind, values, "number") == ["5", None, "0.1", "0", "5"]


def test_labels_of_large_and_strange_numbers() -> None:
    assert labels_of(pa.int64(), [2**53 + 1, -(2**63)], "number") == ["9007199254740993", "-9223372036854775808"]
    assert labels_of(pa.decimal256(60, 2), [Decimal(10**40)], "number") == [str(10**40)]
    strange = [-0.0, float("nan"), 0.0, float("inf"), None, 0.1]
    assert labels_of(pa.float64(), strange, "number") == ["0", None, "0", "inf", None, "0.1"]
    near = [Decimal("0.1000000000000000000001"), Decimal("0.1")]  # two decimals of one float64
    assert labels_of(pa.decimal128(38, 22), near, "number") == ["0.1", "0.1"]


def test_booleans_are_false_and_true_or_0_and_1() -> None:
    assert labels_of(pa.bool_(), [True, None, False], "boolean") == ["true", None, "false"]
    assert labels_of(pa.bool_(), [True, None, False], "number") == ["1", None, "0"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_text_is_its_own_label(kind: pa.DataType) -> None:
    values = ["b", None, "", "é\n'", "b"]
    assert labels_of(kind, values, "text") == values


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_dates_are_their_iso_text(kind: pa.DataType) -> None:
    day = datetime.date(2024, 1, 5)
    assert labels_of(kind, [day, None, datetime.date(1, 12, 31)], "text") == ["2024-01-05", None, "0001-12-31"]


def test_dictionaries_of_anything() -> None:
    def of(values: list[Any], codes: list[int | None]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(values))

    assert labels_of(of(["b", "a", "b", None], [3, 0, 1, 2, None]), None, "text") == [None, "b", "a", "b", None]
    assert labels_of(of([5.0, 7.5], [1, 0]), None, "number") == ["7.5", "5"]
    assert labels_of(of([True, False], [1, 0]), None, "boolean") == ["false", "true"]
    many = pa.DictionaryArray.from_arrays(pa.array([70, None, 3], pa.int8()), pa.array([f"l{i}" for i in range(100)]))
    assert labels_of(many, None, "text") == ["l70", None, "l3"]
    assert labels_of(many[1:], None, "text") == [None, "l3"]
    chunks = pa.chunked_array([pa.array(["b", "a"]).dictionary_encode(), pa.array(["c", "b"]).dictionary_encode()])
    assert labels_of(chunks.combine_chunks(), None, "text") == ["b", "a", "c", "b"]


def test_a_category_without_values() -> None:
    levels: LevelKind
    for kind in (pa.string(), pa.null(), pa.dictionary(pa.int8(), pa.string()), pa.int32()):
        for levels in ("text", "number"):
            assert labels_of(pa.nulls(2, kind), None, levels) == [None, None]
            assert labels_of(pa.nulls(0, kind), None, levels) == []
    for nan in (pa.array([math.nan] * 2), pa.array([math.nan] * 2).dictionary_encode()):
        assert labels_of(nan, None, "number") == [None, None]


def test_text_that_is_not_utf_8_is_an_error_that_names_the_column() -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")])
    with pytest.raises(DataError, match="column 'x': holds text that is not UTF-8"):
        labels_of(bad, None, "text")


# parts of dates

MOMENTS = [
    datetime.datetime(2024, 2, 29, 23, 30),
    None,
    datetime.datetime(1969, 12, 31, 6),
    datetime.datetime(2000, 1, 3),
]
# by pandas, in which Monday is 0, too
PARTS = {
    "year": [2024, None, 1969, 2000],
    "month": [2, None, 12, 1],
    "day": [29, None, 31, 3],
    "weekday": [3, None, 2, 0],
    "hour": [23, None, 6, 0],
    "days": [19782 + 23.5 / 24, None, -0.75, 10959],
}


def part_of(array: pa.Array, part: str) -> list[float | None]:
    block = read_columns(pa.table({"t": array}), [Input("t", part)])
    assert block.missing is None or block.missing.shape == (1, len(array))
    missing = [False] * len(array) if block.missing is None else block.missing[0].tolist()
    return [None if gap else value for value, gap in zip(block.numbers[0].tolist(), missing, strict=True)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parts_of_a_timestamp_in_any_unit(unit: Any) -> None:
    array = pa.array(MOMENTS, pa.timestamp(unit))
    assert {part: part_of(array, part) for part in PARTS} == PARTS
    assert part_of(array[2:], "hour") == [6, 0]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_parts_of_a_date(kind: pa.DataType) -> None:
    array = pa.array([None if moment is None else moment.date() for moment in MOMENTS], kind)
    for part in ("year", "month", "day", "weekday"):
        assert part_of(array, part) == PARTS[part]
    assert part_of(array, "days") == [19782, None, -1, 10959]
    assert part_of(array.dictionary_encode(), "month") == PARTS["month"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "UTC", "+05:30"])
def test_parts_are_those_of_the_columns_zone(zone: str) -> None:
    instants = pa.array(MOMENTS, pa.timestamp("us")).cast(pa.timestamp("us", zone))
    local = [None if m is None else m.replace(tzinfo=datetime.UTC).astimezone(zone_of(zone)) for m in MOMENTS]
    for part in ("year", "month", "day", "weekday", "hour"):
        expected = [None if m is None else m.weekday() if part == "weekday" else getattr(m, part) for m in local]
        assert part_of(instants, part) == expected
    naive = pa.array([None if m is None else m.replace(tzinfo=None) for m in local], pa.timestamp("ns"))
    assert part_of(instants, "days") == part_of(naive, "days")


def test_days_are_the_same_bits_in_any_unit() -> None:
    milliseconds = np.random.default_rng(17).integers(-(10**12), 9 * 10**12, 2000)
    instants = pa.array(milliseconds, pa.timestamp("ms"))
    for unit in ("us", "ns"):
        assert part_of(instants.cast(pa.timestamp(unit)), "days") == part_of(instants, "days")


def zone_of(zone: str) -> datetime.tzinfo:
    return datetime.timezone(datetime.timedelta(hours=5, minutes=30)) if zone == "+05:30" else zoneinfo.ZoneInfo(zone)


def test_a_part_as_a_category_and_of_nothing() -> None:
    array = pa.array(MOMENTS, pa.timestamp("us"))
    assert labels_of(array, None, "number", "weekday") == ["3", None, "2", "0"]
    assert labels_of(array, None, "number", "days")[2:] == ["-0.75", "10959"]
    assert part_of(pa.nulls(2), "month") == [None, None]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        *((kind, "number") for kind, _ in NUMERIC if kind != pa.bool_()),
        (pa.bool_(), "boolean"),
        *((kind, "text") for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()))),
        *((kind, "date") for kind in (pa.date32(), pa.date64())),
        *((kind, "time") for kind in (pa.timestamp("s"), pa.timestamp("ns", "UTC"))),
        *((kind, "other") for kind in (pa.binary(), pa.time64("us"), pa.duration("s"), pa.null(), pa.list_(pa.int8()))),
    ],
    ids=str,
)
def test_what_a_column_can_become(kind: pa.DataType, expected: str) -> None:
    assert column_kind(kind) == expected
