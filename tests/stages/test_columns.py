"""Which columns become features, and as what; what is said of the others."""

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gdpipe.config import TrainingConfig
from gdpipe.design import Category, Number
from gdpipe.errors import ConfigError, DataError, SchemaError
from gdpipe.source.distinct import count_levels
from gdpipe.source.source import Source
from gdpipe.stages.columns import MOST_LEVELS, Columns, choose_columns
from gdpipe.store.cache import Cache
from gdpipe.store.runs import place_at
from tests.conftest import write_parquet

N = 120
START = datetime.datetime(2024, 1, 1)
TIMES = pa.array([START + datetime.timedelta(hours=7 * i) for i in range(N)], pa.timestamp("us"))
DATES = TIMES.cast(pa.date32(), safe=False)
PLAIN: dict[str, Any] = {
    "y": [float(i % 7) for i in range(N)],
    "x": list(range(N)),
    "few": [f"l{i % MOST_LEVELS}" for i in range(N)],
    "flag": [i % 3 == 0 for i in range(N)],
}


def chosen(path: Path, cache: Cache | None = None, **settings: Any) -> tuple[Columns, tuple[str, ...]]:
    config = TrainingConfig.of({"source": str(path), "target": "y", **settings})
    return choose_columns(config, Source.open(str(path), config.filters), cache)


def parts_of(folder: Path, columns: dict[str, Any], *ends: int) -> Path:
    table = pa.table(columns)
    for part, (start, stop) in enumerate(zip((0, *ends), (*ends, N), strict=True)):
        write_parquet(folder / f"{part}.parquet", table[start:stop], row_group_size=25)
    return folder


def test_all_columns_that_can_be_used(tmp_path: Path) -> None:
    columns = {**PLAIN, "many": [f"l{i % (MOST_LEVELS + 1)}" for i in range(N)], "t": TIMES, "d": DATES}
    file = write_parquet(tmp_path / "d.parquet", {**columns, "list": [[i] for i in range(N)]})
    found, notices = chosen(file)
    assert [type(f.factors[0]) for f in found.design.features] == [Number, Category, Category]
    assert [f.name for f in found.design.features] == ["x", "few", "flag"]
    assert list(notices) == [
        "left out, of a type that cannot be a feature: list (list<element: int64>)",
        "left out, text of more than 50 levels unless named in features: many (51)",
        "left out, dates and timestamps, of which features name parts such as days(t), month(t), weekday(t): t, d",
    ]
    named, notices = chosen(file, features="many,C(weekday(t)),C(d),x:flag")
    assert [f.name for f in named.design.features] == ["many", "C(weekday(t))", "C(d)", "x:flag"]
    assert not notices


@pytest.mark.parametrize("ends", [(), (1,), (60, 70), (51, 100)])
def test_which_text_has_many_levels_does_not_depend_on_the_cut(ends: tuple[int, ...], tmp_path: Path) -> None:
    columns = {**PLAIN, "many": [f"l{i % (MOST_LEVELS + 1)}" for i in range(N)], "name": [f"n{i}" for i in range(N)]}
    found, notices = chosen(parts_of(tmp_path, columns, *ends))
    assert found.design.columns == ("x", "few", "flag")
    assert notices == (f"left out, text of more than 50 levels unless named in features: many (51), name ({N})",)
    # of the rows that pass the filters, in which a dictionary has levels that no row has
    found, notices = chosen(tmp_path, filters="many != 'l5'")
    assert found.design.columns == ("x", "few", "flag", "many")
    assert notices == (f"left out, text of more than 50 levels unless named in features: name ({N - 3})",)
    assert count_levels(Source.open(str(tmp_path)), ["many", "name"], 2**29, None, most=60) == {"many": 51, "name": 61}


def test_levels_of_text_are_read_once_for_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, output = parts_of(tmp_path / "d", PLAIN, 40, 80), place_at(tmp_path / "runs")
    first = chosen(folder, Cache(output))

    def unreadable(*_: Any) -> None:
        raise AssertionError("rows were read again")

    monkeypatch.setattr("gdpipe.source.distinct._in_shards", unreadable)
    assert chosen(folder, Cache(output)) == first
    with pytest.raises(AssertionError, match="read again"):
        chosen(folder, Cache(output), filters="x > 3")
    for entry in (tmp_path / "runs" / "moments").iterdir():
        entry.write_bytes(entry.read_bytes().replace(b"l1", b"l2"))
    with pytest.raises(AssertionError, match="read again"):
        chosen(folder, Cache(output))


