"""What a person wrote, as the values of a column's type: numbers of many digits, infinite ones, times of every unit."""

import datetime
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import gdpipe
from gdpipe.errors import ConfigError
from gdpipe.filters import normalized
from gdpipe.source.conditions import Condition
from gdpipe.source.source import Source
from tests.conftest import write_parquet

DIGITS = "0.30000000000000000000001"
HALVES = pa.array([np.float16(v) for v in (0.0, 1.0, 65504.0, math.inf)], pa.float16())
VALUES: dict[str, pa.Array] = {
    "float64": pa.array([0.0, 0.3, 1.7e308, math.inf]),
    "float32": pa.array([0.0, 0.3, 3.4e38, math.inf], pa.float32()),
    "float16": HALVES,
    "int64": pa.array([0, 1, 2**63 - 1]),
    "bool": pa.array([True, False]),
    "decimal": pa.array([Decimal("0.0"), Decimal("0.3"), Decimal("9.9")], pa.decimal128(2, 1)),
}


def passing(kind: str, operator: str, value: Any) -> list[int]:
    [[column, how, plain]] = normalized([["c", operator, value]]) or []
    assert json.loads(json.dumps([column, how, plain], allow_nan=False)) == [column, how, plain]
    mask = Condition.of(VALUES[kind].type, how, plain).passes(VALUES[kind])
    return [i for i, passes in enumerate(mask.to_pylist()) if passes]


@pytest.mark.parametrize("value", [Decimal(DIGITS), DIGITS])
@pytest.mark.parametrize(
    ("kind", "operator", "found"),
    [
        ("float64", "=", [1]),  # the nearest float64
        ("float64", ">", [2, 3]),
        ("float32", "=", [1]),
        ("int64", "<", [0]),
        ("decimal", "=", []),  # exactly
        ("decimal", "<=", [0, 1]),
    ],
)
def test_a_number_of_more_digits_than_float64_has(kind: str, operator: str, found: list[int], value: Any) -> None:
    assert passing(kind, operator, value) == found


def test_such_a_number_in_sql() -> None:
    assert normalized(f"c > {DIGITS}") == [["c", ">", DIGITS]]


@pytest.mark.parametrize("infinity", [math.inf, np.float32("inf"), Decimal("Infinity"), "inf"])
@pytest.mark.parametrize(
    ("kind", "operator", "found"),
    [
        ("float64", "<", [0, 1, 2]),
        ("float32", "=", [3]),
        ("float16", "!=", [0, 1, 2]),
        ("int64", "<", [0, 1, 2]),
        ("bool", "<", [0, 1]),
        ("decimal", ">=", []),
    ],
)
def test_infinity(kind: str, operator: str, found: list[int], infinity: Any) -> None:
    assert passing(kind, operator, infinity) == found


@pytest.mark.parametrize(
    ("kind", "value"),
    [("float64", "1e-400"), ("float32", 1e-60), ("float16", 1e-9), ("int64", 1e-9), ("decimal", "1e-9999")],
)
def test_a_number_between_zero_and_the_least_value_is_not_zero(kind: str, value: Any) -> None:
    everything = list(range(len(VALUES[kind])))
    assert passing(kind, "<", value) == passing(kind, "<=", value) == [0]
    assert passing(kind, ">", value) == passing(kind, ">=", value) == everything[1:]
    assert (passing(kind, "=", value), passing(kind, "!=", value)) == ([], everything)
    below = f"-{value}" if isinstance(value, str) else -value
    assert passing(kind, ">", below) == everything


@pytest.mark.parametrize("value", ["5", "0.3", "abc", "NaN"])
@pytest.mark.parametrize("kind", ["float64", "int64"])
def test_a_text_is_no_number(kind: str, value: str) -> None:
    with pytest.raises(Exception, match="write a number without quotes"):
        passing(kind, "=", value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.datetime64("2024"), "2024-01-01"),
        (np.datetime64("2024-02"), "2024-02-01"),
        (np.datetime64("2024-01-04", "W"), "2024-01-04"),
        (np.datetime64("2024-01-05"), "2024-01-05"),
        (np.datetime64("2024-01-05T10"), "2024-01-05T10:00"),
        (np.datetime64("2024-01-05T10:30"), "2024-01-05T10:30"),
        (np.datetime64("2024-01-05T10:30:00.5"), "2024-01-05T10:30:00.500"),
    ],
)
def test_numpys_times_of_every_unit(value: Any, text: str) -> None:
    assert normalized([["t", ">=", value]]) == [["t", ">=", text]]
    Condition.of(pa.timestamp("us"), ">=", text)


@pytest.mark.parametrize(
    "day",
    [
        datetime.date(2024, 1, 6),
        datetime.datetime(2024, 1, 6),
        pd.Timestamp("2024-01-06"),
        pd.Timestamp("2024-01-06").as_unit("ns"),
        np.datetime64("2024-01-06T00", "h"),
        np.datetime64("2024-01-06", "ns"),
        "2024-01-06",
    ],
)
def test_a_day_is_a_day_also_in_the_names_of_folders(day: Any, tmp_path: Path) -> None:
    for number in (5, 6, 7):
        write_parquet(tmp_path / f"day=2024-01-0{number}" / "a.parquet", {"x": [1]})
    for operator, found in (("=", [6]), (">=", [6, 7]), ("<", [5]), ("<=", [5, 6])):
        files = Source.open(str(tmp_path), [["day", operator, day]]).files
        assert [int(f.partition["day"][-2:]) for f in files if f.wanted_groups] == found


@pytest.mark.parametrize(
    "moment", [datetime.datetime(2024, 1, 6, 0, 0, 0, 1), datetime.datetime(2024, 1, 6, tzinfo=datetime.UTC)]
)
def test_a_moment_of_a_day_keeps_its_time(moment: Any) -> None:
    assert normalized([["t", "=", moment]]) == [["t", "=", moment.isoformat()]]


@pytest.mark.parametrize(
    "null", [None, math.nan, pd.NA, pd.NaT, np.datetime64("NaT", "s"), Decimal("NaN"), Decimal("sNaN")]
)
def test_every_null_is_told_from_values(null: Any) -> None:
    for filters in ([["c", "=", null]], [["c", "in", [1, null]]]):
        with pytest.raises(ConfigError, match=r'nothing is equal to null.*\["c", "is null"\]'):
            normalized(filters)


def test_half_a_character_is_no_text() -> None:
    [[_, how, value]] = normalized('[["c", "=", "\\ud800"]]') or []
    with pytest.raises(Exception, match="write a text of Unicode characters"):
        Condition.of(pa.string(), how, value)


def test_a_manifest_is_json_whatever_the_filters(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", {"x": [1.0, 2, 4, math.inf], "y": [1.0, 2, 3, 4]})
    settings = {"source": str(tmp_path / "a.parquet"), "target": "y", "output": str(tmp_path / "out"), "report": False}
    run = gdpipe.train(filters=[["x", "<", math.inf]], **settings)
    assert run.manifest["rows"]["read"] == 3
    text = (run.folder / "manifest.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["settings"]["filters"] == [["x", "<", "inf"]]
