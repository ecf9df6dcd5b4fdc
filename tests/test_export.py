"""The model as SQL: the bits of predict, in engines that are really there."""

import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from numpy.typing import NDArray
from sqlglot import exp

import gdpipe
from gdpipe.cli.commands import DIALECTS
from gdpipe.design import Design, Input
from gdpipe.export import as_sql
from gdpipe.model import Model
from gdpipe.source.columns import read_columns
from tests.conftest import FEATURES, FLIGHTS, gdpipe_cli, snapshot, write_parquet
from tests.databases import Postgres, bits, in_duckdb
from tests.runs import train, train_on

NASTY = ("select", "a b", 'say "hi"', "it's", "back`tick", "grün/日本", "a;--", "{x}", "%s", "Capital")
COEF = np.array([1 / 3, -2.5, 0.0, 1e22, -5e-324, 1.7e308, 0.1, 3.0, -1e-300, 12345.678901234567])
ROWS = 50


def nasty_table() -> pa.Table:
    """Awkward names and every kind of number, with a null in one row and a NaN in another."""
    rng = np.random.default_rng(0)
    columns: list[Any] = [pa.array(rng.normal(size=ROWS) * 10.0 ** rng.integers(-9, 9, ROWS)) for _ in NASTY]
    columns[1] = pa.array(rng.integers(-(2**62), 2**62, ROWS))
    columns[2] = pa.array(rng.integers(0, 200, ROWS), pa.uint8())
    columns[3] = pa.array(rng.normal(size=ROWS), pa.float32())
    columns[4] = pa.array([None, *(Decimal(int(number)) / 100 for number in rng.integers(0, 9999, ROWS - 1))])
    columns[6] = pa.array([1.0, math.nan, *rng.normal(size=ROWS - 2)])
    return pa.table(dict(zip(NASTY, columns, strict=True)))


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> gdpipe.Run:
    """A run on the nasty table."""
    folder = tmp_path_factory.mktemp("nasty")
    table = nasty_table().append_column("y", pa.array(np.random.default_rng(1).normal(size=ROWS)))
    return train_on(folder, {name: table[name] for name in table.column_names})


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> gdpipe.Run:
    """A run on the flights."""
    return train(FLIGHTS, tmp_path_factory.mktemp("flights"), target="arr_delay", features=FEATURES)


def sql_of(run: gdpipe.Run, *options: object) -> str:
    done = gdpipe_cli("sql", run.folder, *options)
    assert done.code == 0, done.err
    return done.out.removesuffix("\n")


# DuckDB


def test_flights_have_the_bits_of_predictions_in_duckdb(flights: gdpipe.Run) -> None:
    query = sql_of(flights, "--table", f"read_parquet('{FLIGHTS}/**/*.parquet')")
    found = bits([row[0] for row in in_duckdb(f"SELECT prediction FROM ({query})")])
    predictions = flights.table("predictions")["prediction"]
    assert len(found) == len(predictions)
    assert predictions.null_count
    assert found == bits(predictions.to_pylist())


def test_nasty_names_and_types_have_the_bits_of_predict_in_duckdb(nasty: gdpipe.Run) -> None:
    table = nasty_table()
    found = [row[0] for row in in_duckdb(f"SELECT {sql_of(nasty)} FROM t", t=table)]
    assert found[:2] == [None, None]  # a null, and a NaN
    assert None not in found[2:]
    assert bits(found) == bits(nasty.predict(table).to_list())


def decimals() -> pa.Table:
    """Decimals that Arrow's own cast would not all take to the nearest double: of two places, and of 30 digits."""
    rng = np.random.default_rng(2)
    cents = [Decimal(number).scaleb(-2) for number in rng.integers(-(10**9), 10**9, 2000).tolist()]
    long = [Decimal(number * 10**11 + 7).scaleb(-18) for number in rng.integers(-(10**18), 10**18, 2000).tolist()]
    return pa.table({"cents": pa.array(cents, pa.decimal128(15, 2)), "long": pa.array(long, pa.decimal128(38, 18))})


