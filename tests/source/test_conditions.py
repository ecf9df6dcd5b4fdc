"""Filters mean what a plain evaluation in Python means, row by row, whatever the footers say.

A small sample in `make test`; `make fuzz` sets GDPIPE_FUZZ=2000, which makes 20,000 cases here.
"""

import datetime as dt
import math
import operator as op
import os
import tempfile
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gdpipe.errors import ConfigError, SchemaError
from gdpipe.source.budget import Budget
from gdpipe.source.scan import ROW, read, shards
from gdpipe.source.source import Source
from tests.conftest import write_parquet

CASES = 10 * int(os.environ.get("GDPIPE_FUZZ", "30"))
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": op.eq,
    "==": op.eq,
    "!=": op.ne,
    "<": op.lt,
    "<=": op.le,
    ">": op.gt,
    ">=": op.ge,
}
EPOCH = dt.datetime(1970, 1, 1)
NEW_YORK = dt.timezone(dt.timedelta(hours=-5))
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Kind:
    """A type of column: its values, what may be written to compare with, and both as Python compares them."""

    def __init__(
        self,
        kind: pa.DataType,
        values: st.SearchStrategy[Any],
        literals: st.SearchStrategy[Any],
        of_value: Callable[[Any], Any] = lambda value: value,
        of_literal: Callable[[Any], Any] = lambda literal: literal,
        make: Callable[[list[Any]], pa.Array] | None = None,
    ) -> None:
        self.kind, self.values, self.literals = kind, values, literals
        self.of_value, self.of_literal = of_value, of_literal
        self.make = make or (lambda values: pa.array(values, kind))


def integers(kind: pa.DataType) -> Kind:
    info = np.iinfo(kind.to_pandas_dtype())
    least, most = int(info.min), int(info.max)
    near = st.sampled_from([least, least + 1, most - 1, most])
    values = st.integers(max(least, -3), 3) | near | st.integers(least, most)
    beyond = st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**30, 0.5, -0.5, 1.7e9, 1e300, math.inf, -math.inf, -0.0])
    return Kind(kind, values, values | beyond | st.floats(-4, 4), Fraction, rational)


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def rational(number: Any) -> Any:
    return number if isinstance(number, float) and math.isinf(number) else Fraction(number)


def floats(kind: pa.DataType) -> Kind:
    dtype = kind.to_pandas_dtype()
    width = dtype(0).itemsize * 8
    special = st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, float(np.finfo(dtype).max), 1.0, -1.0])
    values = st.sampled_from([float(dtype(v)) for v in (0.1, 0.2, 0.3, 30.5)]) | special | st.floats(width=width)
    literals = st.sampled_from([0.1, 0.2, 0.3, 0, -0.0, 1, 30.5, 1e39, -(10**400), 2**53 + 1, math.inf]) | values

    def nearest(literal: Any) -> Any:
        if width == 64:
            return rational(literal)
        with np.errstate(over="ignore"):
            near = float(dtype(float(literal) if abs(literal) < 1e308 else math.inf if literal > 0 else -math.inf))
        # what overflows is not infinite for that
        return rational(literal) if math.isinf(near) and literal != near else near

    def array(given: list[Any]) -> pa.Array:
        return pa.array([None if v is None else dtype(v) for v in given], kind)

    not_nan = literals.filter(lambda literal: not is_nan(literal))
    return Kind(kind, values, not_nan, lambda v: None if math.isnan(v) else v, nearest, array)


def decimals(kind: pa.DataType) -> Kind:
    most = Decimal(10 ** min(kind.precision, 18) - 1).scaleb(-kind.scale)
    values = st.decimals(-most, most, places=kind.scale) | st.sampled_from([Decimal(0), most, -most])
    literals = st.sampled_from([6, "6.10", 6.0, 0.1, "-0.0", 10**50, 1e300, Decimal("1.5"), 0]) | values
    return Kind(kind, values, literals, Fraction, lambda literal: Fraction(Decimal(str(literal))))


def texts(kind: pa.DataType) -> Kind:
    words = st.text(max_size=3) | st.sampled_from(["", "a", "b", "aa", "Z", "é", "z", "\U0001f600", "￿"])
    words = words.filter(lambda word: word.isprintable() or word == "")
    if pa.types.is_dictionary(kind):
        return Kind(kind, words, words, make=lambda values: pa.array(values, pa.string()).dictionary_encode())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return Kind(kind, words.map(str.encode), words, of_literal=str.encode)
    return Kind(kind, words, words)


