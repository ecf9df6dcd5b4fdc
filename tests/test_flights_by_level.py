"""The flights with categories, in whole runs: right to the last digits, the same bits always, and read once."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import flint
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import statsmodels.formula.api as smf
from scipy import sparse

import gdpipe
from gdpipe.run import summary
from tests.conftest import FLIGHTS, gdpipe_cli, snapshot
from tests.databases import Postgres, bits, in_duckdb
from tests.runs import train
from tests.test_same_bits import bits as published

FEATURES = (
    "dep_delay",
    "distance",
    "air_time",
    "C(hour)",
    "C(month)",
    "carrier",
    "origin",
    "dest",
    "weekday(time_hour)",
)
FORMULA = "arr_delay ~ dep_delay + distance + air_time + C(hour) + C(month) + carrier + origin + dest + weekday"
# of the fewest columns that tell whether bits are the same, in all kinds of features
IN_SHORT = ("dep_delay", "distance", "C(hour)", "carrier", "dest", "C(weekday(time_hour))", "air_time:origin")


def flights(*months: int) -> pa.Table:
    """Flights of some months, or all, with a number for each."""
    rows = ds.dataset(FLIGHTS, partitioning="hive").to_table(filter=ds.field("month").isin(months) if months else None)
    return rows.append_column("id", pa.array(range(len(rows))))


# right


def used(table: pa.Table) -> pd.DataFrame:
    """The rows that a fit uses, with the day of the week."""
    rows: pd.DataFrame = table.to_pandas().dropna(subset=["arr_delay", "dep_delay", "air_time"])
    rows["month"], rows["weekday"] = rows["month"].astype(int), rows["time_hour"].dt.day_of_week
    return rows


def test_coefficients_errors_and_r2_are_those_of_statsmodels(tmp_path: Path) -> None:
    # of all flights statsmodels would take a quarter of a minute, and gigabytes
    some = "month <= 2 and day <= 14"
    theirs = smf.ols(FORMULA, used(flights(1, 2)).query("day <= 14")).fit()
    run = train(FLIGHTS, tmp_path, target="arr_delay", features=FEATURES, filters=some, predict="none")
    ours = run.parameters.set_index("term")
    names = [_ours(name) for name in theirs.params.index]
    assert len(names) == len(ours) > 130
    np.testing.assert_allclose(ours.loc[names, "ols_estimate"], theirs.params, rtol=1e-8)
    np.testing.assert_allclose(ours.loc[names, "std_error"], theirs.bse, rtol=1e-8)
    assert run.metrics["r2"][0] == pytest.approx(theirs.rsquared, rel=1e-8)


def _ours(name: str) -> str:
    renamed = {"Intercept": "intercept", "weekday": "weekday(time_hour)"}
    return renamed.get(name, name.replace("T.", ""))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gdpipe.Run:
    """A run of all flights."""
    output = tmp_path_factory.mktemp("flights")
    return train(FLIGHTS, output, target="arr_delay", features=FEATURES, predict="none")


def test_the_summary_of_153_terms_is_no_longer_than_a_screen(run: gdpipe.Run) -> None:
    lines = summary(run, width=100).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines[:-1])) <= 100  # the last is a path


def test_all_flights_have_the_rational_solution_of_the_one_hot_matrix_rounded_once(run: gdpipe.Run) -> None:
    rows, ours = used(flights()), run.parameters
    assert len(ours) == 154
    X, y = one_hot(rows, ours), rows["arr_delay"].to_numpy(float)
    # whole numbers, whose sums of products are below 2^53 and so not rounded
    sums = (y @ y, X.T @ y, (X.T @ X).toarray())
    squares, of_target, of_products = (of.astype(np.int64).tolist() for of in sums)
    assert max(map(max, of_products)) < 2**53
    identity = np.eye(len(ours), dtype=int).tolist()
    solved = flint.fmpz_mat(of_products).solve(
        flint.fmpz_mat([[value, *unit] for value, unit in zip(of_target, identity, strict=True)])
    )
    estimates = [fraction(solved[j, 0]) for j in range(len(ours))]
    assert ours["ols_estimate"].to_list() == [float(value) for value in estimates]
    residual = squares - sum(b * value for b, value in zip(estimates, of_target, strict=True))
    variance = residual / (len(y) - len(estimates))
    errors = [math.sqrt(variance * fraction(solved[j, j + 1])) for j in range(len(ours))]
    np.testing.assert_allclose(ours["std_error"], errors, rtol=1e-14)
    r2 = 1 - residual / (squares - Fraction(of_target[0] ** 2, len(y)))
    assert run.metrics["r2"][0] == pytest.approx(float(r2), rel=1e-14)


def one_hot(rows: pd.DataFrame, terms: pd.DataFrame) -> sparse.csc_array:
    """The matrix of the regression, a column a term, shape (n_rows, n_terms)."""
    columns = [np.ones(len(rows))]
    for feature in terms["feature"][1:].unique():
        values = rows[{"weekday(time_hour)": "weekday"}.get(feature, feature.removeprefix("C(").removesuffix(")"))]
        texts = values.astype(str).to_numpy()
        columns += [
            values.to_numpy(float) if pd.isna(level) else (texts == level).astype(float)
            for level in terms.loc[terms["feature"] == feature, "level"]
        ]
    return sparse.hstack([sparse.csc_array(column[:, np.newaxis]) for column in columns])


def fraction(value: flint.fmpq) -> Fraction:
    return Fraction(int(value.p), int(value.q))


# the same bits


# few destinations, as folds take a second for a hundred terms; the last two are flown to from March on
SOME_PLACES = ("ATL", "BOS", "CLT", "FLL", "LAX", "MCO", "ORD", "BGR", "CHO")


def to_some_places(*months: int) -> pa.Table:
    return flights(*months).filter(pc.field("dest").isin(SOME_PLACES))


def first_months() -> pa.Table:
    return to_some_places(1, 2).drop_columns(["tailnum", "minute", "sched_dep_time", "flight"])


def in_one_file(rows: pa.Table, folder: Path) -> None:
    pq.write_table(rows, folder / "all.parquet")


def in_files_of_other_types(rows: pa.Table, folder: Path) -> None:
    """Shuffled rows in files of their own types, whose names are not in the order of the rows."""
    shuffled = rows.take(np.random.default_rng(0).permutation(len(rows)))
    types = {
        0: {"hour": pa.int64(), "carrier": pa.large_string()},
        1: {"hour": pa.float64(), "time_hour": pa.timestamp("us", "UTC"), "dest": pa.string_view()},
        2: {"carrier": pa.dictionary(pa.int32(), pa.string()), "origin": pa.dictionary(pa.int8(), pa.string())},
    }
    for part, kinds in types.items():
        some = shuffled.slice(part * 7_000, 7_000)
        for name, kind in kinds.items():
            at = some.schema.get_field_index(name)
            column = some[name].dictionary_encode() if pa.types.is_dictionary(kind) else some[name]
            some = some.set_column(at, name, column if column.type == kind else column.cast(kind))
        pq.write_table(some, folder / f"{9 - part}.parquet", row_group_size=1_001, compression="zstd")


def in_partitions(rows: pa.Table, folder: Path) -> None:
    """Folders that have the origin in their names, which is text."""
    ds.write_dataset(rows, folder, format="parquet", partitioning=["origin"], partitioning_flavor="hive")


def of_short(source: Path, output: Path, **settings: Any) -> gdpipe.Run:
    settings = {"target": "arr_delay", "features": IN_SHORT, "key": ["id"], **settings}
    return train(source, output, **settings)


def all_bits(run: gdpipe.Run) -> tuple[bytes, ...]:
    tables = run.features, run.levels
    return (*published(run), *(table.to_json(double_precision=15).encode() for table in tables))


def test_any_layout_and_engine_have_the_same_bits(tmp_path: Path) -> None:
    for write in (in_one_file, in_files_of_other_types, in_partitions):
        (tmp_path / write.__name__).mkdir()
        write(first_months(), tmp_path / write.__name__)
    one = all_bits(of_short(tmp_path / "in_one_file", tmp_path / "one"))
    assert all_bits(of_short(tmp_path / "in_files_of_other_types", tmp_path / "files", memory="32MiB")) == one
    assert all_bits(of_short(tmp_path / "in_partitions", tmp_path / "partitions", workers=2)) == one


def by_month(folder: Path, *months: int) -> None:
    folder.mkdir(exist_ok=True)
    for month in months:
        pq.write_table(to_some_places(month), folder / f"{month:02}.parquet")


def test_a_new_level_reads_its_file_only_and_leaves_with_it(tmp_path: Path) -> None:
    source, output = tmp_path / "data", tmp_path / "runs"
    by_month(source, 1, 2)
    never = of_short(source, tmp_path / "never", run_id="without-march")
    assert of_short(source, output).manifest["rows"]["scanned"] == never.manifest["rows"]["read"]
    by_month(source, 3)
    more = of_short(source, output)
    assert {*more.parameters["level"]} - {*never.parameters["level"]} == {"BGR", "CHO"}
    assert [each["sums"] for each in more.manifest["inputs"]] == ["kept", "kept", "read"]
    assert all_bits(more) == all_bits(of_short(source, tmp_path / "anew"))
    (source / "03.parquet").unlink()
    after = of_short(source, output, run_id="without-march")
    assert after.manifest["rows"]["scanned"] == 0
    tables = snapshot(never.folder)
    del tables["manifest.json"]  # which has times
    assert {"parameters.parquet", "levels.parquet", "predictions/part-00000.parquet"} < {*tables}
    assert {name: content for name, content in snapshot(after.folder).items() if name in tables} == tables


# the same predictions


KINDS = {
    **dict.fromkeys(("dep_delay", "distance", "air_time", "hour"), "smallint"),
    **dict.fromkeys(("carrier", "origin", "dest"), "text"),
    "time_hour": "timestamptz",
}


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> gdpipe.Run:
    """A run of the flights of January."""
    return of_short(FLIGHTS, tmp_path_factory.mktemp("january"), filters="month = 1", key=())


@pytest.mark.parametrize("unseen", ["null", "reference"])
def test_all_ways_to_predict_have_the_same_bits(
    unseen: Any, january: gdpipe.Run, postgres: Postgres, tmp_path: Path
) -> None:
    table = flights(3)  # with destinations that January does not have
    pq.write_table(table, tmp_path / "march.parquet")
    options = ("--run", january.location, "--output", tmp_path / "scores", "--key", "id", "--unseen", unseen)
    done = gdpipe_cli("predict", tmp_path / "march.parquet", *options)
    assert done.code == 0, done.err
    expected = bits(gdpipe.open_run(tmp_path / "scores").predictions["prediction"].to_list())
    missing = expected.count(None)
    assert bits(january.predict(table, unseen=unseen).to_list()) == expected
    sql = ("sql", january.location, "--table", "t", "--unseen", unseen)
    found = in_duckdb(gdpipe_cli(*sql).out, t=table)
    assert bits([prediction for *_, _, prediction in sorted(found, key=lambda row: row[-2])]) == expected
    rows = [list(row.values()) for row in table.select(list(KINDS)).to_pylist()]
    query = gdpipe_cli(*sql, "--dialect", "postgres").out.strip()
    assert bits(postgres.predictions(KINDS, rows, query)) == expected
    n_missing = table["air_time"].null_count
    assert missing == n_missing if unseen == "reference" else n_missing < missing < n_missing + 500
