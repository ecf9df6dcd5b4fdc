"""Rows that a fit is given, checked: in scikit-learn's words, or in ours where it has none."""

import dataclasses
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_consistent_length, check_X_y, validate_data

from gdpipe.batch import Batch
from gdpipe.design import Design, Input
from gdpipe.frames import Frame
from gdpipe.numerics.array_types import why_not_numbers

# types whose precision counts: a combination of float32 columns is constant to float32's rounding
FLOATS = (np.float64, np.float32, np.float16)


def names_of(estimator: BaseEstimator) -> list[str]:
    """The names of the columns of the fit; x0, x1 and so on where they have none."""
    return list(getattr(estimator, "feature_names_in_", [f"x{j}" for j in range(estimator.n_features_in_)]))


def rows_of_numbers(estimator: BaseEstimator, X: Any, y: Any, *, fit_intercept: bool, reset: bool) -> Batch:
    """Rows of which every feature is a column of numbers, checked by scikit-learn as one array.

    Raises:
        ValueError: The arrays cannot be used.
    """
    check_numbers(X=X)
    X, y = validate_data(estimator, X, y, reset=reset, dtype=FLOATS, y_numeric=True)
    names = names_of(estimator)
    design = Design.of_numbers(names, fit_intercept=fit_intercept)
    eps = float(np.finfo(X.dtype).eps)
    inputs = [(Input(name), column) for name, column in zip(names, X.T, strict=True)]
    return Batch(design, inputs, X.T, (), y, dict.fromkeys(names, eps), columns_alone=True)


def rows_of_features(
    estimator: BaseEstimator, X: Any, y: Any, features: tuple[str, ...] | Design | None, *, fit_intercept: bool
) -> Batch:
    """Rows of any features.

    Args:
        estimator: The estimator, which keeps the columns' names where this is a fit anew.
        X: A data frame, or an array with two dimensions.
        y: The target.
        features: The features of a fit anew, None for all columns; or the design of the earlier rows.
        fit_intercept: Whether there is an intercept.

    Raises:
        ConfigError: A feature cannot be made.
        DataError: A function is not defined in a row.
        ValueError: The arrays cannot be used.
    """
    known = features if isinstance(features, Design) else None
    validate_data(estimator, X, reset=known is None, skip_check_array=True)
    frame = Frame.of(X, names_of(estimator), known)
    design = frame.design(features) if not isinstance(features, Design) else features
    design = dataclasses.replace(design, fit_intercept=fit_intercept)
    values = frame.values(design)
    numbers, categories = design.number_values(values), design.category_values(values)
    # scikit-learn's words for y, and for numbers that are infinite
    matrix = np.column_stack(numbers) if numbers else np.zeros((len(categories[0].codes), 1))
    matrix, y = check_X_y(matrix, y, dtype=np.float64, y_numeric=True)
    resolution = {name: frame.columns[name].resolution for name in design.columns}
    inputs = list(zip(design.inputs, values, strict=True))
    return Batch(design, inputs, matrix.T[: len(numbers)], categories, y, resolution, columns_alone=False)


def check_numbers(**arrays: Any) -> None:
    """Check that arrays, by the name of their argument, hold numbers.

    Raises:
        ValueError: One does not.
    """
    for name, values in arrays.items():
        if reason := why_not_numbers(name, values):
            raise ValueError(reason)


def checked_weights(sample_weight: Any, n: int) -> NDArray[np.float64]:
    """Weights, one for all rows or one each, as shape (n,).

    Raises:
        ValueError: They cannot be used.
    """
    one_each = np.full(n, sample_weight) if isinstance(sample_weight, Real) else sample_weight
    weights: NDArray[np.float64] = check_array(one_each, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.ndim > 1:
        raise ValueError(f"sample_weight has {weights.ndim} dimensions; it must have one number a row")
    check_consistent_length(weights, np.empty(n))
    if (weights < 0).any():
        at = int(np.argmax(weights < 0))
        raise ValueError(f"Negative values in sample_weight: {weights[at]:g} in row {at}; weights must be 0 or more")
    return weights
