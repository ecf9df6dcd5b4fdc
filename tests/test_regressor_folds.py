"""The regressor's folds and its choice of alpha, beside scikit-learn's on the same folds, and beside a run's."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNetCV, LassoCV, LinearRegression, RidgeCV
from sklearn.model_selection import PredefinedSplit, cross_val_predict

import gdpipe
from gdpipe import GradientDescentRegressor
from gdpipe.numerics.sums.folds import fold_of_rows
from tests.conftest import write_parquet

Floats = NDArray[np.float64]
EXACT: dict[str, Any] = {"tol": 1e-13, "max_iter": 10**6}
# alphas compared with scikit-learn's, of the hundred
SOME = slice(5, 65, 12)


def diabetes() -> tuple[Floats, Floats]:
    return load_diabetes(return_X_y=True, scaled=False)  # type: ignore[no-any-return]  # scikit-learn ships no types


def folds_of(X: Floats, y: Floats, folds: int = 5) -> NDArray[np.uint8]:
    """The folds of columns x0 to x9, whose names are in order, with the target y after them."""
    return fold_of_rows([*X.T, y], folds)


def each_split(X: Floats, y: Floats, folds: NDArray[np.uint8]) -> Iterator[tuple[Floats, Floats, Any, float]]:
    """Of each fold: the rows standardized by all others, scikit-learn's cv= of that one split, and the target's SD."""
    for fold in range(int(folds.max()) + 1):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        mean, scale = X[train].mean(axis=0), X[train].std(axis=0)
        yield (X - mean) / scale, (y - y[train].mean()) / y[train].std(), [(train, test)], float(y[train].std())


def theirs(penalty: dict[str, Any], alphas: Floats, Z: Floats, t: Floats, cv: Any) -> Floats:
    """The mean squared errors of scikit-learn's choosers of alpha on one split, shape (n_alphas,)."""
    if penalty["penalty"] == "ridge":
        n = len(cv[0][0])
        score = "neg_mean_squared_error"
        return np.array([-RidgeCV([n * alpha], cv=cv, scoring=score).fit(Z, t).best_score_ for alpha in alphas])
    chooser = (
        LassoCV(alphas=alphas, cv=cv, **EXACT)
        if penalty["penalty"] == "lasso"
        else ElasticNetCV(alphas=alphas, l1_ratio=penalty["l1_ratio"], cv=cv, **EXACT)
    )
    errors: Floats = chooser.fit(Z, t).mse_path_.ravel()  # of one split
    return errors


@pytest.mark.parametrize(
    "penalty",
    [{"penalty": "lasso"}, {"penalty": "elastic_net", "l1_ratio": 0.7}, {"penalty": "ridge"}],
    ids=["lasso", "elastic_net", "ridge"],
)
def test_alpha_is_chosen_by_the_errors_of_scikit_learn_on_the_same_folds(penalty: dict[str, Any]) -> None:
    X, y = diabetes()
    folds = folds_of(X, y)
    model = GradientDescentRegressor(**penalty).fit(X, y)
    some = model.alphas_[SOME]
    errors = [theirs(penalty, some, Z, t, cv) * scale**2 for Z, t, cv, scale in each_split(X, y, folds)]
    expected = np.sqrt(np.average(errors, axis=0, weights=np.bincount(folds)))
    np.testing.assert_allclose(model.cv_rmse_path_[SOME], expected, rtol=1e-9)
    at = int(np.flatnonzero(model.alphas_ == model.alpha_)[0])
    assert at == np.argmin(model.cv_rmse_path_)
    assert model.cv_rmse_ == pytest.approx(model.cv_rmse_path_[at], rel=1e-9)
    assert model.certificate_.passed
    simple = GradientDescentRegressor(alpha="auto_1se", **penalty).fit(X, y)
    mse, se = model.cv_rmse_**2, 2 * model.cv_rmse_ * model.cross_validation_.rmse_se
    within = model.alphas_[model.cv_rmse_path_**2 <= mse + se]
    assert simple.alpha_ == within.max() > model.alpha_
    given = GradientDescentRegressor(alpha=model.alpha_, **penalty).fit(X, y)
    assert (given.coef_.tolist(), given.cv_rmse_) == (model.coef_.tolist(), model.cv_rmse_)


