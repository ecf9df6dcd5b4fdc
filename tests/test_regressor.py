"""The regressor: scikit-learn's contract, the bits of one fit from any batches, and the numbers of gdpipe train."""

import dataclasses
import datetime
import inspect
import os
import pickle
import subprocess
import sys
import warnings
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gdpipe
from gdpipe import GradientDescentRegressor
from gdpipe.config import ScoringConfig
from gdpipe.numerics.inference.penalized_certificate import PenalizedCertificate
from tests.conftest import FEATURES, FLIGHTS, REPO, line_columns, write_parquet


def line(n: int = 200, seed: int = 0) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    frame = pd.DataFrame(line_columns(n, seed))
    return frame[["x1", "x2"]], frame["y"]


def bits(model: Any) -> tuple[bytes, ...]:
    arrays = (model.coef_, model.intercept_, model.ols_coef_, model.ols_intercept_, model.loss_history_, model.n_iter_)
    return tuple(np.asarray(array).tobytes() for array in arrays)


def in_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)


# scikit-learn's contract


def test_check_estimator_passes_whole() -> None:
    # warnings are errors, and a check that is skipped warns: the variable keeps scikit-learn from skipping one
    code = """
import gdpipe
from sklearn.utils.estimator_checks import check_estimator
check_estimator(gdpipe.GradientDescentRegressor())
"""
    done = in_python(code, SCIPY_ARRAY_API="1")
    assert done.returncode == 0, done.stderr


def test_the_settings_are_those_of_a_run() -> None:
    of_both = (*dataclasses.fields(ScoringConfig), *dataclasses.fields(gdpipe.TrainingConfig))
    fields = {f.name: f.default for f in of_both}
    parameters = inspect.signature(GradientDescentRegressor).parameters
    assert len(parameters) == 17
    assert {name: p.default for name, p in parameters.items()} == {name: fields[name] for name in parameters}


def test_a_pipeline_in_a_grid_search() -> None:
    X, y = line()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GradientDescentRegressor()),
        {
            "gradientdescentregressor__tolerance": np.logspace(-8, -6, 2),
            "gradientdescentregressor__max_iterations": np.array([500, 1000]),
            "gradientdescentregressor__fit_intercept": [True, False],
        },
        cv=3,
    ).fit(X, y)
    assert search.best_params_["gradientdescentregressor__fit_intercept"]
    assert search.score(X, y) > 0.99


def test_clone_and_pickle() -> None:
    X, y = line()
    model = GradientDescentRegressor(tolerance=1e-6).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301  # our own bytes
    assert bits(copy) == bits(model)
    assert (copy.predict(X) == model.predict(X)).all()
    assert bits(copy.partial_fit(*line(50, 1))) == bits(model.partial_fit(*line(50, 1)))
    fresh = clone(model)
    assert fresh.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(X)


@pytest.mark.parametrize("kind", ["pandas", "polars", "float32"])
def test_frames_bring_their_names(kind: str) -> None:
    X, y = line()
    table: Any = {"pandas": X, "polars": pl.DataFrame(X.to_dict("list")), "float32": X.astype(np.float32)}[kind]
    model = GradientDescentRegressor().fit(table, y)
    assert list(model.feature_names_in_) == ["x1", "x2"]
    assert model.n_features_in_ == 2
    oracle = LinearRegression().fit(np.asarray(table, np.float64), y)
    assert model.coef_ == pytest.approx(oracle.coef_, rel=1e-7)
    assert model.predict(table) == pytest.approx(oracle.predict(np.asarray(table, np.float64)), rel=1e-7)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table[["x2", "x1"]])


