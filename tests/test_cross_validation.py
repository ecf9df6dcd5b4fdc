"""Cross-validation from sums by fold: equal to refits on the rows, whatever their order and cut."""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow.dataset
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict, cross_val_score

from gdpipe.config import TrainingConfig
from gdpipe.cross_validation import CrossValidation, FoldStatus, cross_validate, splits
from gdpipe.design import Design
from gdpipe.fit import AnyMoments, Fit, fit
from gdpipe.numerics.problem.baseline import refined
from gdpipe.numerics.problem.dependencies import solve_exactly
from gdpipe.numerics.sums.float_moments import Float64Accumulator
from gdpipe.numerics.sums.folds import fold_of_rows
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents
from tests.conftest import FEATURES, FLIGHTS
from tests.numerics.build import Floats, moments, random_data, rounded_moments

Folds = NDArray[np.integer[Any]]
K = 5


def sums_by_fold(
    X: Floats, y: Floats, folds: Folds, weights: Floats | None = None, exact: bool = True, cuts: int = 1, k: int = K
) -> list[AnyMoments]:
    rows = np.vstack([X.T, y])
    accumulator: MomentsAccumulator | Float64Accumulator = Float64Accumulator(len(rows))
    if exact:
        weight_grid = None if weights is None else int(grid_exponents(np.array([weights.max()]))[0])
        accumulator = MomentsAccumulator(grid_exponents(np.abs(rows).max(axis=1)), weight_grid)
    for part in np.array_split(np.arange(len(y)), cuts):
        accumulator.add(rows[:, part], None if weights is None else weights[part], folds[part])
    return [accumulator.moments(fold) for fold in range(k)]


def config(**settings: Any) -> TrainingConfig:
    return TrainingConfig(source="X", target="y", **settings)


def of_all(X: Floats, y: Floats, weights: Floats | None = None, exact: bool = True, **settings: Any) -> Fit:
    rows = np.vstack([X.T, y])
    sums = moments(rows, weights) if exact else rounded_moments(rows, weights)
    return fit(sums, design(X), config(**settings))


def design(X: Floats) -> Design:
    return Design.of_numbers([f"x{j}" for j in range(X.shape[1])])


def validated(
    X: Floats,
    y: Floats,
    folds: Folds,
    weights: Floats | None = None,
    exact: bool = True,
    cuts: int = 1,
    **settings: Any,
) -> CrossValidation:
    by_fold = sums_by_fold(X, y, folds, weights, exact, cuts, k=max(K, int(folds.max()) + 1))
    return cross_validate(splits(by_fold, design(X), config(**settings)), of_all(X, y, weights, exact, **settings))


def assert_same_bits(a: CrossValidation, b: CrossValidation) -> None:
    assert (a.rmse, a.rmse_se, a.r2, a.reason) == (b.rmse, b.rmse_se, b.r2, b.reason)
    for one, other in zip(a.folds, b.folds, strict=True):
        assert repr(dataclasses.astuple(one)) == repr(dataclasses.astuple(other))


def flights() -> tuple[Floats, Floats]:
    table = pyarrow.dataset.dataset(FLIGHTS, partitioning="hive").to_table([*FEATURES, "arr_delay"]).to_pandas()
    values = table.dropna().to_numpy(float)[::10]
    return values[:, :-1], values[:, -1]


