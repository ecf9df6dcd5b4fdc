"""Categories of new rows: levels that the fit has not seen, nulls, and columns of another kind than in training."""

import datetime
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gdpipe
from gdpipe.design import OTHER, Category, Design, Feature, Input, Number
from gdpipe.model import Unseen
from gdpipe.pipeline import score_source
from gdpipe.stages.scan.unseen import MOST_LEVELS, UnseenCounts
from tests.conftest import gdpipe_cli, write_parquet
from tests.databases import in_duckdb
from tests.planted import planted

CARRIER, HOUR = Category("carrier", Input("carrier", None, "text")), Category("C(hour)", Input("hour", None, "number"))
FEATURES = (Feature((Number("x", Input("x")),)), Feature((CARRIER,)), Feature((CARRIER, HOUR)))
LEVELS: dict[tuple[int, ...], list[tuple[str, ...]]] = {
    (0,): [("AA",), ("B6",)],
    (1,): [("5",), ("17",)],
    (0, 1): [("AA", "5"), ("AA", "17"), ("B6", "5")],
}
DESIGN = Design(FEATURES).with_levels(LEVELS)
# of x, carrier[B6] and carrier[AA]:C(hour)[17]
COEF, INTERCEPT = (2.0, 100.0, 20.0), 1000.0
ROWS: dict[str, list[Any]] = {
    "x": [1.0, 2.0, 3.0, None, 5.0, 6.0, 7.0, 8.0],
    "carrier": ["AA", "B6", "ZZ", "ZZ", None, "B6", "AA", "YY"],
    "hour": [5, 5, 5, 5, 5, 17, 99, 5],
}


@pytest.fixture
def run(tmp_path: Path) -> gdpipe.Run:
    """A run of x, carrier and carrier:C(hour), that has seen B6 and 17 only apart."""
    return planted(tmp_path, DESIGN, COEF, INTERCEPT)


def scored(tmp_path: Path, rows: dict[str, Any] | pa.Table, **settings: Any) -> gdpipe.Run:
    file = write_parquet(tmp_path / "new" / "rows.parquet", rows)
    return score_source(str(file), run=str(tmp_path / "runs"), output=str(tmp_path / "scores"), **settings)


NAN = math.nan
NULL = [1002, 1104, NAN, NAN, NAN, NAN, NAN, NAN]
REFERENCE = [1002, 1104, 1006, NAN, NAN, 1112, 1014, 1016]


@pytest.mark.parametrize(("unseen", "expected"), [("null", NULL), ("reference", REFERENCE)])
def test_scores_and_predict_and_sql_agree(run: gdpipe.Run, tmp_path: Path, unseen: Any, expected: list[float]) -> None:
    scores = scored(tmp_path, ROWS, unseen=unseen)
    np.testing.assert_array_equal(scores.predictions["prediction"], expected)
    np.testing.assert_array_equal(run.predict(pa.table(ROWS), unseen), expected)
    query = gdpipe_cli("sql", run.folder, "--unseen", unseen, "--table", "t").out
    found = [row[-1] for row in in_duckdb(query, t=pa.table(ROWS))]
    np.testing.assert_array_equal([NAN if value is None else value for value in found], expected)


def test_rows_with_unseen_levels_are_counted_by_category(run: gdpipe.Run, tmp_path: Path) -> None:
    about = scored(tmp_path, ROWS | {"y": [0.0] * 8}).manifest
    assert about["rows"] == {
        "read": 8,
        "predicted": 2,
        "left_out": 6,
        "null": {"x": 1, "carrier": 1},
        "unseen": {"C(hour)": {"99": 1}, "carrier": {"YY": 1, "ZZ": 2}, "carrier:C(hour)": {"B6:17": 1}},
        "unseen_others": {},
    }
    assert about["metrics"]["n_samples"] == 2
    assert about["settings"]["unseen"] == "null"
    assert about["notices"] == [
        "C(hour): levels that the fit has not seen in 1 row, without a prediction (99 1); "
        "12% of all rows: train again with such rows",
        "carrier: levels that the fit has not seen in 3 rows, without a prediction (ZZ 2, YY 1); "
        "38% of all rows: train again with such rows",
        "carrier:C(hour): levels that the fit has not seen in 1 row, without a prediction (B6:17 1); "
        "12% of all rows: train again with such rows",
    ]
    shown = gdpipe_cli("show", tmp_path / "scores").out
    assert shown.startswith(
        "rows        8 scored with run planted, 6 without a prediction (x null 1, carrier null 1, C(hour) unseen 1, "
        "carrier unseen 3, carrier:C(hour) unseen 1)\n"
    )