def instants(unit: str, zone: str | None = None) -> Kind:
    far = st.sampled_from(
        [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999), dt.datetime(1970, 1, 1)]
    )
    near = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 3))
    days = st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 3))
    per = PER_SECOND[unit]
    counts = st.integers(1767225600 * per, 1767225600 * per + 3 * 86400 * per) | st.integers(-(2**62), 2**62)
    if unit == "s":  # Parquet has no seconds: Arrow writes milliseconds
        counts = st.integers(1767225600, 1767225600 + 3 * 86400) | st.integers(-(2**40), 2**40)
    moments = near | far | near.map(lambda moment: moment.replace(microsecond=0))
    if zone:
        moments |= near.map(lambda moment: moment.replace(tzinfo=dt.UTC))
        moments |= near.map(lambda moment: moment.replace(tzinfo=NEW_YORK))
        # to Arrow's zone of a fixed offset, so that no daylight saving time needs be known here
        zone = "-05:00"
    written = moments.map(lambda moment: moment.isoformat()) | moments.map(str)

    def seconds(literal: Any) -> Fraction:
        moment = dt.datetime.fromisoformat(str(literal))
        if moment.tzinfo is None and zone:
            moment = moment.replace(tzinfo=NEW_YORK)
        if moment.tzinfo is not None:
            offset = moment.utcoffset() or dt.timedelta()
            since = moment.replace(tzinfo=None) - EPOCH - offset
        else:
            since = moment - EPOCH
        return Fraction(since // dt.timedelta(microseconds=1), 10**6)

    def array(given: list[Any]) -> pa.Array:
        return pa.array(given, pa.int64()).cast(pa.timestamp(unit, zone))

    return Kind(pa.timestamp(unit, zone), counts, moments | written | days, lambda v: Fraction(v, per), seconds, array)


def days(kind: pa.DataType) -> Kind:
    values = st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 5)) | st.sampled_from(
        [dt.date(1, 1, 1), dt.date(9999, 12, 31)]
    )
    moments = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 5))
    literals = values | values.map(str) | moments | moments.map(str) | values.map(np.datetime64)
    midnight = dt.time()
    return Kind(
        kind,
        values,
        literals,
        lambda day: dt.datetime.combine(day, midnight),
        lambda literal: dt.datetime.fromisoformat(str(literal)),
    )