def diabetes() -> tuple[Floats, Floats]:
    return load_diabetes(return_X_y=True)  # type: ignore[no-any-return]  # scikit-learn ships no types


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("data", [flights, diabetes])
def test_real_data_agree_with_refits_of_scikit_learn(data: Any, exact: bool) -> None:
    X, y = data()
    folds = fold_of_rows([*X.T, y], K)
    found = validated(X, y, folds, exact=exact)
    split, mean, scale = PredefinedSplit(folds.astype(int)), X.mean(axis=0), X.std(axis=0)
    ols, Z = LinearRegression(), (X - mean) / scale  # for LAPACK's sake
    np.testing.assert_allclose([f.r2 for f in found.folds], cross_val_score(ols, Z, y, cv=split), rtol=1e-11)
    predicted = cross_val_predict(ols, Z, y, cv=split)
    assert found.rmse == pytest.approx(np.sqrt(((y - predicted) ** 2).mean()), rel=1e-12)
    assert found.r2 == pytest.approx(r2_score(y, predicted), rel=1e-11)
    assert found.reason is None
    errors = np.array([((y - predicted)[folds == f] ** 2).mean() for f in range(K)])
    counts = np.bincount(folds)
    mse = counts @ errors / counts.sum()
    cvsd = np.sqrt(counts @ (errors - mse) ** 2 / counts.sum() / (K - 1))  # as in R: weighted.mean(.)/(N - 1)
    assert found.rmse_se == pytest.approx(cvsd / (2 * np.sqrt(mse)), rel=1e-9)
    whole = of_all(X, y, exact=exact)
    for f, fold in enumerate(found.folds):
        refit = LinearRegression().fit(Z[folds != f], y[folds != f])
        np.testing.assert_allclose(fold.estimate[1:] * scale, refit.coef_, rtol=1e-9)
        assert (fold.n_samples, fold.weight) == (counts[f], counts[f])
        assert fold.rmse == pytest.approx(math.sqrt(errors[f]), rel=1e-12)
        np.testing.assert_array_equal(fold.shift, fold.estimate - np.array([whole.ols.intercept, *whole.ols.coef]))
        np.testing.assert_array_equal(fold.shift_se, fold.shift / whole.terms.std_error)


def refit_in_fractions(X: Floats, y: Floats, weights: Floats, train: NDArray[np.bool_], intercept: bool) -> Fraction:
    """Σw·e² on the rows that are not trained on, of small integers and in nothing but integers and fractions."""
    A, w = np.column_stack([np.ones(len(X))] * intercept + [X]).astype(int).astype(object), weights.astype(int)
    normal, right = A[train].T @ (A[train] * w[train, None]), A[train].T @ (y[train] * w[train]).astype(int)
    coef = solve_exactly(normal, right.astype(object)[:, None])[:, 0]
    left = y[~train].astype(int).astype(object) - A[~train] @ coef
    return Fraction((left**2 * w[~train]).sum())


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_each_number_is_that_of_rational_refits_rounded_once(weighted: bool, intercept: bool) -> None:
    rng = np.random.default_rng(weighted)
    X, y = rng.integers(-9, 10, (60, 3)).astype(float), rng.integers(-20, 90, 60).astype(float)
    weights = rng.integers(1, 4, 60).astype(float) if weighted else np.ones(60)
    folds = rng.integers(0, K, 60)
    found = validated(X, y, folds, weights if weighted else None, fit_intercept=intercept)
    total = Fraction(0)
    for f, fold in enumerate(found.folds):
        square, weight = refit_in_fractions(X, y, weights, folds != f, intercept), int(weights[folds == f].sum())
        total += square
        assert fold.weight == weight
        # the nearest float64 to a root lies within half a unit of it
        assert abs(Fraction(fold.rmse) ** 2 / (square / weight) - 1) <= Fraction(1, 2**52)
        held, of_rows = y[folds == f], weights[folds == f]
        about = np.average(held, weights=of_rows) if intercept else 0.0
        expected = 1 - float(square) / float(of_rows @ (held - about) ** 2)
        assert fold.r2 == pytest.approx(expected, rel=1e-12)
    assert abs(Fraction(found.rmse) ** 2 / (total / int(weights.sum())) - 1) <= Fraction(1, 2**52)
    about = np.average(y, weights=weights) if intercept else 0.0
    assert found.r2 == pytest.approx(1 - float(total) / float(weights @ (y - about) ** 2), rel=1e-12)


