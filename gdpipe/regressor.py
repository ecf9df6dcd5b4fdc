"""The fit for arrays and data frames, as an estimator of scikit-learn."""

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from gdpipe.config import EXACT_FEATURES, Arithmetic, Collinear, MethodSetting, PenaltySetting, TrainingConfig
from gdpipe.design import Design
from gdpipe.errors import ConfigError, DataError
from gdpipe.fit import fit
from gdpipe.numerics.array_types import why_not_numbers
from gdpipe.numerics.problem.covariance import LARGEST_VALUE
from gdpipe.numerics.rows import linear
from gdpipe.numerics.sums.float_moments import Float64Accumulator, Float64Moments, beyond_float64
from gdpipe.numerics.sums.moments import Moments
from gdpipe.numerics.sums.unrounded import unrounded_moments

# types whose precision counts: a combination of float32 columns is constant to float32's rounding
FLOATS = (np.float64, np.float32, np.float16)


class GradientDescentRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Linear least squares by full-batch gradient descent, on exact sums, with a certificate.

    The settings are those of `gdpipe.TrainingConfig`, and mean the same.

    Args:
        method: `gd`, `accelerated`, or `auto`: gd if its forecast fits in max_iterations and about half a second.
        learning_rate: `auto`, or a number below 2/L.
        tolerance: Largest accepted gap to OLS in a standardized coefficient.
        max_iterations: The most steps of the descent.
        max_seconds: The most seconds of the descent; None sets no limit.
        fit_intercept: Whether to fit an intercept.
        collinear: The treatment of dependent features: `min_norm`, `drop` or `fail`.
        penalty: `none`, `ridge`, `lasso` or `elastic_net`, on standardized coefficients. On standardized columns the
            fits are those of scikit-learn's Ridge(alpha=n_samples·alpha), Lasso(alpha) and ElasticNet(alpha, l1_ratio).
        alpha: Its strength, a number above 0; `auto` is for runs, which have folds: here a grid search chooses.
            Ignored without a penalty.
        l1_ratio: The lasso's part of `elastic_net`; ignored with another penalty.
        arithmetic: `exact`, `float64`, or `auto`: exact up to 256 features. With `float64`, the last digits of
            `partial_fit` depend on the batches.

    Attributes:
        coef_: Coefficients, shape (n_features_in_,), target units per feature unit; 0 where left out.
        intercept_: Intercept, in target units.
        n_iter_: Steps of the descent.
        loss_history_: Mean squared error at the steps in `history_iterations_`, in the target's unit squared; with a
            penalty 2·variance·penalty is part of it.
        history_iterations_: The steps in the history, ascending: 0, the last, and at most some 10,000 in all.
        certificate_: The distance between the descent's end and the optimum, and whether it is small enough.
            `row_gradient`, which needs single rows, is NaN.
        ols_coef_: Shape (n_features_in_,), the exact least-squares coefficients, rounded once.
        ols_intercept_: The exact least-squares intercept, rounded once.
        rank_: The number of independent features, without constants.
        dependencies_: A line for each constant or dependent feature, such as `surface = wall + 2 roof`.
        moments_: The sums of all rows so far; the rows themselves are not stored.
        n_features_in_: The number of features in the fit.
        feature_names_in_: The names of the features, if they had names.
    """

    moments_: Any  # Moments or Float64Moments; partial_fit adds the same kind
    _resolution: float

    def __init__(
        self,
        *,
        method: MethodSetting = "auto",
        learning_rate: float | Literal["auto"] = "auto",
        tolerance: float = 1e-8,
        max_iterations: int = 100_000,
        max_seconds: float | None = None,
        fit_intercept: bool = True,
        collinear: Collinear = "min_norm",
        penalty: PenaltySetting = "none",
        alpha: float | Literal["auto"] = "auto",
        l1_ratio: float = 0.5,
        arithmetic: Arithmetic = "auto",
    ) -> None:
        self.method = method
        self.learning_rate = learning_rate
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.max_seconds = max_seconds
        self.fit_intercept = fit_intercept
        self.collinear = collinear
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.arithmetic = arithmetic

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to these rows, and no others.

        Args:
            X: Numbers, shape (n_samples, n_features). Missing and infinite values are refused, and so are text (even
                of numbers), dates, times and durations. Decimals are rounded once to float64.
            y: Numbers as in `X`, shape (n_samples,).
            sample_weight: Weights >= 0, shape (n_samples,), or one for all rows. A weight of 2 is the row twice.

        Raises:
            ConfigError: A setting is out of range, or the learning rate would diverge.
            DataError: A column is too large or too small to compute with, or `collinear` is `fail` and a feature is
                dependent.
            ValueError: The arrays cannot be used; the message is scikit-learn's.
        """
        return self._learn(X, y, sample_weight, reset=True)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to these rows and all rows since the last `fit`; exact sums give the bits of one fit, in any order.

        Each call starts a new descent, in a time that does not depend on the earlier rows. Arguments and errors are
        those of `fit`.

        Raises:
            ConfigError: The arithmetic is not that of the earlier rows.
        """
        return self._learn(X, y, sample_weight, reset=not hasattr(self, "moments_"))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predictions, shape (n_samples,), in target units.

        Args:
            X: Shape (n_samples, n_features).

        Raises:
            ValueError: X cannot be used.
            NotFittedError: Nothing was fitted.
        """
        check_is_fitted(self)
        _check_numbers(X=X)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return linear.predict(X.T, self.coef_, self.intercept_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² of the predictions, as scikit-learn defines it.

        Args:
            X: Shape (n_samples, n_features).
            y: Shape (n_samples,).
            sample_weight: Shape (n_samples,).

        Raises:
            ValueError: The arrays cannot be used.
            NotFittedError: Nothing was fitted.
        """
        _check_numbers(y=y, sample_weight=sample_weight)
        return float(super().score(X, y, sample_weight))

    def _learn(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Self:
        config = self._config()
        _check_numbers(X=X, y=y, sample_weight=sample_weight)
        X, y = validate_data(self, X, y, reset=reset, dtype=FLOATS, y_numeric=True)
        weights = None if sample_weight is None else _checked_weights(sample_weight, len(y))
        resolution = float(np.finfo(X.dtype).eps)
        exact = config.arithmetic == "exact" or (config.arithmetic == "auto" and X.shape[1] <= EXACT_FEATURES)
        rows = np.vstack([X.T, y], dtype=np.float64)
        largest = np.abs(rows).max(axis=1)
        for name, size in zip([*self._names, "y"], largest.tolist(), strict=True):
            if size > LARGEST_VALUE:
                raise DataError(
                    f"column {name!r} has a magnitude of {size:g}, and gdpipe computes with at most {LARGEST_VALUE:g}; "
                    "use another unit"
                )
        if weights is not None and not exact:
            weight = float(weights.max())
            for j in beyond_float64(largest, weight) if weight else ():
                raise DataError(
                    f"column {[*self._names, 'y'][j]!r} reaches {largest[j]:g} with weights up to {weight:g}; "
                    "float64 does not hold the products: divide all weights by one number, or set arithmetic to exact"
                )
        # one thread for BLAS, so that the descent does not depend on how BLAS splits its sums
        with threadpool_limits(1, user_api="blas"):
            moments: Any = unrounded_moments(rows, weights) if exact else _float64_moments(rows, weights)
            if not reset:
                if type(moments) is not type(self.moments_):
                    raise ConfigError(
                        f"arithmetic {self.arithmetic!r}: the rows before were summed otherwise; fit anew"
                    )
                moments, resolution = self.moments_ + moments, max(self._resolution, resolution)
            if not moments.weight:
                raise ValueError("sample_weight is zero on every row; give at least one row a weight")
            self._solve(config, moments, resolution)
        self.moments_, self._resolution = moments, resolution
        if not self.certificate_.passed:
            warnings.warn(self.certificate_.reason, ConvergenceWarning, stacklevel=3)
        return self

    def _solve(self, config: TrainingConfig, moments: Moments | Float64Moments, resolution: float) -> None:
        p = self.n_features_in_
        found = fit(moments, Design.of_numbers(self._names), config, np.full(p, resolution))
        dependencies = found.regression.dependencies
        self.certificate_ = found.certificate
        self.coef_, self.intercept_ = found.model.coef, found.model.intercept
        self.ols_coef_, self.ols_intercept_ = found.ols.coef, found.ols.intercept
        self.n_iter_ = found.solution.iterations
        self.loss_history_ = found.solution.history_loss
        self.history_iterations_ = found.solution.history_iterations
        self.rank_ = p - len(dependencies.constant) - len(dependencies.redundant)
        self.dependencies_ = found.dependencies

    def _config(self) -> TrainingConfig:
        # a grid search gives NumPy's numbers
        settings = {name: v.item() if isinstance(v, np.generic) else v for name, v in self.get_params().items()}
        # a grid search tries each penalty with each alpha; one that does not need it leaves it aside
        unused = ["alpha"] if self.penalty == "none" else []
        for name in [*unused, *(["l1_ratio"] if self.penalty != "elastic_net" else [])]:
            del settings[name]
        return TrainingConfig(source="X", target="y", **settings)

    @property
    def _names(self) -> Sequence[str]:
        names: Sequence[str] = getattr(self, "feature_names_in_", [f"x{j}" for j in range(self.n_features_in_)])
        return names


def _check_numbers(**arrays: Any) -> None:
    for name, values in arrays.items():
        if reason := why_not_numbers(name, values):
            raise ValueError(reason)


def _checked_weights(sample_weight: Any, n: int) -> NDArray[np.float64]:
    one_each = np.full(n, sample_weight) if isinstance(sample_weight, Real) else sample_weight
    weights: NDArray[np.float64] = check_array(one_each, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.ndim > 1:
        raise ValueError(f"sample_weight has {weights.ndim} dimensions; it must have one number a row")
    check_consistent_length(weights, np.empty(n))
    if (weights < 0).any():
        at = int(np.argmax(weights < 0))
        raise ValueError(f"Negative values in sample_weight: {weights[at]:g} in row {at}; weights must be 0 or more")
    return weights


def _float64_moments(rows: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Float64Moments:
    accumulator = Float64Accumulator(len(rows))
    if weights is not None:
        rows, weights = rows[:, weights > 0], weights[weights > 0]
    accumulator.add(rows, weights)
    return accumulator.moments()