def test_few_rows_with_unseen_levels_are_no_reason_to_train_again(run: gdpipe.Run, tmp_path: Path) -> None:
    rows: dict[str, list[Any]] = {"x": [1.0] * 100, "carrier": ["AA"] * 95 + ["new"] * 5, "hour": [5] * 100}
    scores = scored(tmp_path, rows, unseen="reference")
    says = "carrier: levels that the fit has not seen in 5 rows, predicted as the reference (new 5)"
    assert scores.manifest["notices"][0] == says
    assert "unseen" not in gdpipe_cli("show", tmp_path / "scores").out.splitlines()[0]
    assert "unseen" not in scored(tmp_path, {name: values[:95] for name, values in rows.items()}).manifest["rows"]


def test_fail_names_file_row_category_and_level(run: gdpipe.Run, tmp_path: Path) -> None:
    says = r"rows\.parquet: carrier is 'ZZ' in row 2, a level that the fit has not seen; correct it, "
    with pytest.raises(gdpipe.DataError, match=says):
        scored(tmp_path, ROWS, unseen="fail")
    assert not (tmp_path / "scores" / "latest.json").exists()
    with pytest.raises(gdpipe.DataError, match=r"^row 2: carrier is 'ZZ', a level that the fit has not seen"):
        run.predict(pa.table(ROWS), "fail")
    pair = {name: values[5:6] for name, values in ROWS.items()}
    with pytest.raises(gdpipe.DataError, match=r"^row 0: carrier:C.hour. is 'B6:17', a level"):
        run.predict(pair, unseen="fail")
    seen = {name: values[:2] for name, values in ROWS.items()}
    assert run.predict(seen, unseen="fail").tolist() == NULL[:2]
    done = gdpipe_cli("predict", tmp_path / "new", "--run", run.folder, "--output", tmp_path / "s", "--unseen", "fail")
    assert done.code == 3
    with pytest.raises(gdpipe.ConfigError, match="unseen 'nul': must be one of null, reference, fail"):
        run.predict(seen, "nul")  # type: ignore[arg-type]  # what is tested


def test_unknown_levels_are_other_where_rare_ones_were_joined(tmp_path: Path) -> None:
    design = Design((Feature((CARRIER,)),)).with_levels({(0,): [("AA",), (OTHER,)]})
    run = planted(tmp_path, design, [5.0], 1.0)
    assert run.predict({"carrier": ["AA", "ZZ", None]}, "fail").tolist()[:2] == [1.0, 6.0]
    assert "unseen" not in scored(tmp_path, {"carrier": ["AA", "ZZ", None]}).manifest["rows"]


def test_counts_are_the_same_however_the_rows_are_cut() -> None:
    rng = np.random.default_rng(0)
    labels = tuple(f"level {i}" for i in range(3 * MOST_LEVELS))
    codes = rng.integers(0, len(labels), 5000)

    def counts(part: np.ndarray[Any, Any]) -> UnseenCounts:
        return UnseenCounts.of([Unseen("c", labels, part, part % 2 == 1)])

    whole = counts(codes)
    parts = UnseenCounts({}, {})
    for part in np.array_split(codes[::-1], 37):
        parts += counts(part)
    assert (parts.rows, parts.levels) == (whole.rows, whole.levels)
    assert whole.rows == {"c": int((codes % 2).sum())}
    assert whole.levels["c"] == {
        label: int((codes == labels.index(label)).sum()) for label in sorted(labels[1::2])[:MOST_LEVELS]
    }
    others = whole.as_dict()["unseen_others"]["c"]
    assert others + sum(whole.levels["c"].values()) == whole.rows["c"]


# types


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(21, 2), pa.dictionary(pa.int8(), pa.int64())]
)
def test_numbers_agree_by_their_value(run: gdpipe.Run, tmp_path: Path, kind: pa.DataType) -> None:
    rows = {name: values[:2] for name, values in ROWS.items()}
    hours = (
        pa.array([5, 5]).dictionary_encode()
        if pa.types.is_dictionary(kind)
        else pa.array([5, 5]).cast(kind, safe=False)
    )
    table = pa.table(rows | {"hour": hours})
    assert run.predict(table, "fail").tolist() == NULL[:2]
    assert scored(tmp_path, table, unseen="fail").predictions["prediction"].to_list() == NULL[:2]


