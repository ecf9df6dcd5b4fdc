"""The fit for arrays and data frames, as an estimator of scikit-learn."""

from gdpipe.regressor.regressor import GradientDescentRegressor

__all__ = ["GradientDescentRegressor"]
