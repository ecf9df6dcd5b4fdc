"""Filters as they are written: lists, JSON, SQL, and values of Python, NumPy and pandas."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdpipe
from gdpipe.errors import ConfigError
from gdpipe.filters import filter_groups, normalized
from tests.conftest import gdpipe_cli, write_parquet


@pytest.mark.parametrize(
    ("sql", "lists"),
    [
        ("x > 1", [["x", ">", 1]]),
        (
            "date >= '2024-01-05' AND carrier IN ('UA', 'AA')",
            [["date", ">=", "2024-01-05"], ["carrier", "in", ["UA", "AA"]]],
        ),
        ("a = 1 OR b <> 'it''s'", [[["a", "=", 1]], [["b", "!=", "it's"]]]),
        ("a = 1 AND (b = 2 OR c = 3)", [[["a", "=", 1], ["b", "=", 2]], [["a", "=", 1], ["c", "=", 3]]]),
        ("x BETWEEN -1.5 AND 1e3", [["x", ">=", -1.5], ["x", "<=", 1000]]),
        ("NOT (x > 1 AND y IS NULL)", [[["x", "<=", 1]], [["y", "is not null"]]]),
        ("6 < month", [["month", ">", 6]]),
        ("NOT 6 <= month", [["month", "<", 6]]),
        ("cancelled = FALSE", [["cancelled", "=", False]]),
        ("at < TIMESTAMP '2024-01-05 10:00:00'", [["at", "<", "2024-01-05 10:00:00"]]),
        ("day = DATE '2024-01-05'", [["day", "=", "2024-01-05"]]),
        ('"two words" == 1 AND "a.b" != 0.1', [["two words", "=", 1], ["a.b", "!=", 0.1]]),
        ("x NOT IN (1, 2.5)", [["x", "not in", [1, 2.5]]]),
        ("x = 0.1234567890123456789", [["x", "=", "0.1234567890123456789"]]),
    ],
)
def test_a_condition_in_sql(sql: str, lists: list[Any]) -> None:
    assert normalized(sql) == lists
    assert normalized(json.dumps(lists)) == lists


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("x >", "is no condition in SQL"),
        ("x > 1; DROP TABLE x", "is no condition in SQL"),
        ("", "is no condition in SQL"),
        ("x", "compares no column with a value"),
        ("x + 1 > 2", "'x + 1' compares no column with a value"),
        ("x LIKE 'a%'", "compares no column with a value"),
        ("x IN (SELECT 1)", "compares no column with a value"),
        ("date_trunc('day', t) = 1", "compares no column with a value"),
        ("carrier = UA", "single quotes: carrier = 'UA'"),
        ("x = NULL", "IS NULL"),
        ("a.b = 1", 'double quotes: "a.b"'),
        (" AND ".join(f"(x{i} = 1 OR y{i} = 2)" for i in range(12)), "1,000 alternatives"),
        ("[[", "is no JSON"),
    ],
)
def test_what_is_no_condition_is_said_in_one_line(sql: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"^filters ") as refused:
        normalized(sql)
    assert says in str(refused.value)
    done = gdpipe_cli("plan", "nowhere", "--target", "y", "--filters", sql)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "Expecting" not in done.err or "JSON" in done.err


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (dt.date(2026, 3, 1), "2026-03-01"),
        (dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC), "2026-03-01T10:00:00+00:00"),
        (dt.time(10, 30), "10:30:00"),
        (np.datetime64("2026-03-01"), "2026-03-01"),
        (np.datetime64("2026-03-01T00:00:00.000000001"), "2026-03-01T00:00:00.000000001"),
        (pd.Timestamp("2026-03-01 00:00:00.000000001"), "2026-03-01T00:00:00.000000001"),
        (np.int8(5), 5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (Decimal("6.10"), 6.1),
        (Decimal("6.00"), 6),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
    ],
)
def test_values_of_python_numpy_and_pandas(value: Any, plain: Any) -> None:
    [[column, operator, found]] = normalized([("c", "=", value)]) or []
    assert (column, operator, found, type(found)) == ("c", "=", plain, type(plain))
    assert json.loads(json.dumps(found)) == plain


@pytest.mark.parametrize(
    "values",
    [[1, 2], (1, 2), {2, 1}, frozenset([1, 2]), range(1, 3), np.array([1, 2]), pd.Index([1, 2]), pd.Series([1, 2])],
)
def test_lists_of_any_kind(values: Any) -> None:
    assert normalized([("c", "IN", values)]) == [["c", "in", [1, 2]]]


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NaT, np.datetime64("NaT", "s")])
def test_a_null_is_compared_with_nothing(value: Any) -> None:
    for condition in (("c", "=", value), ("c", "not in", [1, value])):
        with pytest.raises(ConfigError, match="is null"):
            normalized([condition])


ATOMS = st.sampled_from(
    [f"{c} {o} {v}" for c in ("a", "b") for o in ("=", "<>", "<", "<=", ">", ">=") for v in (0, 1, 1.5)]
    + ["a IS NULL", "b IS NOT NULL", "a IN (0, 2)", "b NOT IN (1)", "a BETWEEN 0 AND 1", "1 < b"]
)
SQL = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda text: f"NOT ({text})")
    ),
    max_leaves=6,
)
NUMBERS = pa.table({"a": [0, 1, 2, None] * 4, "b": [0] * 4 + [1] * 4 + [2] * 4 + [None] * 4, "row": range(16)})


@settings(max_examples=100)
@given(SQL)
def test_alternatives_are_those_of_duckdb(sql: str) -> None:
    unfolded = " OR ".join(
        "(" + " AND ".join(_as_sql(*condition) for condition in group) + ")"
        for group in filter_groups(normalized(sql) or [])
    )
    with duckdb.connect() as connection:
        connection.register("numbers", NUMBERS)
        expected, found = (
            connection.execute(f"SELECT row FROM numbers WHERE {condition} ORDER BY row").fetchall()  # noqa: S608  # conditions of the test's own
            for condition in (sql, unfolded)
        )
    assert found == expected


def _as_sql(column: str, operator: str, value: Any) -> str:
    written = "" if value is None else f"({', '.join(map(str, value))})" if isinstance(value, list) else str(value)
    return f"{column} {operator} {written}"


# the same everywhere


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety days from 2026-01-01, at noon."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=90)
    at = pd.date_range("2026-01-01 12:00", periods=90)
    columns = {"x": x, "y": 2 * x + rng.normal(size=90), "date": at.date, "at": at, "hour": np.arange(90) % 24}
    return write_parquet(tmp_path_factory.mktemp("days") / "a.parquet", columns)


WINDOW = "date >= '2026-03-01' AND at < '2026-03-11' AND hour IS NOT NULL"
AS_LISTS = [["date", ">=", "2026-03-01"], ["at", "<", "2026-03-11"], ["hour", "is not null"]]


def test_the_same_filters_from_everywhere(days: Path, tmp_path: Path) -> None:
    common = ("--target", "y", "--features", "x")
    for number, filters in enumerate((WINDOW, json.dumps(AS_LISTS))):
        output = tmp_path / f"terminal{number}"
        done = gdpipe_cli("train", days, *common, "--filters", filters, "--output", output, "--no-report")
        assert done.code == 0, done.err
        manifest = gdpipe.open_run(output).manifest
        assert (manifest["rows"]["read"], manifest["settings"]["filters"]) == (10, AS_LISTS)
        planned = gdpipe_cli("plan", days, *common, "--filters", filters, "--json")
        assert json.loads(planned.out)["rows"] == 10
        scored = gdpipe_cli("predict", days, "--run", output, "--filters", filters, "--output", tmp_path / f"s{number}")
        assert scored.code == 0, scored.err
        assert gdpipe.Run.at(tmp_path / f"s{number}").manifest["rows"]["read"] == 10
    of_python: list[Any] = [
        WINDOW,
        [("date", ">=", dt.date(2026, 3, 1)), ("at", "<", pd.Timestamp("2026-03-11")), ("hour", "is not null")],
        [["date", ">=", np.datetime64("2026-03-01")], ["at", "<", dt.datetime(2026, 3, 11)], ["hour", "is not null"]],
    ]
    for number, filters in enumerate(of_python):
        run = gdpipe.train(source=days, target="y", features=["x"], filters=filters, output=tmp_path / f"p{number}")
        assert run.manifest["rows"]["read"] == 10
        frame = gdpipe.open_run(tmp_path / "terminal0").parameters
        pd.testing.assert_frame_equal(run.parameters, frame, check_exact=True)


def test_written_otherwise_is_the_same_filter_to_the_sums_that_were_kept(days: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"source": days, "target": "y", "features": ["x"], "output": tmp_path / "runs"}
    assert gdpipe.train(**settings, filters=WINDOW).manifest["rows"]["scanned"] == 10
    again = gdpipe.train(**settings, filters=[["date", ">=", dt.date(2026, 3, 1)], *AS_LISTS[1:]], force=True)
    assert (again.manifest["rows"]["read"], again.manifest["rows"]["scanned"]) == (10, 0)