TIMES = st.times().map(lambda time: time.replace(microsecond=0)) | st.sampled_from([dt.time(), dt.time(23, 59, 59)])
CODES = pa.dictionary(pa.int32(), pa.string())
KINDS = [
    *(integers(pa.type_for_alias(f"{sign}int{bits}")) for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *(floats(kind) for kind in (pa.float16(), pa.float32(), pa.float64())),
    *(decimals(pa.decimal128(*digits)) for digits in ((9, 2), (38, 18), (4, 0))),
    *(decimals(kind) for kind in (pa.decimal32(6, 2), pa.decimal64(12, 3), pa.decimal256(50, 0))),
    *(texts(kind) for kind in (pa.string(), pa.large_string(), pa.string_view(), CODES)),
    *(texts(kind) for kind in (pa.binary(), pa.large_binary())),
    *(instants(unit) for unit in PER_SECOND),
    *(instants(unit, "zone") for unit in ("ms", "us", "ns")),
    *(days(kind) for kind in (pa.date32(), pa.date64())),
    Kind(pa.bool_(), st.booleans(), st.sampled_from([True, False, 0, 1, 0.5, 2]), int, Fraction),
    Kind(pa.time32("s"), TIMES, TIMES | TIMES.map(str), of_literal=lambda t: dt.time.fromisoformat(str(t))),
    Kind(pa.time64("ns"), TIMES, TIMES | TIMES.map(str), of_literal=lambda t: dt.time.fromisoformat(str(t))),
    Kind(pa.null(), st.none(), st.integers() | st.text("ab")),
]


def passes(kind: Kind, value: Any, operator: str, literal: Any) -> bool:
    """What a condition says of a value: a null passes `is null` and nothing else."""
    value = None if value is None else kind.of_value(value)
    if operator in {"is null", "is not null"}:
        return (value is None) == (operator == "is null")
    if value is None:
        return False
    if operator in {"in", "not in"}:
        return any(value == kind.of_literal(each) for each in literal) == (operator == "in")
    return COMPARE[operator](value, kind.of_literal(literal))


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Kind], list[list[Any]], list[list[list[Any]]], int, bool]:
    """Columns, their values, filters, rows a row group, and whether there are statistics."""
    kinds = [draw(st.sampled_from(KINDS)) for _ in range(draw(st.sampled_from([1, 1, 2])))]
    n = draw(st.integers(1, 10))
    columns = []
    for kind in kinds:
        often = draw(st.sampled_from([0, 0, 1, 3]))
        # few different values, so that row groups of one value are common
        pool = draw(st.lists(kind.values, min_size=1, max_size=3)) if draw(st.booleans()) else None
        values = st.sampled_from(pool) if pool else kind.values
        columns.append(draw(st.lists(st.one_of(*[values] * 4, *[st.none()] * often), min_size=n, max_size=n)))
    groups = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        group = []
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            at = draw(st.integers(0, len(kinds) - 1))
            operator = draw(st.sampled_from([*COMPARE, "in", "not in", "is null", "is not null"]))
            there = [
                v for v in columns[at] if v is not None and kinds[at].kind in (pa.int64(), pa.string(), pa.float64())
            ]
            literals = kinds[at].literals
            literals = literals | st.sampled_from(there).filter(lambda v: not is_nan(v)) if there else literals
            many = operator in {"in", "not in"}
            value = draw(st.lists(literals, max_size=3)) if many else draw(literals)
            group.append([f"c{at}", operator, *([] if "null" in operator else [value])])
        groups.append(group)
    return kinds, columns, groups, draw(st.integers(1, n)), draw(st.booleans())


def rows_that_pass(path: Path, filters: Any) -> list[int]:
    source = Source.open(str(path), filters)
    batches = [batch for shard in shards(source, 1) for batch in read(source, shard, [], Budget(4))]
    return [row for batch in batches for row in batch.column(ROW).to_pylist()]


