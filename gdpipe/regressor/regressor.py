"""The fit for arrays and data frames, as an estimator of scikit-learn."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from gdpipe import kinds
from gdpipe.batch import Batch
from gdpipe.config import Arithmetic, Collinear, MethodSetting, PenaltySetting, TrainingConfig, Unseen
from gdpipe.design import Design
from gdpipe.errors import ConfigError, DataError
from gdpipe.frames import Frame, fold_keys, has_text, unseen_levels
from gdpipe.model import Model
from gdpipe.numerics.rows import linear
from gdpipe.regressor.rows import check_numbers, checked_weights, names_of, rows_of_features, rows_of_numbers
from gdpipe.regressor.summed import Summed
from gdpipe.validated_fit import validated_fit


class GradientDescentRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Linear least squares by full-batch gradient descent, on exact sums, with a certificate.

    The settings are those of `gdpipe.TrainingConfig` and `gdpipe.ScoringConfig`, and mean the same. Text columns of
    data frames, and categorical ones of text, are categories; numbers and booleans are numbers.

    Args:
        features: What to predict from, as in docs/features.md: columns, or features made from them such as `C(hour)`,
            `month(t)`, `log(x)` or `x:z`; None takes every column. Columns without a name are x0, x1 and so on.
        max_levels: The most levels that a category, or a product of categories, may have; more are an error.
        min_level_rows: The fewest rows of a level of its own; those of rarer levels are in the level `(other)`.
        unseen: What a level that the fit has not seen does to a prediction: `null` makes it NaN, with a warning;
            `reference` makes it that of the reference; `fail` is an error.
        method: `gd`, `accelerated`, or `auto`: gd if its forecast fits in max_iterations and about half a second.
        learning_rate: `auto`, or a number below 2/L.
        tolerance: Largest accepted gap to OLS in a standardized coefficient.
        max_iterations: The most steps of the descent.
        max_seconds: The most seconds of the descent; None sets no limit.
        fit_intercept: Whether to fit an intercept.
        collinear: The treatment of dependent features: `min_norm`, `drop` or `fail`.
        penalty: `none`, `ridge`, `lasso` or `elastic_net`, on standardized coefficients. On standardized columns the
            fits are those of scikit-learn's Ridge(alpha=n_samples·alpha), Lasso(alpha) and ElasticNet(alpha, l1_ratio).
        alpha: Its strength: a number above 0; `auto`, the one with the least error on unseen rows, by the folds;
            `auto_1se`, the largest whose error is within one standard error of it. Ignored without a penalty.
        l1_ratio: The lasso's part of `elastic_net`; ignored with another penalty.
        folds: Parts of the rows that are left out of the fit in turn, for the cross-validated error; 0 for none. A
            row's fold comes from its values, as in a run: rows in another order, or in batches, are in the same folds.
        fold_by: Columns of X whose values decide a row's fold in their place: equal ones share a fold.
        arithmetic: `exact`, `float64` (whose last digits depend on batches), or `auto`: exact up to 256 features.

    Attributes:
        coef_: Coefficients of `terms_`, shape (n_terms,), target units per unit of the term; 0 where left out.
        intercept_: Intercept, in target units.
        n_iter_: Steps of the descent.
        loss_history_: Mean squared error at the steps in `history_iterations_`, in the target's unit squared; with a
            penalty 2·variance·penalty is part of it.
        history_iterations_: The steps in the history, ascending: 0, the last, and at most some 10,000 in all.
        certificate_: The distance between the descent's end and the optimum, and whether it is small enough.
            `row_gradient`, which needs single rows, is NaN.
        ols_coef_: Shape (n_terms,), the exact least-squares coefficients, rounded once.
        ols_intercept_: The exact least-squares intercept, rounded once.
        rank_: The number of independent terms, without constants.
        dependencies_: A line for each constant or dependent feature, such as `surface = wall + 2 roof`.
        cv_rmse_: The root mean squared error on unseen rows, in target units: that of each fold, by a fit of the
            others; NaN where there is none.
        cross_validation_: That error with its standard error, `r2`, each fold's fit, and the reason where it is NaN;
            None without folds, and where the terms are so many that it would take long.
        alpha_: The strength of the penalty; None without a penalty.
        alphas_: Those tried, shape (n_alphas,), the largest first; None without a penalty.
        cv_rmse_path_: `cv_rmse_` of each, shape (n_alphas,); None without a penalty or where there is no such error.
        terms_: The names of the terms, shape (n_terms,): those of the columns, where all are numbers.
        levels_: The levels of each category, in order, by its name; the first has no term, unless the features say so.
        design_: The features and what their terms are made of.
        moments_: The sums of all rows so far, over terms and target; the rows themselves are not stored.
        n_features_in_: The number of columns in the fit.
        feature_names_in_: The names of the columns, if they had names.
    """

    moments_: Any  # Moments, BlockMoments or Float64Moments
    cross_validation_: Any  # CrossValidation or None
    alpha_: Any  # a float or None; the next two an array or None
    alphas_: Any
    cv_rmse_path_: Any
    _sums: Summed
    _design: Design  # without levels
    _features: tuple[str, ...] | None  # the setting
    _columns_alone: bool

    def __init__(
        self,
        *,
        features: Sequence[str] | None = None,
        max_levels: int = 1000,
        min_level_rows: int = 1,
        unseen: Unseen = "null",
        method: MethodSetting = "auto",
        learning_rate: float | Literal["auto"] = "auto",
        tolerance: float = 1e-8,
        max_iterations: int = 100_000,
        max_seconds: float | None = None,
        fit_intercept: bool = True,
        collinear: Collinear = "min_norm",
        penalty: PenaltySetting = "none",
        alpha: float | Literal["auto", "auto_1se"] = "auto",
        l1_ratio: float = 0.5,
        folds: int = 5,
        fold_by: Sequence[str] = (),
        arithmetic: Arithmetic = "auto",
    ) -> None:
        self.features = features
        self.max_levels = max_levels
        self.min_level_rows = min_level_rows
        self.unseen = unseen
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
        self.folds = folds
        self.fold_by = fold_by
        self.arithmetic = arithmetic

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to these rows, and no others.

        Args:
            X: A data frame, or numbers, shape (n_samples, n_features). Missing and infinite values are refused, and so
                are dates and times of which `features` takes no part, durations, and, but for columns of data frames,
                text (even of numbers). Decimals are rounded once to float64.
            y: Numbers as in `X`, shape (n_samples,).
            sample_weight: Weights >= 0, shape (n_samples,), or one for all rows. A weight of 2 is the row twice.

        Raises:
            ConfigError: A setting is out of range, a feature cannot be made, or the learning rate would diverge.
            DataError: A column is too large or too small to compute with, a category has too many levels, a function is
                not defined in a row, `collinear` is `fail` and a term is dependent, or `alpha` is to be chosen and
                there is no error on unseen rows to choose by.
            ValueError: The arrays cannot be used; the message is scikit-learn's.
        """
        return self._learn(X, y, sample_weight, reset=True)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to these rows and all rows since the last `fit`; exact sums give the bits of one fit, in any order.

        Each call starts a new descent, in a time that does not depend on the earlier rows. Arguments and errors are
        those of `fit`.

        Raises:
            ConfigError: The arithmetic, `features`, `folds` or `fold_by` are not those of the earlier rows.
        """
        return self._learn(X, y, sample_weight, reset=not hasattr(self, "moments_"))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predictions, shape (n_samples,), in target units.

        Args:
            X: The columns of the fit, shape (n_samples, n_features).

        Returns:
            NaN, with a warning, where `unseen` is `null` and the fit has not seen a level.

        Raises:
            ConfigError: `unseen` is none of its choices.
            DataError: A function is not defined in a row, or `unseen` is `fail` and the fit has not seen a level.
            ValueError: X cannot be used.
            NotFittedError: Nothing was fitted.
        """
        check_is_fitted(self)
        if self._columns_alone:
            check_numbers(X=X)
            X = validate_data(self, X, reset=False, dtype=np.float64)
            return linear.predict(X.T, self.coef_, self.intercept_)
        validate_data(self, X, reset=False, skip_check_array=True)
        unseen = kinds.checked("unseen", Unseen, self.unseen)
        model = Model(self.design_, self.coef_, self.intercept_, unseen_as_reference=unseen == "reference")
        values = Frame.of(X, names_of(self), self.design_).values(self.design_)
        for found in unseen_levels(model, values) if unseen != "reference" else ():
            if unseen == "fail":
                raise DataError(f"{found}; fit again with such rows, or set unseen to null or reference")
            warnings.warn(f"{found}: the prediction is NaN; set unseen to reference or fail for another", stacklevel=2)
        return model.predict(values)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The names of the terms, `terms_`, in the order of `coef_`.

        Args:
            input_features: Ignored; the names are those of the fit.

        Raises:
            NotFittedError: Nothing was fitted.
        """
        check_is_fitted(self)
        return self.terms_.copy()

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² of the predictions, as scikit-learn defines it.

        Args:
            X: Shape (n_samples, n_features).
            y: Shape (n_samples,).
            sample_weight: Shape (n_samples,).

        Raises:
            DataError: As in `predict`, or a prediction is NaN.
            ValueError: The arrays cannot be used.
            NotFittedError: Nothing was fitted.
        """
        check_numbers(y=y, sample_weight=sample_weight)
        predictions = self.predict(X)
        if (unknown := np.isnan(predictions)).any():
            raise DataError(
                f"X: no prediction in row {int(np.argmax(unknown))}, which has a level that the fit has not seen; "
                "leave such rows out, fit again with them, or set unseen to reference"
            )
        return float(r2_score(y, predictions, sample_weight=sample_weight))

    def _learn(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Self:
        config, features = self._config(), self._chosen()
        check_numbers(y=y, sample_weight=sample_weight)
        rows = self._rows(X, y, config, features, reset=reset)
        rows = replace(rows, keys=fold_keys(X, names_of(self), config.fold_by))
        weights = None if sample_weight is None else checked_weights(sample_weight, len(rows.y))
        # one thread for BLAS, so that the descent does not depend on how BLAS splits its sums
        with threadpool_limits(1, user_api="blas"):
            sums = Summed.of(config, rows, weights)
            if not reset:
                sums = self._sums.with_more(config, sums)
            if not sums.has_weight:
                raise ValueError("sample_weight is zero on every row; give at least one row a weight")
            self._solve(config, rows, weights, sums)
        self._sums, self._design = sums, rows.design
        self._features, self._columns_alone = features, rows.columns_alone
        if not self.certificate_.passed:
            warnings.warn(self.certificate_.reason, ConvergenceWarning, stacklevel=3)
        return self

    def _rows(self, X: Any, y: Any, config: TrainingConfig, features: tuple[str, ...] | None, *, reset: bool) -> Batch:
        """Rows, checked."""
        if not reset and features != self._features:
            raise ConfigError(f"features {self.features!r}: the rows before were summed by others; fit anew")
        numbers_alone = features is None if reset else self._columns_alone
        # text is a category in a fit anew; after one of numbers it is refused
        if numbers_alone and not (has_text(X) and reset):
            return rows_of_numbers(self, X, y, fit_intercept=config.fit_intercept, reset=reset)
        return rows_of_features(self, X, y, features if reset else self._design, fit_intercept=config.fit_intercept)

    def _solve(self, config: TrainingConfig, rows: Batch, weights: NDArray[np.float64] | None, sums: Summed) -> None:
        design, moments, folds = sums.over_terms(config, rows, weights)
        validated = validated_fit(moments, folds, design, config, design.resolution(sums.resolution), "X")
        found, path, of_folds = validated.fit, validated.path, validated.cross_validation
        errors = path and path.errors
        self.cross_validation_, self.cv_rmse_ = of_folds, of_folds.rmse if of_folds else math.nan
        self.alpha_ = path and path.penalty and path.penalty.alpha
        self.alphas_ = path and path.optima.alphas
        self.cv_rmse_path_ = errors and np.sqrt(errors.mse)
        dependencies = found.regression.dependencies
        self.certificate_ = found.certificate
        self.coef_, self.intercept_ = found.model.coef, found.model.intercept
        self.ols_coef_, self.ols_intercept_ = found.ols.coef, found.ols.intercept
        self.n_iter_ = found.solution.iterations
        self.loss_history_ = found.solution.history_loss
        self.history_iterations_ = found.solution.history_iterations
        self.rank_ = len(self.coef_) - len(dependencies.constant) - len(dependencies.redundant)
        self.dependencies_ = found.dependencies
        self.design_, self.terms_, self.moments_ = design, np.array(design.names, object), moments
        self.levels_ = {
            name: [label for (label,) in design.levels[(c,)]] for c, name in enumerate(design.category_names)
        }

    def _config(self) -> TrainingConfig:
        # a grid search gives NumPy's numbers
        settings = {name: v.item() if isinstance(v, np.generic) else v for name, v in self.get_params().items()}
        kinds.checked("unseen", Unseen, settings.pop("unseen"))
        del settings["features"]  # see `_chosen`: a column of X may have the target's name
        # a grid search tries each penalty with each alpha; one that does not need it leaves it aside
        unused = ["alpha"] if self.penalty == "none" else []
        for name in [*unused, *(["l1_ratio"] if self.penalty != "elastic_net" else [])]:
            del settings[name]
        return TrainingConfig(source="X", target="y", **settings)

    def _chosen(self) -> tuple[str, ...] | None:
        """The setting `features`, checked."""
        features: tuple[str, ...] | None = kinds.checked("features", kinds.Features | None, self.features)
        if features == ():
            raise ConfigError("features (): must name a column; None takes all")
        return features