def float64_columns(table: pa.Table) -> list[NDArray[np.float64]]:
    return read_columns(table, [*map(Input, table.column_names)]).numbers


def test_decimals_are_the_doubles_of_duckdb() -> None:
    table = decimals()
    for name, column in zip(table.column_names, float64_columns(table), strict=True):
        assert bits(column.tolist()) == bits(
            [row[0] for row in in_duckdb(f"SELECT CAST({name} AS DOUBLE) FROM t", t=table)]
        )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_means_the_same(nasty: gdpipe.Run, dialect: str) -> None:
    # read by that dialect's parser, and run where we have an engine
    query = sql_of(nasty, "--dialect", dialect, "--table", "t")
    translated = sqlglot.parse_one(query, read=dialect).sql("duckdb")
    table = nasty_table()
    found = in_duckdb(f"SELECT prediction FROM ({translated})", t=table)
    assert bits([row[0] for row in found]) == bits(nasty.predict(table).to_list())


# text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_text_keeps_every_name_and_every_bit(dialect: str) -> None:
    text = as_sql(Model(Design.of_numbers(NASTY), COEF, -0.0), {}, dialect)
    parsed = sqlglot.parse_one(text, read=dialect)
    assert parsed.sql(dialect) == text
    # of the whole, or of what BigQuery looks at first
    total = parsed.this if dialect != "bigquery" else parsed.this.this
    assert [column.name for column in total.find_all(exp.Column, bfs=False)] == list(NASTY)
    literals = [float(literal.name) for literal in total.find_all(exp.Literal, bfs=False)]
    assert bits(literals) == bits([-0.0, *COEF.tolist()])
    assert all(cast.to.this is exp.DataType.Type.DOUBLE for cast in total.find_all(exp.Cast))


def test_the_text_itself() -> None:
    line = Model(Design.of_numbers(["a b"]), np.array([-0.5]), 2.0)
    assert as_sql(line, {}, "duckdb") == (
        """NULLIF(CAST('2.0' AS DOUBLE) + CAST("a b" AS DOUBLE) * CAST('-0.5' AS DOUBLE), CAST('NaN' AS DOUBLE))"""
    )
    total = "CAST('2.0' AS FLOAT64) + CAST(`a b` AS FLOAT64) * CAST('-0.5' AS FLOAT64)"
    assert as_sql(line, {}, "bigquery") == f"IF(IS_NAN({total}), NULL, {total})"


# names that differ only in case


def columns_of(*names: str) -> dict[str, Any]:
    """Columns of noise, and a target that they explain."""
    values = np.random.default_rng(4).normal(size=(len(names), ROWS))
    return {**dict(zip(names, values, strict=True)), "y": np.arange(1.0, 1 + len(names)) @ values + 3}


@pytest.mark.parametrize("names", [("x", "X"), ("Σ", "a", "σ"), ("Größe", "gröSSe", "grÖße")])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_features_that_a_dialect_cannot_tell_apart(names: tuple[str, ...], dialect: str, tmp_path: Path) -> None:
    run = train_on(tmp_path, columns_of(*names))
    done = gdpipe_cli("sql", run.folder, "--dialect", dialect)
    if dialect == "postgres" or (dialect == "duckdb" and not names[0].isascii()):
        assert done.code == 0, done.err
        return
    assert (done.code, done.out) == (2, "")
    assert f"features {names[0]!r} and {names[-1]!r} differ only in case, which {dialect} ignores" in done.err
    assert done.err.count("\n") == 1