FLOAT64 = next(kind for kind in KINDS if kind.kind == pa.float64())
FLOAT32 = next(kind for kind in KINDS if kind.kind == pa.float32())


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@example(([FLOAT64], [[0.0, -0.0, 1.0]], [[["c0", "in", [0]]]], 1, True))
@example(([FLOAT64], [[5.0, math.nan]], [[["c0", "!=", 5]]], 2, True))
@example(([FLOAT32], [[float(np.float32(0.1))] * 3], [[["c0", "<=", 0.1]]], 3, True))
@given(cases())
def test_rows_pass_as_python_says(case: Any) -> None:
    kinds, columns, groups, group_rows, statistics = case
    table = pa.table({f"c{i}": kind.make(values) for i, (kind, values) in enumerate(zip(kinds, columns, strict=True))})
    expected = [
        row
        for row in range(len(columns[0]))
        if any(
            all(passes(kinds[int(c[1])], columns[int(c[1])][row], how, *(value or [None])) for c, how, *value in group)
            for group in groups
        )
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        pq.write_table(table, path, row_group_size=group_rows, write_statistics=statistics)
        assert rows_that_pass(path, groups) == expected


# partitions


@pytest.mark.parametrize(
    ("condition", "passing"),
    [
        ("day = '2026-01-03'", ["2026-01-03"]),
        ("day >= '2026-01-03'", ["2026-01-03", "2026-01-04"]),
        ([["day", "in", [dt.date(2026, 1, 1), "2026-01-04"]]], ["2026-01-01", "2026-01-04"]),
        ("day IS NULL", [None]),
        ("day <> '2026-01-03'", ["2026-01-01", "2026-01-04"]),
        ("NOT day IN ('2026-01-03')", ["2026-01-01", "2026-01-04"]),
    ],
)
def test_a_partition_of_days(condition: Any, passing: list[str | None], tmp_path: Path) -> None:
    for name in ("2026-01-01", "2026-01-03", "2026-01-04", "__HIVE_DEFAULT_PARTITION__"):
        write_parquet(tmp_path / f"day={name}" / "a.parquet", {"x": [1.0]})
    source = Source.open(str(tmp_path), condition)
    assert [f.partition["day"] for f in source.files if f.wanted_groups] == passing
    assert not any(f.filtered for f in source.files if f.wanted_groups)


@pytest.mark.parametrize(
    ("condition", "passing"),
    [
        ("n <= 1.5", [1]),
        ("n > -0.5 AND n <> 1", [2, 30]),
        ([["n", "in", [30.0, 7]]], [30]),
        ("n IS NOT NULL", [1, 2, 30]),
    ],
)
def test_a_partition_of_numbers(condition: Any, passing: list[int], tmp_path: Path) -> None:
    for name in ("1", "2", "30", "__HIVE_DEFAULT_PARTITION__"):
        write_parquet(tmp_path / f"n={name}" / "a.parquet", {"x": [1.0]})
    assert [f.partition["n"] for f in Source.open(str(tmp_path), condition).files if f.wanted_groups] == passing


def test_a_column_that_the_partition_rules_out_need_not_be_there(tmp_path: Path) -> None:
    write_parquet(tmp_path / "year=2025" / "a.parquet", {"x": [1.0]})
    write_parquet(tmp_path / "year=2026" / "a.parquet", {"x": [1.0, 2.0], "kind": ["a", "b"]})
    source = Source.open(str(tmp_path), "year = 2026 AND kind = 'a'")
    assert [len(f.wanted_groups) for f in source.files] == [0, 1]
    source = Source.open(str(tmp_path), "year = 2025 AND x > 0 OR year = 2026 AND kind = 'a'")
    found = [b.num_rows for shard in shards(source, 1) for b in read(source, shard, ["x"], Budget(4))]
    assert found == [1, 1]
    with pytest.raises(SchemaError, match=r"year=2025/a\.parquet: filter column 'kind' is not there"):
        Source.open(str(tmp_path), "kind = 'a'")


# what cannot be compared


@pytest.mark.parametrize(
    ("kind", "value", "remedy"),
    [
        (pa.int64(), "5", "write a number without quotes"),
        (pa.float64(), "2024-01-05", "write a number without quotes"),
        (pa.bool_(), "true", "write true or false"),
        (pa.string(), 5, "write a text: '5'"),
        (pa.decimal128(9, 2), "six", "write a number, such as 6.10"),
        (pa.date32(), 20240105, "write a date as text: '2024-01-05'"),
        (pa.date32(), "2024-13-05", "write a date as text"),
        (pa.timestamp("us"), "yesterday", "write a time as text"),
        (pa.timestamp("us"), "2024-01-05T00:00:00Z", "the column has no time zone"),
        (pa.timestamp("us", "UTC"), 5, "or with a zone"),
        (pa.time64("us"), "noon", "write a time of day as text: '10:30:00'"),
        (pa.list_(pa.int64()), 5, '"is null" or "is not null"'),
        (pa.duration("us"), 5, '"is null" or "is not null"'),
    ],
)
def test_what_cannot_be_compared_is_said_with_what_to_write(
    kind: pa.DataType, value: Any, remedy: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"c": pa.nulls(2, kind)}), tmp_path / "a.parquet")
    for filters in ([["c", ">", value]], [["c", "in", [value]]], [[["c", "is null"]], [["c", "=", value]]]):
        with pytest.raises(ConfigError, match=r"^filters \['c', ") as refused:
            Source.open(str(tmp_path / "a.parquet"), filters)
        assert remedy in str(refused.value)
    assert rows_that_pass(tmp_path / "a.parquet", "c IS NULL") == [0, 1]


def test_a_zone_of_a_place_has_its_summer_time(tmp_path: Path) -> None:
    at = pa.array([1783000800_000, 1783000801_000], pa.int64()).cast(pa.timestamp("ms", "Europe/Berlin"))
    pq.write_table(pa.table({"t": at}), tmp_path / "a.parquet")  # 2026-07-02 14:00:00 and a second later, UTC
    assert rows_that_pass(tmp_path / "a.parquet", "t <= '2026-07-02 16:00:00'") == [0]
    assert rows_that_pass(tmp_path / "a.parquet", "t > '2026-07-02T16:00:00+02:00'") == [1]