def test_partition_columns_are_features_too(tmp_path: Path) -> None:
    for place in ("kind=a/year=2024", "kind=b/year=2025"):
        write_parquet(tmp_path / "d" / place / "0.parquet", PLAIN)
    found, _ = chosen(tmp_path / "d")
    assert [f.name for f in found.design.features] == ["x", "few", "flag", "kind", "year"]
    assert [type(f.factors[0]) for f in found.design.features[-2:]] == [Category, Number]


def test_text_is_one_kind_however_it_is_kept(tmp_path: Path) -> None:
    texts = pa.array(PLAIN["few"])
    kinds = (texts, texts.dictionary_encode(), texts.cast(pa.large_string()), pa.nulls(N))
    for part, values in enumerate(kinds):
        write_parquet(tmp_path / f"{part}.parquet", {**PLAIN, "few": values})
    found, _ = chosen(tmp_path)
    assert [f.name for f in found.design.features] == ["x", "few", "flag"]


@pytest.mark.parametrize("other", [list(range(N)), DATES, PLAIN["flag"]], ids=["number", "date", "boolean"])
def test_text_in_one_file_and_something_else_in_another(other: Any, tmp_path: Path) -> None:
    write_parquet(tmp_path / "0.parquet", PLAIN)
    write_parquet(tmp_path / "1.parquet", {**PLAIN, "few": other})
    for features in (None, ["few"], ["x", "x:few"]):
        with pytest.raises(SchemaError, match=r"1.parquet: column 'few' is .*, but string in .*0.parquet"):
            chosen(tmp_path, features=features)


def test_booleans_beside_numbers_are_numbers(tmp_path: Path) -> None:
    write_parquet(tmp_path / "0.parquet", PLAIN)
    write_parquet(tmp_path / "1.parquet", {**PLAIN, "flag": list(range(N))})
    found, _ = chosen(tmp_path, features="flag,C(flag)")
    assert [f.name for f in found.design.features] == ["flag", "C(flag)"]


def test_time_zones_must_agree_and_be_known(tmp_path: Path) -> None:
    for part, zone in enumerate(("Europe/Berlin", "UTC")):
        write_parquet(tmp_path / f"{part}.parquet", {**PLAIN, "t": TIMES.cast(pa.timestamp("us", zone))})
    with pytest.raises(SchemaError, match="'t' has the time zones Europe/Berlin and UTC; write all files with one"):
        chosen(tmp_path, features="hour(t)")
    moon = TIMES.cast(pa.timestamp("us", "Moon/Base"))
    file = write_parquet(tmp_path / "unknown" / "d.parquet", {**PLAIN, "t": moon})
    with pytest.raises(SchemaError, match="time zone 'Moon/Base', which this machine does not know"):
        chosen(file, features="hour(t)")
    assert chosen(file)[0].design.columns == ("x", "few", "flag")


def test_roles_are_numbers_and_in_no_feature(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "d.parquet", PLAIN)
    with pytest.raises(SchemaError, match="target column 'few' is string; a target must be a number"):
        chosen(file, target="few")
    with pytest.raises(SchemaError, match="weight column 'few' is string; a weight must be a number"):
        chosen(file, weight="few", features="x")
    with pytest.raises(ConfigError, match=r"'log\(y\)' uses 'y', which is the target"):
        chosen(file, features="log(y)")
    with pytest.raises(SchemaError, match=r"feature column 'fwe' is not there.*did you mean 'few'"):
        chosen(file, features="x:fwe")


def test_names_that_are_not_utf_8_are_an_error_with_their_file(tmp_path: Path) -> None:
    offsets = pa.py_buffer(bytes(4 * N) + N.to_bytes(4, "little"))
    bad = pa.Array.from_buffers(pa.string(), N, [None, offsets, pa.py_buffer(b"\xff" * N)])
    file = write_parquet(tmp_path / "d.parquet", {**PLAIN, "few": bad})
    with pytest.raises(DataError, match=r"d.parquet: column 'few' holds text that is not UTF-8"):
        chosen(file)
