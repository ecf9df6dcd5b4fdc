"""Tables that nobody expects, and files that a disk or a network has damaged: a right answer or a clear error.

A small sample in `make test`; `make fuzz` sets GDPIPE_FUZZ=2000.
"""

import datetime as dt
import json
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import gdpipe
from gdpipe.numerics.sums.moments import grid_exponents
from gdpipe.run import Run
from tests.conftest import gdpipe_cli, line_columns, published, snapshot, staged, write_parquet

FUZZ = settings(
    max_examples=int(os.environ.get("GDPIPE_FUZZ", "30")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

NAMES = (
    "x",
    "a b",
    "a.b",
    "Größe",
    "intercept",
    "1",
    "..",
    "a/b",
    "x=1",
    '"q"',
    "a,b",
    "NaN",
    "__gdpipe_row__",
    "file",
    "row",
    "target",
    "prediction",
    "residual",
    "%s",
    "null",
    " ",
    "\n",
    "項",
    "C(x)",
    "x:1",
    "`",
)
FLOATS = st.floats(width=64) | st.floats(-100, 100) | st.sampled_from([0.0, -0.0, 1e154, 1e-320, 5e-324, 1e308])
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)


def whole(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high) | st.integers(max(low, -3), 3)


NUMBERS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.float64(), FLOATS),
    (pa.float64(), st.floats(-100, 100)),
    (pa.float64(), st.integers(-3, 3).map(float)),
    (pa.float32(), st.floats(width=32)),
    (pa.float16(), st.floats(width=16)),
    *((pa.type_for_alias(f"int{b}"), whole(b, True)) for b in (8, 16, 32, 64)),
    *((pa.type_for_alias(f"uint{b}"), whole(b, False)) for b in (8, 16, 32, 64)),
    (pa.bool_(), st.booleans()),
    (pa.decimal128(12, 3), st.decimals(-(10**8), 10**8, places=3)),
    (pa.dictionary(pa.int32(), pa.float64()), st.floats(-5, 5)),
    (pa.null(), st.none()),
]
LEVELS = st.sampled_from(["a", "B", "", " ", "é", "5", "a:b", "]", "(other)", "null", "\x00"])
TIMES = st.integers(0, 10**15) | st.integers(0, 9).map(lambda days: days * 86_400 * 10**6)
OTHERS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), st.text(max_size=3)),
    (pa.string(), LEVELS),
    (pa.dictionary(pa.int32(), pa.string()), LEVELS),
    (pa.timestamp("us"), TIMES),
    (pa.timestamp("s", "Asia/Kolkata"), TIMES.map(lambda of: of // 10**6)),
    (pa.date32(), st.integers(-(10**5), 10**5) | st.integers(0, 9)),
    (pa.list_(pa.float64()), st.lists(st.floats(-1, 1), max_size=2)),
    (pa.struct([("x", pa.int8())]), st.fixed_dictionaries({"x": st.integers(0, 9)})),
]


@dataclass(frozen=True)
class Factor:
    """What a feature, or a part of a product, is made of: a column, a part of its dates, as a number or a category."""

    column: str
    part: str | None
    is_category: bool


# the factors of each feature by its text, as `features_of` is expected to understand it
Features = dict[str, list[Factor]]


@st.composite
def sources(draw: st.DrawFn) -> tuple[list[pa.Table], str, Features | None]:
    """Files of one schema, a target, and features (or None for whatever the program finds)."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    kinds = [draw(st.sampled_from(NUMBERS if j < 2 or draw(st.booleans()) else OTHERS)) for j in range(len(names))]
    nulls = [draw(st.sampled_from([0, 0, 0, 1, 5])) for _ in names]
    tables = []
    for _ in range(draw(st.integers(1, 3))):
        n = draw(st.sampled_from([0, 1, 4, 8, 8, 12]))
        arrays = []
        for (kind, values), often in zip(kinds, nulls, strict=True):
            mixed = st.one_of(*[values] * (6 - often), *[st.none()] * often)
            drawn = draw(st.lists(mixed, min_size=n, max_size=n))
            plain = pa.array(drawn, kind.value_type if pa.types.is_dictionary(kind) else kind)
            arrays.append(plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain)
        tables.append(pa.Table.from_arrays(arrays, names=names))
    features: Features | None = None
    if draw(st.booleans()):
        features = {}
        written = [draw(factors(name, kind)) for name, (kind, _) in zip(names[1:], kinds[1:], strict=True)]
        for text, factor in written:
            features[text] = [factor]
        if len(written) > 1 and draw(st.booleans()):
            parts = draw(st.permutations(written))[:2]
            features[":".join(text for text, _ in parts)] = [factor for _, factor in parts]
            if draw(st.booleans()):
                features.pop(parts[0][0])
        features = {text: of for text, of in features.items() if len(of) == 1 or text not in names}
    return tables, names[0], features


@st.composite
def factors(draw: st.DrawFn, name: str, kind: pa.DataType) -> tuple[str, Factor]:
    """A way to use a column of this type, and its text, which is safe in a product."""
    quoted = f"`{name.replace('`', '``')}`"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        part = draw(st.sampled_from(PARTS))
        text, of = f"{part}({quoted})", Factor(name, part, is_category=False)
        return (f"C({text})", replace(of, is_category=True)) if draw(st.booleans()) else (text, of)
    if is_category(kind):
        return quoted, Factor(name, None, is_category=True)
    as_category = is_number(kind) and draw(st.booleans())
    return f"C({quoted})" if as_category else quoted, Factor(name, None, is_category=as_category)


PARTS = ("year", "month", "day", "weekday", "days")


def plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_category(kind: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(plain(kind)) or pa.types.is_string(plain(kind)))


def is_number(kind: pa.DataType) -> bool:
    t, kind = pa.types, plain(kind)
    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind))


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def answered(code: int, err: str, *allowed: int) -> None:
    """One of the exit codes, and one clear line where it is not 0."""
    assert code in allowed, err
    assert len(err.splitlines()) == (code > 0), err
    assert "Traceback" not in err


# what there is to a b is nothing beside its value in a row that is not used
BESIDE_AN_UNUSED_ROW = pa.table({"x": [0.0, 1.0, 0.0, None], "a b": [0.0, 0.0, 1e-245, 1.0]})
# on the grid of its largest value one column is the other
BELOW_THE_GRID = pa.table({"x": [1, 0, 0, 0], "a b": [0.0, 1.0, 0.0, 1.1e-247], "a.b": [0.0, 1.0, 0.0, 0.0]})
# the largest a b is in a file without a row to use
NO_ROW_TO_USE = [
    pa.table({"x": pa.array([None, 0], pa.int8()), "a b": [1.0, None]}),
    pa.table({"x": pa.array([1, 0, None], pa.int8()), "a b": [0.0, 1.175494351e-38, 0.0]}),
]
# a name of our own, of a column of text that nobody named
RESERVED = pa.table({"x": [0.0], "file": [0.0], "__gdpipe_row__": [""]})
SUBNORMAL = pa.table({"x": [0.0, 0.0, 0.0, 5e-324], "a b": [0.0] * 4})


def some_of_each() -> tuple[list[pa.Table], str, Features]:
    """A product of text with a number, a category of booleans, and parts of dates; more rows than terms."""
    n = range(40)
    table = pa.table(
        {
            "x": [float(i * i % 11) for i in n],
            "1": [dt.date(1999, 12, 1) + dt.timedelta(days=i * i) for i in n],
            "a b": [("a", "B", None, "")[i % 4] for i in n],
            "a.b": [float(i % 5) for i in n],
            "null": [i % 3 == 0 for i in n],
        }
    )
    number, text = Factor("a.b", None, is_category=False), Factor("a b", None, is_category=True)
    features: Features = {
        "`a.b`:`a b`": [number, text],
        "null": [Factor("null", None, is_category=True)],
        "year(`1`)": [Factor("1", "year", is_category=False)],
        "C(weekday(`1`))": [Factor("1", "weekday", is_category=True)],
    }
    return [table.slice(0, 15), table.slice(15)], "x", features


def test_any_table_gives_a_right_answer_or_a_clear_error() -> None:
    codes: Counter[int] = Counter()

    @FUZZ
    @example(some_of_each())
    @example(([SUBNORMAL], "x", None))  # its standard deviation is no float64
    @example(([RESERVED], "x", None))
    @example(([BESIDE_AN_UNUSED_ROW], "x", None))
    @example(([BELOW_THE_GRID], "x", None))
    @example((NO_ROW_TO_USE, "x", None))
    @given(sources())
    def each(source: tuple[list[pa.Table], str, Features | None]) -> None:
        codes[answer_to(*source)] += 1

    each()
    assert codes[0] > codes.total() / 10, codes  # or it refuses whatever is not simple


def answer_to(tables: list[pa.Table], target: str, features: Features | None) -> int:
    with folder() as base:
        for i, table in enumerate(tables):
            write_parquet(base / "data" / f"{i}.parquet", dict(zip(table.column_names, table.columns, strict=True)))
        before = snapshot(base / "data")
        chosen = ("--features", json.dumps(list(features))) if features else ()
        done = gdpipe_cli("train", base / "data", f"--target={target}", *chosen, "--output", base / "runs")
        answered(done.code, done.err, 0, 1, 3)
        assert snapshot(base / "data") == before
        assert staged(base / "runs") == []
        if done.code == 0:
            assert_right(gdpipe.open_run(base / "runs"), pa.concat_tables(tables), features)
    return done.code


def assert_right(run: Run, table: pa.Table, features: Features | None) -> None:
    """Predictions are the projection of the target on the features, in rational arithmetic."""
    target = run.manifest["target"]
    if features is None:
        found = run.manifest["features"]
        features = {name: [Factor(name, None, is_category=is_category(table.field(name).type))] for name in found}
    columns = {factor: values(table[factor.column], factor) for of in features.values() for factor in of}
    goal = exact(table[target])
    rows = [i for i in range(table.num_rows) if all(column[i] is not None for column in (*columns.values(), goal))]
    account = run.manifest["rows"]
    assert (account["read"], account["used"]) == (table.num_rows, len(rows))
    y = [goal[i] or Fraction(0) for i in rows]
    if any("to rounding" in line or "nearly" in line for line in run.manifest["dependencies"]):
        return  # named, and treated as a dependency: not the exact projection
    ones = [Fraction(1)] * len(rows)
    plain_terms, gridded = [ones], [ones]
    for of in features.values():
        numbers, largest = ones, Fraction(1)
        for factor in (factor for factor in of if not factor.is_category):
            column = columns[factor]
            numbers = [Fraction(float(a) * float(column[i])) for a, i in zip(numbers, rows, strict=True)]
            largest *= (
                OF_PARTS[factor.part] if factor.part else max((abs(v) for v in column if v is not None), default=0)
            )
        # a digit that the grid does not hold, such as 1e-247 beside a 1, is the contract's to round
        rounded = [Fraction(v) for v in on_grid(numbers, largest)]
        constant = len(set(numbers)) > 1 and len(set(rounded)) == 1 and not any(factor.is_category for factor in of)
        # where the largest value is in a file without a row to use, the grid is a finer one
        if constant and any("is constant" in line for line in run.manifest["dependencies"]):
            return  # likewise
        levels = [tuple(columns[factor][i] for factor in of if factor.is_category) for i in rows]
        # whatever the coding, the terms span what these do
        for level in dict.fromkeys(levels):
            for terms, column in ((plain_terms, numbers), (gridded, rounded)):
                terms.append([v if own == level else Fraction(0) for v, own in zip(column, levels, strict=True)])
    predictions = [run.predictions["prediction"][i] for i in rows]
    spread = math.sqrt(sum((v - sum(y) / len(y)) ** 2 for v in y) / len(y))
    fits = [[float(v) for v in project(y, terms)] for terms in (plain_terms, gridded)]
    assert any(predictions == pytest.approx(fit, rel=1e-9, abs=1e-6 * spread) for fit in fits), run.manifest["features"]


# bounds on parts of dates, in place of a column's largest value
OF_PARTS = {"year": 9999, "month": 12, "day": 31, "weekday": 6, "days": 2_932_897}


def values(column: pa.ChunkedArray, factor: Factor) -> list[Any]:
    """Values as the fit takes them; None where one is missing."""
    if factor.part is None:
        is_text = pa.types.is_string(plain(column.type))
        return column.to_pylist() if is_text else exact(column)
    return [None if v is None else part_of(v, factor.part) for v in column.to_pylist()]


def part_of(moment: dt.date, part: str) -> Fraction:
    """A part of a date, or of a timestamp in its own zone."""
    if part == "weekday":
        return Fraction(moment.weekday())
    if part != "days":
        return Fraction(getattr(moment, part))
    days = Fraction(moment.toordinal() - dt.date(1970, 1, 1).toordinal())
    if isinstance(moment, dt.datetime):
        of_day = moment.replace(tzinfo=None) - dt.datetime.combine(moment.date(), dt.time())
        days += Fraction(of_day // dt.timedelta(microseconds=1), 86_400 * 10**6)
    return Fraction(float(days))


def exact(column: pa.ChunkedArray) -> list[Fraction | None]:
    """Values as float64 has them, without rounding from there on."""
    values = [None if v is None else float(v) for v in column.to_pylist()]
    return [None if v is None or math.isnan(v) else Fraction(v) for v in values]


def on_grid(values: list[Fraction], largest: Fraction) -> list[int]:
    """Values in units of the grid that suits a largest one, whether its row is used or not."""
    step = Fraction(2) ** int(grid_exponents(np.array([float(largest)]))[0])
    return [round(v / step) for v in values]


def project(y: list[Fraction], columns: list[list[Fraction]]) -> list[Fraction]:
    """Onto the span of the columns, by Gram and Schmidt, exactly."""
    fitted = [Fraction(0)] * len(y)
    basis: list[tuple[list[Fraction], Fraction]] = []
    for column in columns:
        rest = column
        for b, square in basis:
            part = dot(rest, b) / square
            rest = [r - part * q for r, q in zip(rest, b, strict=True)]
        square = dot(rest, rest)
        if square:
            basis.append((rest, square))
            part = dot(y, rest) / square
            fitted = [f + part * r for f, r in zip(fitted, rest, strict=True)]
    return fitted


def dot(a: list[Fraction], b: list[Fraction]) -> Fraction:
    return sum((p * q for p, q in zip(a, b, strict=True)), Fraction(0))


@st.composite
def damages(draw: st.DrawFn) -> Any:
    """What happens to the bytes of a file: bits flip, its end is lost, or a stretch becomes zeros."""
    place = st.floats(0, 1, exclude_max=True) | st.floats(0.5, 1, exclude_max=True)
    kind = draw(st.sampled_from(["flip", "flip", "flip", "cut", "zeros"]))
    places = draw(st.lists(place, min_size=1, max_size=1 if kind != "flip" else 3))
    bits, length = draw(st.integers(0, 7)), draw(st.integers(1, 64))

    def damage(content: bytes) -> bytes:
        at = [int(p * len(content)) for p in places]
        if kind == "cut":
            return content[: at[0]]
        changed = bytearray(content)
        for i in at:
            if kind == "zeros":
                changed[i : i + length] = bytes(len(changed[i : i + length]))
            else:
                changed[i] ^= 1 << bits
        return bytes(changed)

    return damage


@FUZZ
@given(damage=damages(), compression=st.sampled_from(["none", "snappy", "zstd"]), dictionary=st.booleans())
def test_a_damaged_file_gives_the_right_answer_or_a_clear_error(
    damage: Any, compression: str, dictionary: bool
) -> None:
    with folder() as base:
        good = write_parquet(
            base / "data" / "1.parquet",
            line_columns(60),
            compression=compression,
            use_dictionary=dictionary,
            write_page_checksum=True,
        )
        write_parquet(base / "data" / "2.parquet", line_columns(60, seed=1), write_page_checksum=True)
        options = ("--target", "y", "--features", "x1,x2", "--output", base / "runs", "--no-report")
        assert gdpipe_cli("train", base / "data", *options).code == 0
        right, before = gdpipe.open_run(base / "runs"), published(base / "runs")
        good.write_bytes(damage(good.read_bytes()))
        done = gdpipe_cli("train", base / "data", *options)
        answered(done.code, done.err, 0, 3)
        if done.code == 0:
            now = gdpipe.open_run(base / "runs").parameters["estimate"].to_list()
            assert now == pytest.approx(right.parameters["estimate"].to_list(), rel=1e-9)
        else:
            assert str(base / "data") in done.err  # the file, or the source where a column lost its name
            assert published(base / "runs") == before