N = 6
DATES = pd.date_range("2020-01-01", periods=N)
WRONG: dict[str, Any] = {
    "datetime64": DATES.to_numpy(),
    "timedelta64": DATES.to_numpy() - DATES.to_numpy()[0],
    "NaT": np.full(N, np.datetime64("NaT", "ns")),
    "pandas, with a zone": pd.Series(DATES.tz_localize("UTC")),
    "pandas durations": pd.Series(DATES - DATES[0]),
    "pandas periods": pd.Series(DATES.to_period("D")),
    "pandas intervals": pd.Series(pd.interval_range(0, N)),
    "pandas text": pd.Series(["1.5"] * N),
    "pandas categories of text": pd.Series(["1.5"] * N, dtype="category"),
    "pandas, of pyarrow": pd.Series(DATES, dtype="timestamp[us][pyarrow]"),
    "object, datetimes": np.array(DATES.to_pydatetime(), object),
    "object, a date": np.array([*range(N - 1), datetime.date(2020, 1, 1)], object),
    "object, a duration": np.array([*range(N - 1), datetime.timedelta(1)], object),
    "object, datetime64": np.array([*range(N - 1), np.datetime64("2020-01-01")], object),
    "object, timedelta64": np.array([*range(N - 1), np.timedelta64(5, "ns")], object),
    "object, NaT": np.array([*range(N - 1), pd.NaT], object),
    "object, NA": np.array([*range(N - 1), pd.NA], object),
    "object, text": np.array([*range(N - 1), "1.5"], object),
    "object, bytes": np.array([*range(N - 1), b"1.5"], object),
    "object, text of NumPy": np.array([*range(N - 1), np.str_("1.5")], object),
    "object, complex": np.array([*range(N - 1), 1j], object),
    "object, 10^400": np.array([*range(N - 1), 10**400], object),
    "text": np.array(["1.5"] * N),
    "bytes": np.array([b"1.5"] * N),
    "list of text": ["1.5"] * N,
    "list of numbers and text": [*range(N - 1), "1.5"],
    "list of numbers and dates": [*range(N - 1), datetime.datetime(2020, 1, 1)],
    "records": np.zeros(N, [("a", float)]),
    "Polars datetimes": pl.Series(DATES.to_pydatetime()),
    "Polars text": pl.Series(["1.5"] * N),
}


CATEGORIES = ("pandas text", "pandas categories of text", "Polars text")


def as_matrix(values: Any, kind: str) -> Any:
    """The values as the second of two columns, the first of which is numbers."""
    if kind == "frame":
        return pd.DataFrame({"a": range(N), "b": values})
    if kind == "polars":
        return pl.DataFrame({"a": range(N), "b": values})
    if kind == "arrow":
        return pa.table({"a": np.arange(N), "b": pa.array(values)})
    return np.asarray(values).reshape(N, 1)


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_number_is_refused_wherever_it_stands(wrong: str) -> None:
    values = WRONG[wrong]
    X, y = np.arange(N * 2.0).reshape(N, 2) ** 2, np.arange(N) * 2.0
    model = GradientDescentRegressor().fit(X, y)
    before = bits(model)
    kinds = (
        ["frame"]
        if isinstance(values, pd.Series)
        else ["array", "polars"]
        if isinstance(values, pl.Series)
        else ["array"]
    )
    for matrix in (as_matrix(values, kind) for kind in kinds):
        # a fit anew takes a frame's text for a category
        is_category = wrong in CATEGORIES and not isinstance(matrix, np.ndarray)
        for learn in (model.partial_fit,) if is_category else (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match=r"^X"):
                learn(matrix, y)
        for use in (model.predict, lambda matrix: model.score(matrix, y)):
            with pytest.raises(ValueError, match=r"^X"):
                use(matrix)
    for method in (model.fit, model.partial_fit, model.score):
        with pytest.raises(ValueError, match=r"^y holds"):
            method(X, values)
        with pytest.raises(ValueError, match=r"^sample_weight holds"):
            method(X, y, values)
    assert bits(model) == before


@pytest.mark.parametrize("kind", ["frame", "polars", "arrow"])
def test_a_frame_is_looked_at_column_by_column(kind: str) -> None:
    # as one array, Polars makes microseconds of the dates, and numbers of all
    with pytest.raises(ValueError, match=r"^X: column 'b' holds datetime64\[.+\], which is no number; convert it"):
        GradientDescentRegressor().fit(as_matrix(DATES.to_numpy(), kind), np.arange(N) * 2.0)


def test_the_row_is_named() -> None:
    X = np.array([[1, 2], [3, "4"]], object)
    with pytest.raises(ValueError, match=r"^X holds str in row 1, which is no number"):
        GradientDescentRegressor().fit(X, [1.0, 2.0])