def test_duckdb_tells_other_letters_than_ascii_apart(tmp_path: Path) -> None:
    run = train_on(tmp_path, columns_of("ä", "Ä"))
    query = sql_of(run, "--table", f"'{tmp_path}/data.parquet'")
    found = in_duckdb(f"SELECT prediction FROM ({query})")
    assert bits([row[0] for row in found]) == bits(run.predictions["prediction"].to_list())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_column_of_the_table_that_could_be_taken_for_a_feature(dialect: str, tmp_path: Path) -> None:
    run = train_on(tmp_path, {"X": [[1.0]] * ROWS, **columns_of("x", "z")})
    other = write_parquet(tmp_path / "other.parquet", {"x": [1.0], "Z": [2.0], "z": [3.0]})
    good = write_parquet(tmp_path / "good.parquet", {"x": [1.0], "Z": [2.0]})
    quoted = f"parquet.`{other}`" if dialect == "spark" else f"read_parquet('{other}')"
    name_of_t = "`t`" if dialect in {"spark", "bigquery"} else '"t"'
    for table, name in (("t", "'X' and 'x'"), (name_of_t, "'X' and 'x'"), (quoted, "'Z' and 'z'")):
        done = gdpipe_cli("sql", run.folder, "--dialect", dialect, "--table", table)
        assert done.code == (0 if dialect == "postgres" else 2), done
        assert dialect == "postgres" or f"the columns {name} differ only in case" in done.err
    assert gdpipe_cli("sql", run.folder, "--dialect", dialect).code == 0
    # in a table that has one column of the name there is nothing to confuse, however it is written there
    done = gdpipe_cli("sql", run.folder, "--dialect", dialect, "--table", f"read_parquet('{good}')")
    assert done.code == 0, done.err


def test_a_target_that_could_be_taken_for_a_feature_of_an_old_run(tmp_path: Path) -> None:
    run = train_on(tmp_path, columns_of("x", "Y"))
    manifest = run.folder / "manifest.json"
    about = json.loads(manifest.read_text())
    assert about.pop("columns") == ["x", "Y", "y"]
    assert about.pop("boolean_features") == []
    assert about.pop("design")
    manifest.write_text(json.dumps(about))
    done = gdpipe_cli("sql", run.folder, "--table", "t")
    assert done.code == 2
    assert "feature 'Y': the columns 'Y' and 'y' differ only in case" in done.err
    assert gdpipe_cli("sql", run.folder).code == 0


# booleans


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> gdpipe.Run:
    """A run with two booleans, one of them null in a file, beside integers and what is a boolean in one file only."""
    folder = tmp_path_factory.mktemp("flags")
    rng = np.random.default_rng(3)
    for part in range(2):
        flag, gaps, half, number, y = rng.normal(size=(5, ROWS))
        columns = {
            "flag": flag > 0,
            "gaps": pa.array(gaps > 0, mask=gaps > 1),
            "half": half if part else half > 0,
            "number": np.where(number > 0, 2, 3),
            "y": y,
        }
        write_parquet(folder / "data" / f"{part}.parquet", columns)
    return train(folder / "data", folder / "runs")


def test_booleans_of_an_older_run_are_cast_as_bigquery_can() -> None:
    """They were numbers; now booleans are categories."""
    design = Design.of_numbers(["flag", "gaps", "half", "number"], ["flag", "gaps"])
    text = as_sql(Model(design, np.arange(1.0, 5.0), 0.5), {}, "bigquery")
    # BigQuery casts BOOL to INT64 and STRING only, and FLOAT64 to INT64 would round
    casts = dict.fromkeys(re.findall(r"CAST\([^()]*`(\w+)`[^()]*\)(?: AS FLOAT64\))?", text))
    assert list(casts) == ["flag", "gaps", "half", "number"]
    for name in casts:
        twice = f"CAST(CAST(`{name}` AS INT64) AS FLOAT64)"
        assert (twice in text) == (name in {"flag", "gaps"})
        assert (f"CAST(`{name}` AS FLOAT64)" in text) != (name in {"flag", "gaps"})
    assert sqlglot.parse_one(text, read="bigquery").sql("bigquery") == text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_booleans_have_the_bits_of_predictions(flags: gdpipe.Run, dialect: str) -> None:
    query = sqlglot.parse_one(sql_of(flags, "--dialect", dialect, "--table", "t"), read=dialect).sql("duckdb")
    source = flags.manifest["settings"]["source"]
    tables = [pa.table(duckdb.read_parquet(f"{source}/{part}.parquet").to_arrow_table()) for part in range(2)]
    found = [row[0] for table in tables for row in in_duckdb(f"SELECT prediction FROM ({query})", t=table)]
    assert bits(found) == bits(flags.predictions["prediction"].to_list())


