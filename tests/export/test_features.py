"""Features in SQL: categories, parts of times, functions and products have the bits of predict."""

import dataclasses
import datetime
import math
import re
import zoneinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

from gdpipe.cli.commands import DIALECTS
from gdpipe.design import OTHER, Category, Design, Feature, Input, Number, combined
from gdpipe.errors import ConfigError
from gdpipe.export import as_sql
from gdpipe.model import Model
from gdpipe.numerics.sums.levels import Key
from gdpipe.source.columns import read_columns
from tests.conftest import FLIGHTS
from tests.databases import Postgres, bits, in_duckdb

ROWS = 400
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
# texts that a database could misread; the empty one is not null
TEXTS = (
    "AA",
    "aa",
    "",
    " ",
    "AA ",
    "it's",
    'say "hi"',
    "a\\'b",
    "new\nline",
    "日本 ü",
    "NULL",
    "--",
    "$1 %s {x}",
    "\t",
)

X, Z = Number("x", Input("x")), Number("z", Input("z"))
# the empty text, which is the first, is a level like others
TEXT, FLAG = (
    Category("text", Input("text", None, "text"), reference="NULL"),
    Category("flag", Input("flag", None, "boolean")),
)
WHOLE = Category("C(whole)", Input("whole", None, "number"))
FLOAT = Category("C(float)", Input("float", None, "number"), reference="0.5")


def rows() -> pa.Table:
    """Rows with levels of every kind; a null, or a NaN, in each of the first."""
    rng = np.random.default_rng(0)
    # of 1950 to 2037: Arrow knows no summer time after that, and the databases do
    seconds: list[int] = rng.integers(-631_152_000, 2_145_916_800, ROWS).tolist()
    moments = [datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=s, microseconds=s % 977) for s in seconds]
    columns: dict[str, list[Any]] = {
        "x": rng.normal(size=ROWS).tolist(),
        "z": rng.uniform(0.1, 9.0, ROWS).tolist(),
        "text": rng.choice(TEXTS, ROWS).tolist(),
        "flag": (rng.normal(size=ROWS) > 0).tolist(),
        "whole": rng.choice([-3, 0, 7, 2**53 + 1, 2**53], ROWS).tolist(),
        "float": rng.choice([0.1, 0.5, -2.0, 1e300, 1 / 3], ROWS).tolist(),
        "moment": moments,
        "day": [moment.date() for moment in moments],
        "local": [moment.replace(tzinfo=datetime.UTC) for moment in moments],
    }
    for gap, values in enumerate(columns.values()):
        values[gap] = None
    columns["float"][len(columns)] = math.nan
    kinds = {"local": pa.timestamp("us", "America/New_York"), "whole": pa.int64()}
    return pa.table({name: pa.array(values, kinds.get(name)) for name, values in columns.items()})


def fitted(table: pa.Table, *features: Feature, zones: dict[str, str] | None = None) -> Model:
    """A model of the levels in a table, with coefficients that are no round numbers."""
    design = Design(features, zones=zones or {})
    block = read_columns(table, design.inputs)
    categories = design.category_values(block.columns)
    found: dict[Key, set[tuple[str, ...]]] = {}
    for key in design.orders:
        labels, codes = combined([categories[c] for c in key])
        found[key] = {labels[code] for code in np.unique(codes)}
    design = design.with_levels(found)
    return Model(design, np.random.default_rng(1).normal(size=len(design.names)), 0.1)


def predicted(model: Model, table: pa.Table) -> list[float]:
    block = read_columns(table, model.design.inputs)
    values, complete = model.predict(block.columns), block.complete
    found: list[float] = (values if complete is None else np.where(complete, values, np.nan)).tolist()
    return found


def in_arrow_and_duckdb(model: Model, table: pa.Table, dialect: str = "duckdb") -> tuple[list[Any], list[Any]]:
    query = as_sql(model, {}, dialect)
    if dialect != "duckdb":
        query = sqlglot.parse_one(query, read=dialect).sql("duckdb")
    found = [row[0] for row in in_duckdb(f"SELECT {query} FROM t", t=table)]
    return bits(predicted(model, table)), bits(found)


CATEGORIES = (
    Feature((X,)),
    Feature((TEXT,)),
    Feature((FLAG,)),
    Feature((WHOLE,)),
    Feature((FLOAT,)),
    Feature((X, TEXT)),
    Feature((TEXT, FLAG)),
    Feature((FLOAT, Z, FLAG, X)),
)


