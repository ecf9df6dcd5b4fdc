"""The regressor on data frames with text, categories, dates and features: the terms, names and bits of a run."""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import gdpipe
from gdpipe import GradientDescentRegressor, terms
from gdpipe.frame_columns import part_of
from gdpipe.frames import Frame
from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.moments import Moments
from gdpipe.source import dates
from tests.conftest import FLIGHTS, write_parquet
from tests.test_regressor import bits

NAMED = ["dep_delay", "distance", "air_time", "C(hour)", "C(month)", "carrier", "origin", "dest", "weekday(time_hour)"]


def shops(n: int = 200, seed: int = 0) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    """Whole numbers and text, of which sums in any arithmetic are exact."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": rng.integers(1, 50, n),
            "shop": rng.choice(["b", "a", "c", "ü"], n),
            "hour": rng.integers(8, 12, n),
            "open": rng.random(n) < 0.5,
            "at": pd.Timestamp("2024-01-31 22:00") + pd.to_timedelta(rng.integers(0, 10**4, n), "h"),
        }
    )
    y = 3 * frame["x"] + frame["shop"].map(ord) + 20 * (frame["hour"] % 2) + rng.integers(-9, 9, n)
    return frame, y.astype(float)


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """Those of three months, of which none is missing a value."""
    table = pq.read_table(FLIGHTS, filters=[("month", "<=", 3)])
    frame: pd.DataFrame = table.to_pandas().dropna().reset_index(drop=True)
    return frame


def test_flights_have_the_names_and_bits_of_gdpipe_train(tmp_path: Path, flights: pd.DataFrame) -> None:
    run = gdpipe.train(
        source=str(FLIGHTS), target="arr_delay", features=NAMED, filters="tailnum is not null and month <= 3",
        output=str(tmp_path), report=False,
    )  # fmt: skip
    model = GradientDescentRegressor(features=NAMED).fit(flights.drop(columns="arr_delay"), flights["arr_delay"])
    assert list(model.terms_) == run.parameters["term"].tolist()[1:]
    assert model.coef_.tobytes() == run.model.coef.tobytes()
    assert model.intercept_ == run.model.intercept
    assert model.n_iter_ == run.convergence["iterations"].item()
    assert model.loss_history_.tobytes() == run.loss_history["loss"].to_numpy().tobytes()
    predicted = model.predict(flights.drop(columns="arr_delay"))
    assert predicted.tobytes() == run.predict(flights).to_numpy().tobytes()


def test_flights_agree_with_one_hot_columns_of_sklearn(flights: pd.DataFrame) -> None:
    texts, numbers = ["carrier", "origin", "dest"], ["dep_delay", "distance", "air_time"]
    some = flights.iloc[::4]
    X, y = some[[*texts, *numbers]], some["arr_delay"]
    one_hot = make_column_transformer(
        (OneHotEncoder(drop="first", sparse_output=False), texts), remainder="passthrough"
    )
    # its own tol takes rare levels for dependent beside distances of thousands
    oracle = make_pipeline(one_hot, LinearRegression(tol=1e-14)).fit(X, y)
    model = GradientDescentRegressor(tolerance=1e-12).fit(X, y)
    names = [name.split("__")[1] for name in one_hot.get_feature_names_out()]
    ours = [name.replace("[", "_").replace("]", "") for name in model.get_feature_names_out()]
    assert ours == names
    assert model.predict(X) == pytest.approx(oracle.predict(X), abs=1e-9)
    assert model.ols_coef_ == pytest.approx(oracle[-1].coef_, abs=1e-9)
    assert model.coef_ == pytest.approx(oracle[-1].coef_, abs=1e-9)


def test_one_hot_columns_of_numbers_give_the_same_bits() -> None:
    X, y = shops()
    weights = np.random.default_rng(1).integers(0, 3, len(y))
    one_hot = pd.get_dummies(X[["x", "shop"]], columns=["shop"], drop_first=True, dtype=float)
    model = GradientDescentRegressor().fit(X[["x", "shop"]], y, weights)
    assert list(model.terms_) == ["x", "shop[b]", "shop[c]", "shop[ü]"]
    assert model.levels_ == {"shop": ["a", "b", "c", "ü"]}
    assert model.n_features_in_ == 2
    assert model.rank_ == 4
    assert bits(model) == bits(GradientDescentRegressor().fit(one_hot, y, weights))


def in_pandas(kind: str) -> Callable[[pd.DataFrame], Any]:
    return lambda frame: frame.astype({"shop": kind})


FRAMES: dict[str, Callable[[pd.DataFrame], Any]] = {
    **{kind: in_pandas(kind) for kind in ("object", "category", "str", "string[python]", "string[pyarrow]")},
    "pyarrow": lambda frame: frame.astype(
        {"shop": pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string())), "x": "int64[pyarrow]", "hour": "Int64"}
    ),
    "categories in another order": lambda frame: frame.assign(
        shop=pd.Categorical(frame["shop"], ["never", "ü", "c", "b", "a"])
    ),
    "Polars": pl.from_pandas,
    "Polars categorical": lambda frame: pl.from_pandas(frame).with_columns(pl.col("shop").cast(pl.Categorical)),
    "Polars enum": lambda frame: pl.from_pandas(frame).with_columns(pl.col("shop").cast(pl.Enum(list("üabc")))),
    "Arrow": lambda frame: pa.table({name: pa.array(frame[name]) for name in frame}),
    "Arrow dictionary": lambda frame: pa.table(
        {name: pa.array(frame[name]).dictionary_encode() if name == "shop" else pa.array(frame[name]) for name in frame}
    ),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_of_any_library_gives_the_same_bits(kind: str) -> None:
    X, y = shops()
    features = ["x", "shop", "C(hour)", "open", "x:shop", "month(at)", "C(weekday(at))", "hour(at)", "log(x)"]
    expected = GradientDescentRegressor(features=features).fit(X, y)
    model = GradientDescentRegressor(features=features).fit(FRAMES[kind](X), y)
    assert list(model.terms_) == list(expected.terms_)
    assert bits(model) == bits(expected)
    assert model.predict(FRAMES[kind](X)).tobytes() == expected.predict(X).tobytes()
    # a model learns and predicts from another library's frame as well
    assert bits(model.partial_fit(X, y)) == bits(expected.partial_fit(FRAMES[kind](X), y))


def test_features_are_those_of_a_run(tmp_path: Path) -> None:
    X, y = shops()
    X["price"] = X["x"] / 4
    X["on"] = X["at"].dt.date
    features = "C(hour, ref=9),open,C(price),C(on),days(at),x**2,sqrt(x),shop:x,weekday(on),year(at)"
    columns = {str(name): column for name, column in X.assign(y=y).items()}
    run = gdpipe.train(
        source=str(write_parquet(tmp_path / "d.parquet", columns)),
        target="y", features=features, min_level_rows=3, output=str(tmp_path / "out"), report=False,
    )  # fmt: skip
    model = GradientDescentRegressor(features=features, min_level_rows=3).fit(X, y)
    assert list(model.terms_) == run.parameters["term"].tolist()[1:]
    assert model.coef_ == pytest.approx(run.model.coef, rel=1e-7)
    assert model.predict(X) == pytest.approx(run.predict(X).to_numpy(), rel=1e-9)
    assert model.levels_["C(on)"][-1] == "(other)"


def test_booleans_are_numbers_unless_they_are_named() -> None:
    X, y = shops()
    model = GradientDescentRegressor().fit(X[["open", "shop"]], y)
    assert list(model.terms_) == ["open", "shop[b]", "shop[c]", "shop[ü]"]
    named = GradientDescentRegressor(features=["open", "shop"]).fit(X[["open", "shop"]], y)
    assert named.terms_[0] == "open[true]"
    assert bits(named) == bits(model)


def test_arrays_have_features_too() -> None:
    X, y = shops()
    array = X[["x", "hour"]].to_numpy()
    model = GradientDescentRegressor(features=["x0", "C(x1)"]).fit(array, y)
    assert list(model.terms_) == ["x0", "C(x1)[9]", "C(x1)[10]", "C(x1)[11]"]
    assert bits(model) == bits(GradientDescentRegressor(features=["x", "C(hour)"]).fit(X, y))
    rows = X[["x", "shop"]].values.tolist()
    listed = GradientDescentRegressor(features="x0,x1").fit(rows, y)
    assert bits(listed) == bits(GradientDescentRegressor().fit(X[["x", "shop"]], y))
    assert listed.predict(rows[:3]).tobytes() == listed.predict(np.array(rows[:3], object)).tobytes()


def test_a_column_may_have_the_name_of_the_target() -> None:
    X, y = shops()
    model = GradientDescentRegressor(features=["y", "shop"]).fit(X.rename(columns={"x": "y"}), y)
    assert model.terms_[0] == "y"


# dates


@settings(max_examples=60)
@given(st.lists(st.integers(-(10**18), 9 * 10**18), min_size=1), st.sampled_from(["s", "ms", "us", "ns"]))
def test_parts_are_those_of_arrow(nanoseconds: list[int], unit: str) -> None:
    values = np.array(nanoseconds, "datetime64[ns]").astype(f"datetime64[{unit}]")
    for part in ("year", "month", "day", "weekday", "hour", "days"):
        ours, arrow = part_of(values, part), dates.part_of(pa.array(values), part)
        assert ours.tolist() == arrow.to_pylist()
        if part != "hour":
            days = values.astype("datetime64[D]")
            assert part_of(days, part).tolist() == dates.part_of(pa.array(days), part).to_pylist()


@pytest.mark.parametrize("kind", ["pandas", "pyarrow", "polars", "arrow"])
def test_parts_are_those_of_the_time_zone_of_the_fit(kind: str) -> None:
    X, y = shops()
    there = X["at"].dt.tz_localize("UTC").dt.tz_convert("Asia/Kolkata")

    def frame(at: "pd.Series[Any]") -> Any:
        in_arrow = pa.table({"x": pa.array(X["x"]), "at": pa.array(at)})
        pandas = pd.DataFrame({"x": X["x"], "at": at})
        return {
            "pandas": pandas,
            "pyarrow": pandas.assign(at=at.astype(pd.ArrowDtype(in_arrow["at"].type))),
            "polars": pl.from_arrow(in_arrow),
            "arrow": in_arrow,
        }[kind]

    local = pd.DataFrame({"x": X["x"], "hour": there.dt.hour, "weekday": there.dt.day_of_week})
    model = GradientDescentRegressor(features=["x", "C(hour(at))", "weekday(at)"]).fit(frame(there), y)
    oracle = GradientDescentRegressor(features=["x", "C(hour)", "weekday"]).fit(local, y)
    assert bits(model) == bits(oracle)
    assert model.design_.zones == {"at": "Asia/Kolkata"}
    expected = oracle.predict(local).tobytes()
    for zone in ("Asia/Kolkata", "UTC", "America/New_York"):
        assert model.predict(frame(there.dt.tz_convert(zone))).tobytes() == expected
    with pytest.raises(ValueError, match=r"^X: column 'at' holds .*; the fit needs timestamps with a time zone"):
        model.predict(frame(there.dt.tz_localize(None)))


# batches


@settings(max_examples=5)
@given(st.integers(0, 2**32), st.sampled_from([3, 8, 30]), st.booleans(), st.booleans())
def test_any_batches_with_new_levels_give_the_bits_of_one_fit(
    seed: int, size: int, weighted: bool, fit_intercept: bool
) -> None:
    X, y = shops(30, seed % 1000)
    rng = np.random.default_rng(seed)
    X["x"] = X["x"] * 10.0 ** rng.integers(-20, 20, len(y))
    weights = rng.random(len(y)) if weighted else np.ones(len(y))
    model = GradientDescentRegressor(
        features=["x", "shop", "C(hour):shop", "x:shop"], min_level_rows=2, max_iterations=20, collinear="drop",
        fit_intercept=fit_intercept, folds=2,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 20 steps of any descent have bits to compare
        whole = clone(model).fit(X, y, weights)
        rows = rng.permutation(len(y))
        for part in np.array_split(rows, -(-len(y) // size)):
            model.partial_fit(X.iloc[part], y.iloc[part], weights[part])
    assert list(model.terms_) == list(whole.terms_)
    assert model.levels_ == whole.levels_
    assert bits(model) == bits(whole)
    assert model.moments_ == whole.moments_


@pytest.mark.parametrize("more", [{}, {"road": [f"r{i:03}" for i in np.random.default_rng(6).permutation(780) % 120]}])
def test_many_terms_are_summed_exactly_whatever_the_batches(
    more: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "MOST_OTHERS", 100)
    rng = np.random.default_rng(5)
    X = pd.DataFrame({"x": rng.normal(size=780), "shop": [f"s{i:03}" for i in rng.permutation(780) % 260], **more})
    y = X["x"] + rng.normal(size=780)
    whole = GradientDescentRegressor(folds=0).fit(X, y)
    # one category with many levels is absorbed; of a second one the sums are rounded, after the last batch
    assert isinstance(whole.moments_, Float64Moments if more else BlockMoments)
    model = GradientDescentRegressor(folds=0)
    for part in (slice(500, 780), slice(0, 500)):
        model.partial_fit(X[part], y[part])
    assert bits(model) == bits(whole)
    exact = GradientDescentRegressor(arithmetic="exact", folds=0).fit(X, y)
    assert isinstance(exact.moments_, Moments)
    assert exact.coef_ == pytest.approx(whole.coef_, abs=1e-7)
    if not more:
        assert exact.ols_coef_.tolist() == whole.ols_coef_.tolist()
    large, heavy = X.assign(x=X["x"] * 1e140), np.full(780, 1e300)
    if more:
        with pytest.raises(gdpipe.DataError, match=r"column 'x' reaches .* float64 does not hold the products"):
            model.fit(large, y, heavy)
    else:
        assert model.fit(large, y, heavy).ols_coef_[1:] == pytest.approx(exact.ols_coef_[1:], rel=1e-12)


def test_a_batch_that_is_refused_leaves_no_trace() -> None:
    X, y = shops()
    model = GradientDescentRegressor(features=["x", "shop"], max_levels=4).fit(X, y)
    before = bits(model)
    refusals = {
        "'shop' has 5 levels, more than max_levels=4": X.assign(shop="new"),
        "column 'shop' holds int64; the fit needs text": X.assign(shop=1),
        "column 'x' is missing in row 0": X.assign(x=np.nan),
        "column 'x' has a magnitude of 1e.200": X.assign(x=1e200),
    }
    for message, batch in refusals.items():
        with pytest.raises((ValueError, gdpipe.DataError), match=message):
            model.partial_fit(batch, y)
    with pytest.raises(gdpipe.ConfigError, match="the rows before were summed by others; fit anew"):
        model.set_params(features=["shop"]).partial_fit(X, y)
    model.set_params(features=["x", "shop"])
    assert bits(model) == before
    assert bits(model.partial_fit(*shops(50, 3))) == bits(clone(model).fit(*shops(50, 3)).partial_fit(X, y))


# levels that the fit has not seen, and missing ones


def test_unseen_levels() -> None:
    X, y = shops()
    model = GradientDescentRegressor().fit(X[["x", "shop"]], y)
    new = pd.DataFrame({"x": [1, 1, 2], "shop": ["a", "z", "z"]})
    with pytest.raises(ValueError, match=r"^X has no rows; give at least one$"):
        model.predict(new[:0])
    with pytest.warns(UserWarning, match=r"shop is 'z' in row 1, .* \(one of 2 such rows\): the prediction") as caught:
        predicted = model.predict(new)
    assert caught[0].filename == __file__
    assert np.isnan(predicted).tolist() == [False, True, True]
    with (
        pytest.warns(match="is NaN"),
        pytest.raises(gdpipe.DataError, match=r"no prediction in row 1, .* set unseen to"),
    ):
        model.score(new, [1.0, 2.0, 3.0])
    model.set_params(unseen="reference")
    assert model.predict(new)[1] == model.predict(new)[0] == predicted[0]
    assert np.isfinite(model.score(new, [1.0, 2.0, 3.0]))
    with pytest.raises(gdpipe.DataError, match="shop is 'z' in row 1, a level that the fit has not seen"):
        model.set_params(unseen="fail").predict(new)
    with pytest.raises(gdpipe.ConfigError, match="unseen 'none': must be one of null, reference, fail"):
        model.set_params(unseen="none").predict(new)
    with pytest.raises(gdpipe.ConfigError, match="unseen 'none'"):
        model.fit(X, y)


MISSING: dict[str, Any] = {
    "None": pd.Series(["a", None, "b"], dtype=object),
    "NaN": pd.Series(["a", np.nan, "b"], dtype=object),
    "text": pd.Series(["a", None, "b"], dtype="str"),
    "NA": pd.Series(["a", pd.NA, "b"], dtype="string"),
    "Arrow": pd.Series(["a", None, "b"], dtype="string[pyarrow]"),
    "categorical": pd.Series(["a", None, "b"], dtype="category"),
    "Polars": pl.Series(["a", None, "b"]),
    "Polars categorical": pl.Series(["a", None, "b"], dtype=pl.Categorical),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_levels_are_refused_as_missing_numbers_are(kind: str) -> None:
    column = MISSING[kind]
    frame = (pl.DataFrame if isinstance(column, pl.Series) else pd.DataFrame)({"x": [1.0, 2.0, 3.0], "c": column})
    complete = frame[[0, 2]] if isinstance(frame, pl.DataFrame) else frame.iloc[[0, 2]]
    model = GradientDescentRegressor().fit(complete, [1.0, 2.0])
    for use in (lambda: model.fit(frame, [1.0, 2.0, 3.0]), lambda: model.predict(frame)):
        with pytest.raises(
            ValueError, match=r"^Input X contains NaN: column 'c' is missing in row 1; fill such values"
        ):
            use()
    model.fit(complete, [1.0, 2.0])


# what cannot be a feature


@pytest.mark.parametrize(
    ("features", "change", "message"),
    [
        (["z"], {}, "X has no column 'z'"),
        (["log(shop)"], {}, "shop is a category, and log needs a number"),
        (["at"], {}, "column 'at' is a timestamp; write days"),
        ((), {}, "must name a column"),
        (["log(x)"], {"x": 0}, "log.x. is not defined in row 0, where column 'x' is 0; keep rows with x > 0 alone"),
        (
            ["x**10"],
            {"x": 1e40},
            "x..10 is inf in row 0, whose square is beyond float64; leave such rows out, or correct its columns",
        ),
        (["x:hour"], {"x": np.inf}, "x:hour is inf in row 0"),
        (["x", "shop"], {"x": np.inf}, "Input X contains infinity"),
        (None, {}, r"X: column 'at' holds datetime64.*, or name parts of it in features, such as month.t."),
        (["shop"], {"shop": "one"}, "no feature has a term"),
        (["x"], {"x": [pd.Timedelta(1, "h")] * 200}, "column 'x' is of a type that is neither number"),
        (["shop"], {"shop": [1, "a"] * 100}, "column 'shop' is of a type that is neither number"),
    ],
)
def test_what_is_no_feature_is_refused(features: Any, change: dict[str, Any], message: str) -> None:
    X, y = shops()
    with pytest.raises((ValueError, gdpipe.GdpipeError), match=message):
        GradientDescentRegressor(features=features).fit(X.assign(**change), y)


def test_columns_of_one_name_are_refused() -> None:
    X, y = shops()
    # newer scikit-learns refuse them, too
    with pytest.raises(ValueError, match="X has the column 'shop' more than once"):
        Frame.of(X[["x", "shop", "shop"]], ["x", "shop", "shop"])
    with pytest.raises(ValueError, match="shop"):
        GradientDescentRegressor().fit(X[["x", "shop", "shop"]], y)


def test_too_many_levels_are_refused() -> None:
    X, y = shops()
    with pytest.raises(gdpipe.DataError, match="X: features: 'shop' has 4 levels, more than max_levels=3"):
        GradientDescentRegressor(max_levels=3).fit(X[["shop"]], y)


# scikit-learn's ways


def test_clone_pickle_and_names() -> None:
    X, y = shops()
    model = GradientDescentRegressor(features=["x", "shop"], min_level_rows=2).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301  # our own bytes
    assert bits(copy) == bits(model)
    assert copy.get_feature_names_out().tolist() == ["x", "shop[b]", "shop[c]", "shop[ü]"]
    assert bits(copy.partial_fit(*shops(50, 1))) == bits(model.partial_fit(*shops(50, 1)))
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X[["shop", "x", "hour", "open", "at"]])
    # a fit of numbers after one of text has nothing left of it
    assert bits(model.set_params(features=None).fit(X[["x", "hour"]], y)) == bits(
        GradientDescentRegressor(min_level_rows=2).fit(X[["x", "hour"]], y)
    )
    assert model.levels_ == {}


def test_grid_search_and_cross_validation_with_text() -> None:
    X, y = shops()
    X = X.drop(columns="at")
    search = GridSearchCV(
        GradientDescentRegressor(unseen="reference"),
        {"features": [None, ["x", "shop", "C(hour)"], ["x"]], "min_level_rows": np.array([1, 5])},
        cv=KFold(3),
    ).fit(X, y)
    assert search.best_params_["features"] == ["x", "shop", "C(hour)"]
    one_hot = make_column_transformer((OneHotEncoder(drop="first"), ["shop"]), remainder="passthrough")
    ours = cross_val_score(GradientDescentRegressor(), X, y, cv=KFold(4))
    assert ours == pytest.approx(cross_val_score(make_pipeline(one_hot, LinearRegression()), X, y, cv=KFold(4)))


def test_a_column_transformer_in_front() -> None:
    X, y = shops()
    scaled = ColumnTransformer([("scale", StandardScaler(), ["x"]), ("keep", "passthrough", ["shop"])])
    pipeline = make_pipeline(scaled.set_output(transform="pandas"), GradientDescentRegressor()).fit(X, y)
    assert list(pipeline[-1].terms_) == ["scale__x", "keep__shop[b]", "keep__shop[c]", "keep__shop[ü]"]
    plain = GradientDescentRegressor().fit(X[["x", "shop"]], y)
    assert pipeline.predict(X) == pytest.approx(plain.predict(X[["x", "shop"]]))