@pytest.mark.parametrize("weighted", [True, False])
def test_any_order_and_cut_of_the_rows_gives_the_same_bits(weighted: bool) -> None:
    X, y = random_data(3, n=500)
    weights = np.random.default_rng(0).uniform(0.1, 2, 500) if weighted else None
    folds = fold_of_rows([*X.T, y], K)
    order = np.random.default_rng(1).permutation(500)
    one = validated(X, y, folds, weights)
    other = validated(X[order], y[order], folds[order], None if weights is None else weights[order], cuts=7)
    assert_same_bits(one, other)


def test_a_weight_of_two_is_the_row_twice() -> None:
    X, y = random_data(4)
    weights = np.where(np.arange(len(y)) % 3 == 0, 2.0, 1.0)
    folds, twice = fold_of_rows([*X.T, y], K), np.repeat(np.arange(len(y)), weights.astype(int))
    one = validated(X, y, folds, weights)
    other = validated(X[twice], y[twice], fold_of_rows([*X[twice].T, y[twice]], K))
    assert (one.rmse, one.rmse_se, one.r2) == (other.rmse, other.rmse_se, other.r2)
    assert [f.estimate.tolist() for f in one.folds] == [f.estimate.tolist() for f in other.folds]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("collinear", ["min_norm", "drop"])
def test_dependent_and_constant_terms_change_no_error(collinear: str, exact: bool) -> None:
    X, y = random_data(5, p=2)
    folds = fold_of_rows([*X.T, y], K)
    wide = np.column_stack([X[:, 0], np.full(len(X), 7.0), X[:, 1], 2 * X[:, 0]])
    found = validated(wide, y, folds, exact=exact, collinear=collinear)
    alone = validated(X, y, folds, exact=exact)
    np.testing.assert_allclose([f.rmse for f in found.folds], [f.rmse for f in alone.folds], rtol=1e-10)
    for fold in found.folds:
        assert fold.estimate[2] == 0
        assert math.isnan(fold.shift_se[2])
        assert (fold.estimate[4] == 0) == (collinear == "drop")


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("collinear", ["min_norm", "drop", "fail"])
def test_a_level_that_only_one_fold_has_counts_as_the_reference_there(collinear: str, exact: bool) -> None:
    X, y = random_data(6, p=2)
    folds = fold_of_rows([*X.T, y], K)
    rare = np.zeros(len(y))
    rare[np.flatnonzero(folds == 2)[:3]] = 1
    found = validated(np.column_stack([X, rare]), y, folds, exact=exact, collinear=collinear)
    assert found.folds[2].estimate[3] == 0
    assert found.folds[2].rmse == pytest.approx(validated(X, y, folds).folds[2].rmse, rel=1e-10)
    assert found.folds[1].estimate[3] != 0


@pytest.mark.parametrize("exact", [True, False])
def test_folds_without_an_error_say_why(exact: bool) -> None:
    X, y = random_data(7, n=40)
    one = validated(X, y, np.full(40, 2), exact=exact)
    assert [f.status for f in one.folds] == [FoldStatus.EMPTY] * 2 + [FoldStatus.ALL_ROWS] + [FoldStatus.EMPTY] * 2
    assert all(map(math.isnan, [one.rmse, one.rmse_se, one.r2, one.folds[2].rmse, *one.folds[2].shift_se]))
    assert one.reason == f"fold 2: {FoldStatus.ALL_ROWS.value}"
    assert one.folds[2].n_samples == 40

    nearly = np.where(np.arange(40) < 4, 1, 0)  # a line through 5 terms needs 5 rows
    few = validated(X, y, nearly, exact=exact)
    assert few.folds[0].status is FoldStatus.TOO_FEW_ROWS
    assert few.folds[1].status is FoldStatus.MEASURED
    assert not math.isnan(few.folds[1].rmse)
    assert all(map(math.isnan, [few.rmse, few.rmse_se, few.r2, few.folds[0].rmse, few.folds[0].estimate[0]]))
    assert few.reason == f"fold 0: {FoldStatus.TOO_FEW_ROWS.value}"

    nearly[4] = 1
    assert validated(X, y, nearly, exact=exact).folds[0].status is FoldStatus.MEASURED
    holes = validated(X, y, np.where(np.arange(40) % 2, 4, 1), exact=exact)
    assert holes.reason is None  # each row has an error
    assert math.isnan(holes.folds[0].rmse)
    assert not math.isnan(holes.rmse_se)