@pytest.mark.parametrize("unseen_as_reference", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_categories_have_the_bits_of_predict(dialect: str, unseen_as_reference: bool) -> None:
    table = rows()
    # the fit has not seen the rows of the second half, of which some have levels of their own
    seen = table.filter(pa.array([text not in TEXTS[:2] for text in table["text"].to_pylist()]))
    model = dataclasses.replace(fitted(seen, *CATEGORIES), unseen_as_reference=unseen_as_reference)
    ours, theirs = in_arrow_and_duckdb(model, table, dialect)
    assert ours == theirs
    n_null = sum(value is None for value in ours)
    assert (0 < n_null < 20) if unseen_as_reference else (50 < n_null < 150)


def test_a_category_of_duckdb_is_text() -> None:
    table = rows()
    model = fitted(table, Feature((TEXT,)), Feature((X,)))
    as_enum = table.set_column(2, "text", table["text"].combine_chunks().dictionary_encode())
    ours, theirs = in_arrow_and_duckdb(model, as_enum)
    assert ours == theirs == in_arrow_and_duckdb(model, table)[1]


def joined(model: Model, rare: set[str]) -> Model:
    """The model of `text` with rare levels as one."""
    labels = [each for each in model.design.levels[(0,)] if each[0] not in rare]
    design = model.design.with_levels({(0,): [*labels, (OTHER,)]})
    return Model(design, model.coef[: len(design.names)], model.intercept)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_rare_and_unknown_levels_are_other_and_a_null_is_not(dialect: str) -> None:
    table = rows()
    model = joined(fitted(table, Feature((TEXT,)), Feature((X,))), set(TEXTS[3:7]))
    ours, theirs = in_arrow_and_duckdb(model, table, dialect)
    assert ours == theirs
    assert [n for n, value in enumerate(ours) if value is None] == [0, 2]


def test_all_levels_may_be_rare() -> None:
    table = rows()
    model = joined(fitted(table, Feature((dataclasses.replace(TEXT, reference=None),)), Feature((X,))), set(TEXTS))
    ours, theirs = in_arrow_and_duckdb(model, table)
    assert ours == theirs
    assert [n for n, value in enumerate(ours) if value is None] == [0, 2]


def times(*columns: str) -> tuple[Feature, ...]:
    parts = ("year", "day", "days", "hour")
    # a date has no hour
    numbers = [Number(f"{p}({c})", Input(c, p)) for c in columns for p in parts if (c, p) != ("day", "hour")]
    return (
        *(Feature((number,)) for number in numbers),
        *(Feature((Category(f"C({p}({c}))", Input(c, p, "number")),)) for c in columns for p in ("month", "weekday")),
    )


def test_parts_of_times_have_the_bits_of_predict_in_duckdb() -> None:
    table = rows()
    model = fitted(table, *times("moment", "day", "local"), zones={"local": "America/New_York"})
    ours, theirs = in_arrow_and_duckdb(model, table)
    assert ours == theirs
    assert len([value for value in ours if value is None]) == 3
    monday = pa.table({"moment": [datetime.datetime(2024, 1, 1, 23, 59)]})
    for of, expected in (("weekday", 0.0), ("hour", 23.0), ("days", 19723 + 1439 / 1440)):
        of_one = fitted(monday, Feature((Number("n", Input("moment", of)),)))
        assert in_duckdb(
            f"SELECT {as_sql(dataclasses.replace(of_one, coef=np.ones(1), intercept=0.0), {}, 'duckdb')} FROM t",
            t=monday,
        ) == [(expected,)]


def test_parts_that_a_dialect_cannot_take_are_refused_with_the_reason() -> None:
    feature = Feature((Number("hour(t)", Input("t", "hour")),))
    for dialect, zone, says in (
        ("spark", "Europe/Paris", "spark knows that of its session only"),
        ("duckdb", "+05:30", "zones with names only"),
        ("postgres", "-0800", "zones with names only"),
    ):
        model = Model(Design((feature,), zones={"t": zone}), np.ones(1), 0.0)
        with pytest.raises(
            ConfigError, match=re.escape(f"hour(t): the column has the time zone {zone}, and ")
        ) as error:
            as_sql(model, {}, dialect)
        assert says in str(error.value)


def test_the_text_of_parts() -> None:
    design = Design(tuple(Feature((Number(p, Input("t", p)),)) for p in ("hour", "weekday", "days")))
    utc = dataclasses.replace(design, zones={"t": "UTC"})
    texts = {d: as_sql(Model(design, np.ones(3), 0.0), {}, d) for d in DIALECTS}
    assert "WEEKDAY(CAST(`t` AS TIMESTAMP_NTZ))" in texts["spark"]
    assert (
        "TIMESTAMPDIFF(MICROSECOND, CAST(CAST(CAST(`t` AS TIMESTAMP_NTZ) AS DATE) AS TIMESTAMP_NTZ), " in texts["spark"]
    )
    assert "MOD(EXTRACT(DAYOFWEEK FROM CAST(`t` AS DATETIME)) + 5, 7)" in texts["bigquery"]
    assert "DATE_DIFF(CAST(CAST(`t` AS DATETIME) AS DATE), CAST('1970-01-01' AS DATE), DAY)" in texts["bigquery"]
    assert "EXTRACT(HOUR FROM DATETIME(`t`, 'UTC'))" in as_sql(Model(utc, np.ones(3), 0.0), {}, "bigquery")
    assert """(EXTRACT(ISODOW FROM ("t" AT TIME ZONE 'UTC')) - 1)""" in as_sql(
        Model(utc, np.ones(3), 0.0), {}, "duckdb"
    )


PRODUCTS = (
    Feature((Number("x**2", Input("x"), (2,)),)),
    Feature((Z, Number("x**3", Input("x"), (3,)))),
    Feature((Number("abs(x)", Input("x"), ("abs",)), Z)),
    Feature((Number("sqrt(z)**5", Input("z"), ("sqrt", 5)),)),
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_powers_and_products_have_the_bits_of_predict(dialect: str) -> None:
    ours, theirs = in_arrow_and_duckdb(fitted(rows(), *PRODUCTS), rows(), dialect)
    assert ours == theirs


def test_a_logarithm_is_that_of_the_engine_to_the_last_digits() -> None:
    table = rows()
    model = fitted(table, Feature((Number("log(z)", Input("z"), ("log",)),)))
    found = [row[0] for row in in_duckdb(f"SELECT {as_sql(model, {}, 'duckdb')} FROM t", t=table)]
    expected = predicted(model, table)
    assert [value is None for value in found] == [math.isnan(value) for value in expected]
    np.testing.assert_allclose([math.nan if v is None else v for v in found], expected, rtol=1e-13)


def test_a_text_with_a_nul_is_refused() -> None:
    table = pa.table({"text": ["a", "b\0c"]})
    with pytest.raises(ConfigError, match=r"level 'b\\x00c' of text: SQL cannot hold a text with a NUL"):
        as_sql(fitted(table, Feature((Category("text", TEXT.input),))), {}, "duckdb")


# PostgreSQL

KINDS = {
    "x": "double precision",
    "z": "double precision",
    "text": "text",
    "flag": "boolean",
    "whole": "bigint",
    "float": "double precision",
    "moment": "timestamp",
    "day": "date",
    "local": "timestamptz",
}


def copied(value: Any) -> Any:
    """A value as COPY reads it."""
    if isinstance(value, str):
        return value.replace("\\", r"\\").replace("\n", r"\n").replace("\t", r"\t")
    return value


@pytest.mark.parametrize("unseen_as_reference", [False, True])
def test_features_have_the_bits_of_predict_in_postgres(postgres: Postgres, unseen_as_reference: bool) -> None:
    table = rows()
    seen = table.filter(pa.array([text not in TEXTS[:2] for text in table["text"].to_pylist()]))
    features = (*CATEGORIES, *times("moment", "day", "local"), *PRODUCTS)
    model = fitted(seen, *features, zones={"local": "America/New_York"})
    model = dataclasses.replace(model, unseen_as_reference=unseen_as_reference)
    lines = [[copied(value) for value in row.values()] for row in table.select(list(KINDS)).to_pylist()]
    found = postgres.predictions(
        KINDS, lines, as_sql(model, {"features": [], "target": "y", "settings": {}}, "postgres", "t")
    )
    assert bits(found) == bits(predicted(model, table))
    assert 200 < sum(value is not None for value in found) < ROWS


# flights

HOUR = Category("C(hour)", Input("hour", None, "number"))
WEEKDAY = Category("weekday(time_hour)", Input("time_hour", "weekday", "number"))
BY_TEXT = [Category(name, Input(name, None, "text")) for name in ("carrier", "origin", "dest")]
FLIGHT_FEATURES = (
    *(Feature((Number(name, Input(name)),)) for name in ("dep_delay", "distance", "air_time")),
    *(Feature((category,)) for category in (HOUR, WEEKDAY, *BY_TEXT)),
    Feature((Number("distance", Input("distance")), BY_TEXT[0])),
    Feature((BY_TEXT[0], BY_TEXT[1])),
)


def test_flights_have_the_bits_of_predict_in_duckdb_and_postgres(postgres: Postgres) -> None:
    path = next(FLIGHTS.glob("month=01/*.parquet"))
    table = pq.ParquetFile(path).read()
    zones = {"time_hour": zone} if (zone := table.schema.field("time_hour").type.tz) else {}
    model = fitted(table.slice(0, 20_000), *FLIGHT_FEATURES, zones=zones)
    expected = bits(predicted(model, table))
    query = as_sql(model, {}, "duckdb", f"read_parquet('{path}')")
    assert bits([row[0] for row in in_duckdb(f"SELECT prediction FROM ({query})")]) == expected
    kinds = dict.fromkeys(("dep_delay", "distance", "air_time", "hour"), "smallint")
    kinds |= {"time_hour": "timestamptz" if zones else "timestamp"} | dict.fromkeys(
        ("carrier", "origin", "dest"), "text"
    )
    rows = [list(row.values()) for row in table.select(list(kinds)).to_pylist()]
    manifest = {"features": [], "target": "y", "settings": {}}
    assert bits(postgres.predictions(kinds, rows, as_sql(model, manifest, "postgres", "t"))) == expected
    assert 0 < sum(value is None for value in expected) < len(expected) / 2