def test_without_a_penalty_the_error_is_that_of_cross_val_predict() -> None:
    X, y = diabetes()
    model = GradientDescentRegressor(folds=7).fit(X, y)
    split = PredefinedSplit(folds_of(X, y, 7).astype(int))
    predicted = cross_val_predict(LinearRegression(), (X - X.mean(axis=0)) / X.std(axis=0), y, cv=split)
    assert model.cv_rmse_ == pytest.approx(np.sqrt(((y - predicted) ** 2).mean()), rel=1e-12)
    assert len(model.cross_validation_.folds) == 7
    assert (model.alpha_, model.alphas_, model.cv_rmse_path_) == (None, None, None)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("settings", [{}, {"penalty": "lasso"}, {"penalty": "ridge", "fit_intercept": False}])
def test_batches_in_any_order_have_the_folds_of_one_fit(settings: dict[str, Any], weighted: bool) -> None:
    X, y = diabetes()
    weights = np.random.default_rng(0).integers(0, 4, len(y)).astype(float) if weighted else None
    whole = GradientDescentRegressor(**settings).fit(X, y, weights)
    parts = GradientDescentRegressor(**settings)
    order = np.random.default_rng(1).permutation(len(y))
    for rows in np.array_split(order, [3, 200, 201]):
        parts.partial_fit(X[rows], y[rows], None if weights is None else weights[rows])
    for name in ("cv_rmse_", "alpha_", "intercept_"):
        assert getattr(parts, name) == getattr(whole, name), name
    for name in ("coef_", "alphas_", "cv_rmse_path_"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name), err_msg=name)
    with pytest.raises(gdpipe.ConfigError, match="folds 3: the rows before were summed by others; fit anew"):
        parts.set_params(folds=3).partial_fit(X, y)
    if weights is not None:
        twice = GradientDescentRegressor(**settings).fit(*(np.repeat(v, weights.astype(int), axis=0) for v in (X, y)))
        assert twice.cv_rmse_ == whole.cv_rmse_


@pytest.mark.parametrize("penalty", ["none", "lasso"])
def test_the_folds_and_the_alpha_are_those_of_a_run(tmp_path: Path, penalty: Any) -> None:
    rng = np.random.default_rng(0)
    whole = {"z": rng.integers(-9, 10, 300).astype(float), "x10": rng.integers(0, 50, 300).astype(float)}
    kind = [("a", "b", "c")[i % 3] for i in range(300)]
    frame = pd.DataFrame({**whole, "kind": kind, "y": whole["z"] + rng.integers(-20, 20, 300)})
    source = write_parquet(tmp_path / "d.parquet", {str(name): column.tolist() for name, column in frame.items()})
    run = gdpipe.train(source=source, target="y", output=tmp_path / "runs", report=False, penalty=penalty)
    model = GradientDescentRegressor(penalty=penalty).fit(frame[["kind", "z", "x10"]], frame["y"])
    assert model.cv_rmse_ == run.metrics["cv_rmse"].item()
    assert [fold.rmse for fold in model.cross_validation_.folds] == run.folds["rmse"].tolist()
    if penalty == "lasso":
        assert model.alpha_ == run.convergence["alpha"].item()