def test_numbers_of_other_types_are_their_float64() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(-(10**6), 10**6, (40, 3)) / 1000
    y = numbers @ [1.0, -2.0, 0.5] + rng.normal(size=40)
    expected = bits(GradientDescentRegressor().fit(numbers, y))
    decimals = np.array([[Decimal(repr(value)) for value in row] for row in numbers.tolist()], object)
    fractions = np.array([[Fraction(value) for value in row] for row in numbers.tolist()], object)
    target = [Decimal(repr(value)) for value in y.tolist()]
    polars = pl.DataFrame({name: column.tolist() for name, column in zip("abc", decimals.T, strict=True)})
    pandas = pd.DataFrame(numbers).astype({0: "Float64", 1: "category", 2: "double[pyarrow]"}).rename(columns=str)
    for X in (decimals, fractions, numbers.astype(object), polars, pandas):
        assert bits(GradientDescentRegressor().fit(X, target, np.full(40, Decimal(1)))) == expected


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(gdpipe.ConfigError, match="method 'newton': must be one of auto, gd, accelerated"):
        GradientDescentRegressor(method="newton").fit(*line())  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(gdpipe.ConfigError, match=r"must be below 2/L = "):
        GradientDescentRegressor(learning_rate=5.0).fit(*line())


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full(200, -1.0), "Negative values in sample_weight: -1 in row 0"),
        (np.zeros(200), "sample_weight is zero on every row"),
        (np.ones(3), "inconsistent numbers of samples"),
        (np.ones((200, 2)), "sample_weight has 2 dimensions"),
        (np.full(200, np.nan), "sample_weight contains NaN"),
    ],
)
def test_weights_that_are_none_are_refused(weights: NDArray[np.float64], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradientDescentRegressor().fit(*line(), sample_weight=weights)


def test_one_weight_for_all_is_no_weight() -> None:
    X, y = line()
    a, b = GradientDescentRegressor().fit(X, y, sample_weight=1.0), GradientDescentRegressor().fit(X, y)
    assert bits(a) == bits(b)


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_squares_beyond_float64_are_refused_by_name(size: float) -> None:
    X, y = line()
    with pytest.raises(gdpipe.DataError, match=r"column 'x2' .* use another unit"):
        GradientDescentRegressor().fit(X.assign(x2=X["x2"] * size), y)


# what the engine knows


def test_the_descent_leaves_its_history_and_its_certificate() -> None:
    X, y = line()
    model = GradientDescentRegressor().fit(X, y)
    assert model.history_iterations_.tolist() == list(range(model.n_iter_ + 1))
    assert model.loss_history_[0] == pytest.approx(np.var(y))
    assert model.loss_history_[-1] == pytest.approx(np.mean((y - model.predict(X)) ** 2))
    assert model.certificate_.passed
    assert 0 < model.certificate_.coef_gap <= 1e-8
    assert 0 < model.certificate_.disagreement <= 1
    fit = sm.OLS(y, sm.add_constant(X)).fit()
    gaps = np.abs(model.coef_ - model.ols_coef_) / fit.bse[1:]
    assert model.certificate_.coef_gap_se == pytest.approx(gaps.max(), rel=1e-4)
    assert np.isnan(model.certificate_.row_gradient)
    assert model.rank_ == 2
    oracle = LinearRegression().fit(X, y)
    assert model.ols_coef_ == pytest.approx(oracle.coef_, rel=1e-12)
    assert model.ols_intercept_ == pytest.approx(oracle.intercept_, rel=1e-12)


def test_too_few_steps_warn_and_leave_the_evidence() -> None:
    model = GradientDescentRegressor(method="gd", learning_rate=0.01, max_iterations=7)
    with pytest.warns(ConvergenceWarning, match="stopped after 7 steps of gd") as caught:
        model.fit(*line())
    assert caught[0].filename == __file__
    assert not model.certificate_.passed
    assert model.n_iter_ == 7
    assert len(model.loss_history_) == 8


def test_dependent_and_constant_features_are_named() -> None:
    X, y = line()
    X = X.assign(double=2 * X["x1"], one=1.0)
    model = GradientDescentRegressor().fit(X, y)
    assert model.dependencies_ == ("one is constant (1)", "double = 2 x1")
    assert model.rank_ == 2
    assert model.coef_[0] == pytest.approx(2 * model.coef_[2])  # the same in standard deviations: the least norm
    assert model.coef_[3] == 0
    dropped = GradientDescentRegressor(collinear="drop").fit(X, y)
    assert dropped.coef_[2] == 0
    assert dropped.predict(X) == pytest.approx(model.predict(X), rel=1e-7)
    with pytest.raises(gdpipe.DataError, match=r"double = 2 x1; leave such features out"):
        GradientDescentRegressor(collinear="fail").fit(X, y)


def test_float32_copies_are_dependent_to_their_own_rounding() -> None:
    X, y = line()
    third = X.assign(third=X["x1"] / 3)
    found, rough = ("x1 = 3 third (to rounding)",), third.astype(np.float32)
    model = GradientDescentRegressor().fit(rough, y)
    assert model.dependencies_ == found
    # in whatever batch: what was rounded stays rounded
    assert model.partial_fit(rough.astype(np.float64), y).dependencies_ == found
    with pytest.warns(ConvergenceWarning, match="nearly dependent"):
        assert not GradientDescentRegressor(max_iterations=99).fit(rough.astype(np.float64), y).dependencies_


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_constant_target_is_a_line_of_its_own(fit_intercept: bool) -> None:
    X, _ = line()
    model = GradientDescentRegressor(fit_intercept=fit_intercept).fit(X, np.zeros(len(X)))
    assert model.coef_.tolist() == [0.0, 0.0]
    assert model.intercept_ == 0.0
    one_row = GradientDescentRegressor().fit([[1.0, 2.0]], [3.0])
    assert one_row.coef_.tolist() == [0.0, 0.0]
    assert one_row.intercept_ == 3.0


def test_weights_are_repeated_rows_to_the_bit() -> None:
    X, y = line()
    weights = np.random.default_rng(3).integers(0, 4, len(y))
    weighted = GradientDescentRegressor().fit(X, y, sample_weight=weights)
    repeated = np.repeat(X.to_numpy(), weights, axis=0), np.repeat(y.to_numpy(), weights)
    assert bits(weighted) == bits(GradientDescentRegressor().fit(*repeated))


# batches


@st.composite
def batches(draw: st.DrawFn) -> tuple[NDArray[np.float64], list[NDArray[np.intp]]]:
    """Rows of two features, target and weight, of magnitudes far apart; and a way to cut them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, decades = draw(st.integers(2, 40)), draw(st.sampled_from([0, 3, 60]))
    table = rng.normal(size=(n, 4)) * 10.0 ** rng.integers(-decades, decades + 1, (n, 4))
    table[:, 3] = np.abs(table[:, 3])
    table[rng.random(n) < 0.2, rng.integers(0, 3)] = 0.0
    size = draw(st.sampled_from([1, 7, n]))
    return table, np.array_split(rng.permutation(n), -(-n // size))


@settings(max_examples=25)
@given(batches(), st.booleans(), st.booleans())
def test_any_batches_give_the_bits_of_one_fit(
    drawn: tuple[NDArray[np.float64], list[NDArray[np.intp]]], weighted: bool, fit_intercept: bool
) -> None:
    table, parts = drawn
    # folds have a test of their own
    model = GradientDescentRegressor(max_iterations=20, fit_intercept=fit_intercept, folds=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 20 steps of any descent have bits to compare
        whole = clone(model).fit(table[:, :2], table[:, 2], table[:, 3] if weighted else None)
        for part in parts:
            model.partial_fit(table[part, :2], table[part, 2], table[part, 3] if weighted else None)
    assert bits(model) == bits(whole)
    assert model.moments_ == whole.moments_
    assert model.dependencies_ == whole.dependencies_


def test_weights_so_far_apart_that_one_row_is_all() -> None:
    """Correlations of 1, but for 2^-400: a matrix of float64, or of 256 bits, is singular; the sums are not."""
    X = np.array([[3e16, 8e5], [9e43, 4e30]])
    model = GradientDescentRegressor(max_iterations=20, fit_intercept=False)
    model.fit(X, [3e-51, -5e40], sample_weight=[1e-57, 6e4])
    assert len(model.dependencies_) == 1
    np.testing.assert_allclose(model.predict(X)[1], -5e40)


def test_fit_forgets_and_partial_fit_does_not() -> None:
    model = GradientDescentRegressor().fit(*line(50, 1))
    model.partial_fit(*line(50, 2))
    both = pd.concat([line(50, 1)[0], line(50, 2)[0]]), pd.concat([line(50, 1)[1], line(50, 2)[1]])
    assert bits(model) == bits(GradientDescentRegressor().fit(*both))
    assert bits(model.fit(*line(50, 2))) == bits(GradientDescentRegressor().fit(*line(50, 2)))


def test_a_batch_that_is_refused_leaves_no_trace() -> None:
    model = GradientDescentRegressor().fit(*line(50, 1))
    before = bits(model)
    X, y = line(50, 2)
    with pytest.raises(gdpipe.DataError):
        model.partial_fit(X * 1e200, y)
    with pytest.raises(gdpipe.ConfigError, match="the rows before were summed otherwise"):
        model.set_params(arithmetic="float64").partial_fit(X, y)
    assert bits(model) == before
    assert bits(model.set_params(arithmetic="exact").partial_fit(X, y)) == bits(
        GradientDescentRegressor().fit(*line(50, 2)).partial_fit(*line(50, 1))
    )


def test_sums_in_float64_agree_to_their_rounding() -> None:
    X, y = line()
    exact, rounded = GradientDescentRegressor().fit(X, y), GradientDescentRegressor(arithmetic="float64")
    rounded.partial_fit(X[:150], y[:150]).partial_fit(X[150:], y[150:], sample_weight=np.ones(50))
    assert rounded.coef_ == pytest.approx(exact.coef_, rel=1e-12)


# beside gdpipe train


def test_flights_have_the_bits_of_gdpipe_train(tmp_path: Path) -> None:
    # whole numbers lie on any grid: the pipeline rounds nothing either
    run = gdpipe.train(source=str(FLIGHTS), target="arr_delay", features=FEATURES, output=str(tmp_path), report=False)
    flights = pq.read_table(FLIGHTS, columns=[*FEATURES, "arr_delay"]).to_pandas().dropna()
    model = GradientDescentRegressor().fit(flights[[*FEATURES]], flights["arr_delay"])
    assert model.coef_.tobytes() == run.model.coef.tobytes()
    assert model.intercept_ == run.model.intercept
    assert model.n_iter_ == run.convergence["iterations"].item()
    assert model.loss_history_.tobytes() == run.loss_history["loss"].to_numpy().tobytes()
    predicted = run.predictions["prediction"].dropna().to_numpy()
    assert set(model.predict(flights[[*FEATURES]])) <= set(predicted)


def test_other_numbers_agree_to_the_rounding_of_the_grid(tmp_path: Path) -> None:
    # the pipeline rounds each value once, by at most 2^-53 of its column's maximum; the regressor does not
    columns = line_columns(1000, 5)
    file = write_parquet(tmp_path / "d.parquet", columns)
    run = gdpipe.train(source=str(file), target="y", output=str(tmp_path / "runs"), report=False)
    frame = pd.DataFrame(columns)
    model = GradientDescentRegressor().fit(frame[["x1", "x2"]], frame["y"])
    np.testing.assert_array_max_ulp(model.ols_coef_, run.parameters["ols_estimate"].to_numpy()[1:], maxulp=2)
    np.testing.assert_array_max_ulp(model.coef_, run.model.coef, maxulp=2)


# the door


def test_gdpipe_loads_without_scikit_learn() -> None:
    done = in_python("import sys, gdpipe, gdpipe.cli; assert 'sklearn' not in sys.modules")
    assert done.returncode == 0, done.stderr
    code = "import sys; sys.modules['sklearn'] = None; import gdpipe; gdpipe.train; gdpipe.GradientDescentRegressor"
    done = in_python(code)
    assert done.returncode == 1
    assert "GradientDescentRegressor needs scikit-learn: pip install 'gdpipe[sklearn]'" in done.stderr


def test_the_door_is_complete() -> None:
    assert all(hasattr(gdpipe, name) for name in gdpipe.__all__)
    assert gdpipe.GradientDescentRegressor is GradientDescentRegressor
    assert not hasattr(gdpipe, "regresor")


@pytest.mark.parametrize(
    ("penalty", "theirs"),
    [
        ({"penalty": "lasso"}, Lasso(0.05, tol=1e-14, max_iter=10**6)),
        ({"penalty": "elastic_net", "l1_ratio": 0.7}, ElasticNet(0.05, l1_ratio=0.7, tol=1e-14, max_iter=10**6)),
        ({"penalty": "ridge"}, Ridge(442 * 0.05, tol=1e-14)),
    ],
    ids=["lasso", "elastic_net", "ridge"],
)
def test_a_penalty_is_that_of_scikit_learn_on_standardized_columns(penalty: dict[str, Any], theirs: Any) -> None:
    X, y = load_diabetes(return_X_y=True, scaled=False)
    model = GradientDescentRegressor(alpha=0.05, **penalty).fit(X, y)
    expected = theirs.fit((X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std())
    np.testing.assert_allclose(model.coef_ * X.std(axis=0) / y.std(), expected.coef_, rtol=0, atol=1e-8)
    assert model.certificate_.passed
    assert isinstance(model.certificate_, PenalizedCertificate)
    assert model.certificate_.proven
    halves = GradientDescentRegressor(alpha=0.05, **penalty)
    assert halves.partial_fit(X[:100], y[:100]).partial_fit(X[100:], y[100:]).coef_.tolist() == model.coef_.tolist()