def test_a_scale_that_cannot_be_computed_with_is_a_status() -> None:
    X, y = random_data(8)
    folds = fold_of_rows([*X.T, y], K)
    X[:, 0] = 1.05e150 * np.sign(X[:, 1] - np.median(X[:, 1])) * (folds != 0)  # with the zeros the SD is below 1e150
    found = validated(X, y, folds)
    assert found.folds[0].status is FoldStatus.UNUSABLE_SCALE
    assert found.folds[1].status is FoldStatus.MEASURED
    assert found.reason == f"fold 0: {FoldStatus.UNUSABLE_SCALE.value}"


def test_a_perfect_fit_has_no_error_at_all() -> None:
    rng = np.random.default_rng(9)
    X = rng.integers(0, 50, (300, 2)).astype(float)
    y = X @ [1.0, 1.0]
    found = validated(X, y, fold_of_rows([*X.T, y], K))
    assert (found.rmse, found.rmse_se, found.r2) == (0.0, 0.0, 1.0)
    constant = validated(X, np.full(300, 3.0), fold_of_rows(list(X.T), K))
    assert constant.rmse == 0
    assert math.isnan(constant.r2)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
def test_many_fits_are_measured_as_they_are_on_the_rows(intercept: bool, exact: bool) -> None:
    X, y = random_data(10)
    y = y + 5 * X[:, 0]
    folds = fold_of_rows([*X.T, y], K)
    by_fold = sums_by_fold(X, y, folds, exact=exact)
    for f, split in enumerate(splits(by_fold, design(X), config(fit_intercept=intercept))):
        assert split.training is not None
        train, scaling = folds != f, split.training.problem.scaling
        mean = np.array(scaling.means, float)
        Z, target = (X - mean) / scaling.scales, (y - float(scaling.target_mean)) / scaling.target_scale
        path = np.random.default_rng(f).normal(size=(7, 4))
        left = target[~train] - path @ Z[~train].T
        expected = (left**2).mean(axis=1) * scaling.target_scale**2
        np.testing.assert_allclose(split.errors(path), expected, rtol=1e-10)
        exactly = [float(split.error(*scaling.to_original(coef.tolist())).mse) for coef in path]
        np.testing.assert_allclose(exactly, expected, rtol=1e-10)


def test_given_coefficients_take_the_place_of_least_squares() -> None:
    X, y = random_data(11)
    folds = fold_of_rows([*X.T, y], K)
    by_fold, whole = sums_by_fold(X, y, folds), of_all(X, y)
    found = list(splits(by_fold, design(X), config()))
    same = cross_validate(found, whole, [refined(s.training.problem) for s in found if s.training])
    assert same.rmse == pytest.approx(cross_validate(found, whole).rmse, rel=1e-14)
    means = cross_validate(found, whole, [[0.0] * 4] * K)
    predicted = np.array([y[folds != f].mean() for f in range(K)])[folds]
    assert means.rmse == pytest.approx(np.sqrt(((y - predicted) ** 2).mean()), rel=1e-12)
    assert means.r2 == pytest.approx(r2_score(y, predicted), abs=1e-12)
    few = list(splits(sums_by_fold(X[:9], y[:9], np.arange(9) % 2), design(X), config()))
    assert cross_validate(few, whole, [[0.0] * 4, [0.0] * 4, None, None, None]).reason is None