@pytest.mark.parametrize("by", [["text"], ["whole"], ["day"], ["at"], ["flag", "text"], ["float"]])
def test_rows_of_one_group_share_the_fold_that_they_have_in_a_run(tmp_path: Path, by: list[str]) -> None:
    group = np.random.default_rng(2).integers(0, 12, 300)
    x = np.arange(300.0) % 17
    days = [dt.date(2024, 1, 1) + dt.timedelta(int(g)) for g in group]
    frame = pd.DataFrame(
        {
            "x": x,
            "text": [None if g == 3 else f"g{g}" for g in group],
            "whole": pd.array([None if g == 5 else g for g in group], "Int64"),
            "day": [None if g == 1 else day for g, day in zip(group, days, strict=True)],
            "at": pd.to_datetime(days).tz_localize("Europe/Berlin"),
            "flag": group % 2 == 0,
            "float": np.where(group == 0, -0.0, np.where(group == 1, 0.0, group / 7)),
        }
    )
    y = pd.Series(x + group % 5)
    source = tmp_path / "d.parquet"
    frame.assign(y=y).to_parquet(source)
    settings: dict[str, Any] = {"features": ["x"], "fold_by": by}
    run = gdpipe.train(source=source, target="y", output=tmp_path / "runs", report=False, **settings)
    model = GradientDescentRegressor(**settings).fit(frame, y)
    assert model.cv_rmse_ == run.metrics["cv_rmse"].item()
    assert [fold.n_samples for fold in model.cross_validation_.folds] == run.folds["rows"].tolist()
    parts = GradientDescentRegressor(**settings)
    for rows in (frame.index[::2], frame.index[1::2]):
        parts.partial_fit(frame.loc[rows].assign(text=lambda some: some["text"].astype("category")), y[rows])
    assert parts.cv_rmse_ == model.cv_rmse_
    with pytest.raises(gdpipe.ConfigError, match="folds 5 by x: the rows before were summed by others; fit anew"):
        parts.set_params(fold_by=["x"]).partial_fit(frame, y)


def test_groups_of_an_array_and_what_is_none() -> None:
    X, y = diabetes()
    model = GradientDescentRegressor(fold_by=["x1"]).fit(X, y)
    assert model.cross_validation_.folds[0].n_samples == int((fold_of_rows([X[:, 1]], 5) == 0).sum())
    with pytest.raises(gdpipe.ConfigError, match=r"fold_by: X has no column 'g'; its columns are x0, x1, .*"):
        GradientDescentRegressor(fold_by="g").fit(X, y)
    with pytest.raises(gdpipe.ConfigError, match="fold_by x1: decides folds, and folds is 0"):
        GradientDescentRegressor(fold_by="x1", folds=0).fit(X, y)
    frame = pd.DataFrame({"x": X[:, 0], "long": pd.to_timedelta(X[:, 1], "D")})
    with pytest.raises(
        ValueError, match=r"X: column 'long' holds timedelta64\[.*, which cannot decide a fold; leave it"
    ):
        GradientDescentRegressor(features=["x"], fold_by=["long"]).fit(frame, y)


def test_float64_sums_and_very_many_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = diabetes()
    exact = GradientDescentRegressor(penalty="lasso").fit(X, y)
    rounded = GradientDescentRegressor(penalty="lasso", arithmetic="float64").fit(X, y)
    np.testing.assert_allclose(rounded.cv_rmse_path_, exact.cv_rmse_path_, rtol=1e-9)
    monkeypatch.setattr("gdpipe.cross_validation.MOST_FOLD_PRODUCTS", 5 * 9**2)
    model = GradientDescentRegressor().fit(X, y)
    assert model.cross_validation_ is None
    assert np.isnan(model.cv_rmse_)


def test_there_may_be_nothing_to_choose_by() -> None:
    X, y = diabetes()
    with pytest.raises(gdpipe.ConfigError, match="alpha auto: is chosen by the error on unseen rows, and folds is 0"):
        GradientDescentRegressor(penalty="lasso", folds=0).fit(X, y)
    with pytest.raises(gdpipe.DataError, match=r"X: alpha auto is chosen by .* or give alpha as a number"):
        GradientDescentRegressor(penalty="lasso").fit(np.ones((4, 1)), np.ones(4))
    model = GradientDescentRegressor(penalty="lasso", alpha=0.1, folds=0).fit(X, y)
    assert (model.alpha_, model.cross_validation_, model.cv_rmse_path_) == (0.1, None, None)
    same = GradientDescentRegressor().fit(np.ones((4, 1)), np.ones(4))
    assert np.isnan(same.cv_rmse_)
    assert "all rows are in the fold" in same.cross_validation_.reason