UNFIT: dict[str, tuple[dict[str, list[Any]], str]] = {
    "text where numbers were": ({"hour": ["5", "5"]}, "column 'hour' is string; the model needs numbers"),
    "numbers where text was": ({"carrier": [1, 2]}, "column 'carrier' is int64; the model needs text or dates"),
    "text for a number": ({"x": ["1", "2"]}, "column 'x' is string; the model needs numbers"),
    "times": ({"hour": [datetime.datetime(2024, 1, 1)] * 2}, "column 'hour' is timestamp[us]; the model needs numbers"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_column_of_another_kind_is_named(run: gdpipe.Run, tmp_path: Path, case: str) -> None:
    other, says = UNFIT[case]
    rows = {name: values[:2] for name, values in ROWS.items()} | other
    for predict in (run.predict, lambda table: scored(tmp_path, table)):
        with pytest.raises(gdpipe.SchemaError, match=re.escape(says)):
            predict(pa.table(rows))


def test_frames_of_every_library(run: gdpipe.Run) -> None:
    rows = {name: values[:3] for name, values in ROWS.items()}
    pandas, polars = pd.DataFrame(rows), pl.DataFrame(rows)
    for frame in (
        rows,
        pandas,
        pandas.astype({"carrier": "category"}),
        pandas.astype({"carrier": "string", "hour": "Int8"}),
        pandas.astype({"carrier": object, "hour": "category"}),
        polars,
        polars.with_columns(pl.col("carrier").cast(pl.Categorical)),
        polars.with_columns(pl.col("carrier").cast(pl.Enum(["ZZ", "B6", "AA"]))),
        pl.concat([polars[:1], polars[1:]], rechunk=False),
        pa.table(rows),
        pa.record_batch(rows),
    ):
        np.testing.assert_array_equal(run.predict(frame), NULL[:3])


ZONE = "America/New_York"
FLAG = Category("flag", Input("flag", None, "boolean"))
TIMES = Design(
    (
        Feature((FLAG,)),
        Feature((Number("hour(t)", Input("t", "hour")),)),
        Feature((Number("day(d)", Input("d", "day")),)),
    ),
    zones={"t": ZONE},
).with_levels({(0,): [("false",), ("true",)]})


def test_booleans_and_hours_in_the_zone_of_the_training(tmp_path: Path) -> None:
    run = planted(tmp_path, TIMES, [1000.0, 1.0, 0.01], 0.0)
    moments = pd.to_datetime(["2024-01-01 03:00", "2024-07-01 03:00"]).tz_localize("UTC")
    dates = [datetime.date(2024, 1, 31), datetime.date(2024, 1, 1)]
    expected = [1022.31, 23.01]
    in_utc = pd.DataFrame({"flag": [True, False], "t": moments, "d": dates})
    for frame in (
        in_utc,
        in_utc.assign(t=moments.tz_convert(ZONE)),
        in_utc.assign(t=moments.tz_convert("Asia/Tokyo"), d=pd.to_datetime(dates)),
        pl.from_pandas(in_utc),
    ):
        assert run.predict(frame).to_list() == pytest.approx(expected, rel=1e-15)
    scores = scored(tmp_path, pa.Table.from_pandas(in_utc))
    assert scores.predictions["prediction"].to_list() == pytest.approx(expected, rel=1e-15)
    with pytest.raises(gdpipe.SchemaError, match=re.escape(f"timestamps with a time zone, such as {ZONE}")):
        run.predict(in_utc.assign(t=moments.tz_localize(None)))
    with pytest.raises(gdpipe.SchemaError, match="column 'flag' is int64; the model needs booleans"):
        run.predict(in_utc.assign(flag=[1, 0]))


def test_a_category_of_nothing_but_nulls_predicts_nothing(run: gdpipe.Run, tmp_path: Path) -> None:
    table = pa.table({"x": [1.0, 2.0], "carrier": pa.nulls(2), "hour": [5, 5]})
    assert scored(tmp_path, table).manifest["rows"] == {
        "read": 2,
        "predicted": 0,
        "left_out": 2,
        "null": {"carrier": 2},
    }
    assert scored(tmp_path, table.slice(0, 0)).predictions.empty
    assert run.predict(table).isna().all()
    assert run.predict(table.slice(0, 0)).empty