# the command


def test_the_table_stands_as_it_was_written(nasty: gdpipe.Run) -> None:
    for dialect, table in (("postgres", 'flights."2013 raw"'), ("spark", "a.b.c"), ("bigquery", "`my-project`.d.t")):
        query = sql_of(nasty, "--dialect", dialect, "--table", table)
        assert query.startswith("SELECT *, ")
        assert query.endswith(f" AS prediction FROM {table}")


@pytest.mark.parametrize("table", ["a b c", "t; drop table t", "'"])
def test_what_is_no_table_is_2_and_named(nasty: gdpipe.Run, table: str) -> None:
    done = gdpipe_cli("sql", nasty.folder, "--table", table)
    assert done.code == 2
    assert repr(table) in done.err
    assert done.out == ""


def test_a_run_that_is_not_whole_is_4(output: Path) -> None:
    good = output / "runs" / "good" / "parameters.parquet"
    good.write_bytes(good.read_bytes()[:-1])
    before = snapshot(output)
    done = gdpipe_cli("sql", output)
    assert done.code == 4
    assert "damaged" in done.err
    assert snapshot(output) == before


# PostgreSQL


def test_nasty_names_and_types_have_the_bits_of_predict_in_postgres(nasty: gdpipe.Run, postgres: Postgres) -> None:
    table = nasty_table()
    kinds = {"int64": "bigint", "uint8": "smallint", "float": "real", "double": "double precision"}
    columns = {field.name: kinds.get(str(field.type), "numeric") for field in table.schema}
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    found = postgres.predictions(columns, rows, sql_of(nasty, "--dialect", "postgres", "--table", "t"))
    assert found[:2] == [None, None]
    assert bits(found) == bits(nasty.predict(table).to_list())


def test_booleans_and_case_have_the_bits_of_predictions_in_postgres(tmp_path: Path, postgres: Postgres) -> None:
    columns = columns_of("x", "X", "flag")
    columns["flag"] = columns["flag"] > 0
    run = train_on(tmp_path, columns)
    kinds = {"x": "double precision", "X": "double precision", "flag": "boolean"}
    rows = list(zip(*(columns[name].tolist() for name in kinds), strict=True))
    found = postgres.predictions(kinds, rows, sql_of(run, "--dialect", "postgres", "--table", "t"))
    assert bits(found) == bits(run.predictions["prediction"].to_list())


def test_decimals_are_the_doubles_of_postgres(postgres: Postgres) -> None:
    table = decimals()
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    for name, column in zip(table.column_names, float64_columns(table), strict=True):
        query = f"SELECT row_number, CAST({name} AS double precision) AS prediction FROM t"
        found = postgres.predictions(dict.fromkeys(table.column_names, "numeric"), rows, query)
        assert bits(found) == bits(column.tolist())


def test_flights_have_the_bits_of_predictions_in_postgres(flights: gdpipe.Run, postgres: Postgres) -> None:
    january = next(FLIGHTS.glob("month=01/*.parquet"))
    rows = in_duckdb(f"SELECT {', '.join(FEATURES)} FROM read_parquet('{january}')")
    columns = dict.fromkeys(FEATURES, "smallint")
    found = postgres.predictions(columns, rows, sql_of(flights, "--dialect", "postgres", "--table", "t"))
    assert len(found) > 20_000
    assert bits(found) == bits(flights.table("predictions")["prediction"].slice(0, len(rows)).to_pylist())
