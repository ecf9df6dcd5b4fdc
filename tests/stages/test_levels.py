"""Categories in the first scan: by level, as a one-hot matrix in statsmodels, kept by file, joined, or refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import statsmodels.formula.api as smf

from gdpipe import fit as core
from gdpipe.config import TrainingConfig
from gdpipe.engine import open_executor
from gdpipe.errors import ConfigError, DataError
from gdpipe.fit import AnyMoments
from gdpipe.numerics.sums import level_index
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.moments import Moments
from gdpipe.stages.cached_sums import CachedSums
from gdpipe.stages.ingest import Ingested, ingest
from gdpipe.stages.scan.row_sums import Sums
from gdpipe.stages.standardize import resolution_of
from tests.conftest import REPO, write_parquet

FEATURES = ("x", "shop", "x:shop", "C(hour)")


def some_rows(seed: int, shops: str = "abcd", n: int = 400) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shop = rng.choice(list(shops), n)
    x, hour = rng.normal(3, 1, n), rng.integers(0, 5, n)
    y = 2 * x + np.array([ord(s) for s in shop]) + hour**2 + rng.normal(size=n)
    return {"y": y, "x": x, "hour": hour, "shop": shop.tolist(), "w": rng.integers(1, 5, n).astype(float)}


def ingested(source: Path, output: Path | None = None, **settings: Any) -> Ingested:
    settings = {"target": "y", "features": FEATURES, **settings}
    with open_executor() as executor:
        config = TrainingConfig(source=str(source), output=str(output or source.parent / "out"), **settings)
        return ingest(config, executor)


def same_bits(a: AnyMoments, b: AnyMoments) -> bool:
    if isinstance(a, Moments) and isinstance(b, Moments):
        return bool(
            (a.exponents == b.exponents).all() and (a.products == b.products).all() and (a.sums == b.sums).all()
        )
    assert isinstance(a, Float64Moments)
    assert isinstance(b, Float64Moments)
    return bool((a.comoments == b.comoments).all() and (a.means == b.means).all())


def test_flights_are_those_of_statsmodels(tmp_path: Path) -> None:
    config = TrainingConfig(
        source=str(REPO / "data" / "flights"),
        target="arr_delay",
        features=("dep_delay", "distance", "carrier", "origin", "C(month)", "air_time:origin"),
        output=str(tmp_path),
        filters="month <= 2",  # of all months statsmodels would take ten times as long
        folds=0,
    )
    with open_executor() as executor:
        found = ingest(config, executor)
    rows = pq.read_table(REPO / "data" / "flights", filters=[("month", "<=", 2)]).to_pandas()
    rows["month"] = rows["month"].astype(int)
    formula = "arr_delay ~ dep_delay + distance + C(carrier) + C(origin) + C(month) + air_time:C(origin)"
    expected = smf.ols(formula, rows).fit()
    fit = core.fit(found.moments, found.columns.design, config)
    ours = dict(zip(found.columns.design.names, fit.ols.coef, strict=True))
    assert len(ours) == len(expected.params) - 1
    assert fit.ols.intercept == pytest.approx(expected.params["Intercept"], rel=1e-8)
    for name, value in expected.params.drop("Intercept").items():
        as_ours = name.replace("C(carrier)", "carrier").replace("C(origin)", "origin").replace("T.", "")
        assert ours[as_ours] == pytest.approx(value, rel=1e-8), name
    assert fit.statistics.r2 == pytest.approx(expected.rsquared, abs=1e-10)


@pytest.mark.parametrize("settings", [{}, {"weight": "w"}, {"arithmetic": "float64"}])
def test_kept_sums_give_the_same_bits(tmp_path: Path, settings: dict[str, Any]) -> None:
    source = tmp_path / "data"
    source.mkdir()
    for number in range(3):
        write_parquet(source / f"{number}.parquet", some_rows(number))
    first = ingested(source, **settings)
    assert first.scanned == {0: 400, 1: 400, 2: 400}
    # a level that no file had: only the new file is read
    write_parquet(source / "3.parquet", some_rows(3, "axyz"))
    second = ingested(source, **settings)
    assert set(second.scanned) == {3}
    assert same_bits(second.moments, ingested(source, tmp_path / "anew", **settings).moments)
    assert "shop[z]" in second.columns.design.names
    # without the file nothing of it is left
    (source / "3.parquet").unlink()
    third = ingested(source, **settings)
    assert third.scanned == {}
    assert third.columns.design == first.columns.design
    assert same_bits(third.moments, first.moments)
    assert {key: sums.labels for key, sums in third.levels.items()} == {k: s.labels for k, s in first.levels.items()}


def test_layout_does_not_matter(tmp_path: Path) -> None:
    rows = pa.table(some_rows(1, n=3_000))
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    pq.write_table(rows, tmp_path / "one" / "a.parquet")
    shuffled = rows.take(np.random.default_rng(0).permutation(3_000))
    for part in range(3):
        some = shuffled.slice(part * 1_000, 1_000)
        encoded = some.set_column(some.schema.get_field_index("shop"), "shop", some["shop"].dictionary_encode())
        pq.write_table(encoded, tmp_path / "many" / f"{part}.parquet", row_group_size=170)
    one, many = ingested(tmp_path / "one", tmp_path / "a"), ingested(tmp_path / "many", tmp_path / "b")
    assert one.columns.design == many.columns.design
    assert same_bits(one.moments, many.moments)


def test_rare_levels_are_joined_exactly(tmp_path: Path) -> None:
    rows = some_rows(1)
    rows["shop"][:3] = ["u", "v", "v"]
    write_parquet(tmp_path / "a.parquet", rows)
    found = ingested(tmp_path / "a.parquet", min_level_rows=5)
    write_parquet(tmp_path / "b.parquet", {**rows, "shop": ["(other)"] * 3 + rows["shop"][3:]})
    expected = ingested(tmp_path / "b.parquet")
    assert "shop[(other)]" in found.columns.design.names
    assert found.columns.design == expected.columns.design
    assert same_bits(found.moments, expected.moments)
    assert found.levels[(0,)] == expected.levels[(0,)]


def test_too_many_levels_are_refused_with_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.parquet"
    write_parquet(source, some_rows(1))
    with pytest.raises(DataError, match=r"a\.parquet: features: 'hour' has 5 levels, more than max_levels=4; raise it"):
        ingested(source, max_levels=4)
    assert ingested(source, max_levels=5).columns.design.terms
    monkeypatch.setattr(level_index, "MOST_COMBINATIONS", 19)
    with pytest.raises(DataError, match="'shop' and 'hour' have more than 19 combinations of levels, too many"):
        ingested(source, tmp_path / "other")
    monkeypatch.setattr(level_index, "MOST_LEVELS", 3)
    with pytest.raises(DataError, match="'shop' has more than 3 levels, too many"):
        ingested(source, tmp_path / "other")


def test_products_have_no_more_levels_than_categories_may(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", some_rows(1))
    with pytest.raises(
        DataError, match=r"'shop:C\(hour\)' has 20 levels, more than max_levels=19; raise it, join rare"
    ):
        ingested(source, features=("shop:C(hour)",), max_levels=19)
    assert len(ingested(source, features=("shop:C(hour)",), max_levels=20).columns.design.terms) == 20


def test_a_reference_must_be_a_level(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", some_rows(1))
    with pytest.raises(ConfigError, match=r"'q', the reference of .*, is no level of it"):
        ingested(tmp_path / "a.parquet", features=('C(shop, ref="q")',))
    with pytest.raises(
        ConfigError, match=r"'b', the reference of shop, has fewer rows than min_level_rows=390; name anoth"
    ):
        ingested(tmp_path / "a.parquet", features=('C(shop, ref="b")',), min_level_rows=390)


def test_a_category_with_one_level_has_no_term(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", {**some_rows(1), "shop": ["a"] * 400})
    found = ingested(tmp_path / "a.parquet", features=("x", "shop"))
    assert found.columns.design.names == ("x",)
    assert "without a term, as all rows have one level: shop" in found.notices
    with pytest.raises(DataError, match=r"no feature has a term, as all are categories with one level; name others$"):
        ingested(tmp_path / "a.parquet", features=("shop",))
    with pytest.raises(DataError, match=r"; name others, or lower min_level_rows$"):
        ingested(tmp_path / "a.parquet", features=("C(hour)",), min_level_rows=390)


@pytest.mark.parametrize(
    ("levels", "number", "features", "name", "of"),
    [
        (["a", "b"], "shop[b]", ("shop", "shop[b]"), "shop[b]", "shop and of shop[b]"),
        # a level that reads like the end of one and the beginning of another
        (["a", "a]:door[b"], "z", ("shop:door",), "shop[a]:door[b]:door[c]", "shop:door"),
    ],
)
def test_two_terms_of_one_name_are_refused(
    levels: list[str], number: str, features: tuple[str, ...], name: str, of: str, tmp_path: Path
) -> None:
    rows = some_rows(1)
    doors = ["c", "b]:door[c"]
    odd = {"shop": [levels[i % 2] for i in range(400)], "door": [doors[i % 3 == 0] for i in range(400)]}
    source = write_parquet(tmp_path / "a.parquet", {**rows, **odd, number: rows["x"]})
    with pytest.raises(DataError) as refused:
        ingested(source, features=features)
    said = f"two terms have the name {name!r}, of {of}; rename the column or the level, or leave a feature out"
    assert str(refused.value) == f"{source}: features: {said}"


def test_functions_and_parts_of_dates_are_summed(tmp_path: Path) -> None:
    rows = some_rows(1)
    rows["t"] = pd.date_range("2024-02-27 20:00", periods=400, freq="7h").to_numpy()
    rows["x"] = np.abs(rows["x"]) + 1
    write_parquet(tmp_path / "a.parquet", rows)
    found = ingested(tmp_path / "a.parquet", features=("log(x)", "x**2", "weekday(t)", "days(t)", "x:hour"))
    t = pd.Series(rows["t"])
    x = rows["x"]
    days = (t - pd.Timestamp("1970-01-01")) / pd.Timedelta("1D")
    columns = np.array([np.log(x), x**2, t.dt.day_of_week, days, x * rows["hour"], rows["y"]])
    assert isinstance(found.moments, Moments)
    step = np.ldexp(1.0, found.moments.exponents)
    assert np.allclose(found.moments.sums.astype(float) * step, columns.sum(axis=1), rtol=1e-12)
    products = found.moments.products.astype(float) * step * step[:, None]
    assert np.allclose(products, columns @ columns.T, rtol=1e-12)


def test_dates_beyond_the_year_9999_are_named(tmp_path: Path) -> None:
    far = np.array(["5000000-01-01"], "datetime64[s]").repeat(400)
    write_parquet(tmp_path / "a.parquet", {**some_rows(1), "t": far})
    with pytest.raises(DataError, match=r"a\.parquet: days\(t\) is beyond .*, as 't' has years beyond 9999"):
        ingested(tmp_path / "a.parquet", features=("x", "days(t)"))


def test_the_resolution_of_a_term_is_that_of_the_coarsest_column_in_it(tmp_path: Path) -> None:
    rows = some_rows(1)
    write_parquet(tmp_path / "a.parquet", {**rows, "x": rows["x"].astype(np.float32)})
    found = ingested(tmp_path / "a.parquet", features=("C(hour)", "w", "w:x", "x:shop"))
    resolution = resolution_of(found.columns.design, found.source)
    coarse = [name for name, of in zip(found.columns.design.names, resolution, strict=True) if of > 1e-10]
    assert coarse == ["w:x", "x:shop[a]", "x:shop[b]", "x:shop[c]", "x:shop[d]"]
    assert set(resolution.tolist()) == {2.0**-52, 2.0**-23}


def _sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[CachedSums, Any, Sums]:
    """What a run kept of its only file."""
    kept: list[Any] = []
    monkeypatch.setattr(CachedSums, "store", lambda self, file, sums: kept.append((self, file, sums)))
    write_parquet(tmp_path / "a.parquet", some_rows(1))
    ingested(tmp_path / "a.parquet", **settings)
    cached, file, sums = kept[-1]
    return cached, cached.work.source.files[file], sums


@pytest.mark.parametrize("settings", [{}, {"weight": "w"}])
def test_json_holds_sums_by_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    cached, file, sums = _sums(tmp_path, monkeypatch, **settings)
    text = json.dumps(sums.to_json())
    orders = cached.work.columns.design.orders
    n_read = len(cached.work.columns.asked)
    read = Sums.from_json(json.loads(text), 2, weighted=bool(settings), n_read=n_read, orders=orders, folds=5)
    assert read.levels == sums.levels
    assert {key: of.labels for key, of in read.levels.items()} == {key: of.labels for key, of in sums.levels.items()}
    assert json.dumps(read.to_json()) == text
    assert not list(cached._contradictions(file, read))


@pytest.mark.parametrize("name", ["n_samples", "weight", "sums", "products"])
@pytest.mark.parametrize("settings", [{}, {"weight": "w"}])
def test_sums_by_level_that_no_rows_have_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], name: str
) -> None:
    cached, file, sums = _sums(tmp_path, monkeypatch, **settings)
    for at, (key, of) in enumerate(sorted(sums.levels.items(), key=lambda item: len(item[0]))):
        entry = sums.to_json()
        if not entry["levels"][at][name]:
            continue
        entry["levels"][at][name][0] += 1
        changed = Sums.from_json(
            entry,
            2,
            weighted=bool(settings),
            n_read=len(cached.work.columns.asked),
            orders=cached.work.columns.design.orders,
            folds=5,
        )
        assert list(cached._contradictions(file, changed)), (key, of.labels)


@pytest.mark.parametrize("settings", [{}, {"weight": "w"}])
def test_a_file_without_a_row_to_use_has_no_level_and_is_kept(tmp_path: Path, settings: dict[str, Any]) -> None:
    write_parquet(tmp_path / "data" / "a.parquet", some_rows(1))
    alone = ingested(tmp_path / "data", tmp_path / "alone", **settings)
    nothing = pa.array([None] * 400, pa.string())
    write_parquet(tmp_path / "data" / "b.parquet", {**some_rows(2), "shop": nothing})
    found = ingested(tmp_path / "data", **settings)
    assert found.rows.missing.max() == 400
    assert found.levels == alone.levels
    assert same_bits(found.moments, alone.moments)
    assert ingested(tmp_path / "data", **settings).scanned == {}
