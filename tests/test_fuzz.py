"""Tables that nobody expects, and files that a disk or a network has damaged: a right answer or a clear error.

A small sample in `make test`; `make fuzz` sets GDPIPE_FUZZ=2000.
"""

import json
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
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
    deadline=None,
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
OTHERS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), st.text(max_size=3)),
    (pa.timestamp("us"), st.integers(0, 10**15)),
    (pa.list_(pa.float64()), st.lists(st.floats(-1, 1), max_size=2)),
    (pa.struct([("x", pa.int8())]), st.fixed_dictionaries({"x": st.integers(0, 9)})),
]


@st.composite
def sources(draw: st.DrawFn) -> tuple[list[pa.Table], str, list[str] | None]:
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
    return tables, names[0], draw(st.sampled_from([None, names[1:]]))


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
SUBNORMAL = pa.table({"x": [0.0, 0.0, 0.0, 5e-324], "a b": [0.0] * 4})


def test_any_table_gives_a_right_answer_or_a_clear_error() -> None:
    codes: Counter[int] = Counter()

    @FUZZ
    @example(([SUBNORMAL], "x", None))  # its standard deviation is no float64
    @example(([BESIDE_AN_UNUSED_ROW], "x", None))
    @example(([BELOW_THE_GRID], "x", None))
    @given(sources())
    def each(source: tuple[list[pa.Table], str, list[str] | None]) -> None:
        codes[answer_to(*source)] += 1

    each()
    assert codes[0] > codes.total() / 10, codes  # or it refuses whatever is not simple


def answer_to(tables: list[pa.Table], target: str, features: list[str] | None) -> int:
    with folder() as base:
        for i, table in enumerate(tables):
            write_parquet(base / "data" / f"{i}.parquet", dict(zip(table.column_names, table.columns, strict=True)))
        before = snapshot(base / "data")
        chosen = ("--features", json.dumps(features)) if features else ()
        done = gdpipe_cli("train", base / "data", f"--target={target}", *chosen, "--output", base / "runs")
        answered(done.code, done.err, 0, 1, 3)
        assert snapshot(base / "data") == before
        assert staged(base / "runs") == []
        if done.code == 0:
            assert_right(gdpipe.open_run(base / "runs"), pa.concat_tables(tables))
    return done.code


def assert_right(run: Run, table: pa.Table) -> None:
    """Predictions are the projection of the target on the features, in rational arithmetic."""
    target, features = run.manifest["target"], run.manifest["features"]
    columns = [exact(table[name]) for name in (*features, target)]
    rows = [i for i in range(table.num_rows) if all(column[i] is not None for column in columns)]
    account = run.manifest["rows"]
    assert (account["read"], account["used"]) == (table.num_rows, len(rows))
    *xs, y = [[column[i] or Fraction(0) for i in rows] for column in columns]
    if any("to rounding" in line or "nearly" in line for line in run.manifest["dependencies"]):
        return  # named, and treated as a dependency: not the exact projection
    if any(len(set(x)) > 1 and len(set(on_grid(x, column))) == 1 for x, column in zip(xs, columns, strict=False)):
        assert any("is constant" in line for line in run.manifest["dependencies"])
        return  # likewise
    ones = [Fraction(1)] * len(rows)
    # a digit that the grid does not hold, such as 1e-247 beside a 1, is the contract's to round
    gridded = [[Fraction(v) for v in on_grid(x, list(x))] for x in xs]
    predictions = [run.predictions["prediction"][i] for i in rows]
    spread = math.sqrt(sum((v - sum(y) / len(y)) ** 2 for v in y) / len(y))
    fits = [[float(v) for v in project(y, [ones, *features])] for features in (xs, gridded)]
    assert any(predictions == pytest.approx(fit, rel=1e-9, abs=1e-6 * spread) for fit in fits), run.manifest["features"]


def exact(column: pa.ChunkedArray) -> list[Fraction | None]:
    """Values as float64 has them, without rounding from there on."""
    values = [None if v is None else float(v) for v in column.to_pylist()]
    return [None if v is None or math.isnan(v) else Fraction(v) for v in values]


def on_grid(values: list[Fraction], column: list[Fraction | None]) -> list[int]:
    """Values in units of the grid that suits the largest of their column, whether its row is used or not."""
    largest = float(max(abs(v) for v in column if v is not None))
    step = Fraction(2) ** int(grid_exponents(np.array([largest]))[0])
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
