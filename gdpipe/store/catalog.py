"""The artifacts, with the name, type, unit and meaning of each column: other programs depend on them."""

import pyarrow as pa

from gdpipe.store.artifact_column import Column

SCHEMA_VERSION = 1

PARAMETERS = "parameters"
LOSS_HISTORY = "loss_history"
PREDICTIONS = "predictions"
CONVERGENCE = "convergence"
METRICS = "metrics"
DRIFT = "drift"
FEATURES = "features"
LEVELS = "levels"
PATH = "path"
FOLDS = "folds"
TRUE_PARAMETERS = "true_parameters"

_F, _S, _I, _B = pa.float64(), pa.string(), pa.int64(), pa.bool_()

_COLUMNS: dict[str, tuple[Column, ...]] = {
    PARAMETERS: (
        Column("term", _S, "text", "'intercept', the feature's name, or such as carrier[AA] for a level"),
        Column("estimate", _F, "target/feature", "what the descent found; the intercept in target units"),
        Column("estimate_scaled", _F, "target SD/feature SD", "the same on standardized columns"),
        Column("ols_estimate", _F, "target/feature", "the exact least-squares baseline"),
        Column("std_error", _F, "target/feature", "standard error of the estimate"),
        Column("t_value", _F, "1", "ols_estimate / std_error"),
        Column("p_value", _F, "1", "two-sided, from Student's t"),
        Column("ci_lower", _F, "target/feature", "lower end of the 95 % confidence interval"),
        Column("ci_upper", _F, "target/feature", "upper end of the 95 % confidence interval"),
        Column("mean", _F, "feature", "mean taken out by standardization"),
        Column("scale", _F, "feature", "standard deviation divided by (root mean square without an intercept)"),
        Column("vif", _F, "1", "variance inflation factor; of a level's term that of its feature, gvif"),
        Column("status", _S, "text", "ok, constant or dependent"),
        Column("std_error_hc1", _F, "target/feature", "standard error robust to unequal variances (HC1)"),
        Column("feature", _S, "text", "the feature that the term is a part of; null for the intercept", True),
        Column("level", _S, "text", "the level that the term stands for; null for a number", True),
        Column(
            "optimum_estimate",
            _F,
            "target/feature",
            "the optimum that the certificate is about: with a penalty the penalized one, else ols_estimate",
            True,
        ),
    ),
    LOSS_HISTORY: (
        Column("iteration", _I, "steps", "0 is the start"),
        Column(
            "loss",
            _F,
            "target^2",
            "mean squared error",
            penalized="mean squared error + 2 x variance of the target x penalty, which the descent lowers",
        ),
        Column("gradient_norm", _F, "target SD", "length of half the gradient, on standardized columns"),
        Column("learning_rate", _F, "1", "factor of the gradient in each step"),
        Column(
            "estimate_scaled",
            pa.list_(_F),
            "target SD/feature SD",
            "the coefficients in the order of parameters, without the intercept",
        ),
    ),
    CONVERGENCE: (
        Column("status", _S, "text", "converged, max_iterations, max_seconds or stalled"),
        Column("passed", _B, "yes/no", "whether the run passed validation"),
        Column("method", _S, "text", "gd or accelerated"),
        Column("iterations", _I, "steps", "steps taken"),
        Column("forecast_iterations", _I, "steps", "steps forecast before the descent; null: never", True),
        Column("learning_rate", _F, "1", "factor of the gradient in each step"),
        Column(
            "condition_number",
            _F,
            "1",
            "of the correlation matrix of the terms that descend, dependent directions left out",
        ),
        Column("rank", _I, "columns", "independent features"),
        Column("gradient_norm", _F, "target SD", "length of half the gradient at the end"),
        Column("distance_bound", _F, "target SD/feature SD", "no coefficient is farther from the optimum than this"),
        Column(
            "coef_gap",
            _F,
            "target SD/feature SD",
            "largest gap between descent and OLS",
            penalized="largest gap between the descent and the optimum with the penalty",
        ),
        Column("coef_gap_se", _F, "standard errors", "the same in standard errors"),
        Column(
            "loss",
            _F,
            "target^2",
            "mean squared error of the descent",
            penalized="mean squared error of the descent, without the penalty",
        ),
        Column("ols_loss", _F, "target^2", "mean squared error of the baseline"),
        Column(
            "excess_loss",
            _F,
            "target^2",
            "their difference, evaluated without cancellation",
            penalized="bound of loss + 2 x variance of the target x penalty above its least value",
        ),
        Column(
            "row_gradient",
            _F,
            "target SD",
            "largest |mean(residual x standardized feature)|, from the raw rows",
            penalized="largest violation of the optimum's (KKT) conditions, from the raw rows",
        ),
        Column("tolerance", _F, "target SD/feature SD", "largest accepted coef_gap"),
        Column("dependencies", pa.list_(_S), "text", "relations among the features, one line each"),
        Column(
            "row_count_gap",
            _I,
            "rows",
            "largest difference between the scans in rows read, used, missing a value",
            True,
        ),
        Column("row_weight_gap", _F, "1", "difference in the sum of weights, as a part of it", True),
        Column("row_mean_gap", _F, "target", "difference in the mean residual between rows and sums", True),
        Column("row_mean_gap_limit", _F, "target", "what rounding allows of row_mean_gap", True),
        Column("row_loss_gap", _F, "target^2", "difference in the mean squared residual between rows and sums", True),
        Column("row_loss_gap_limit", _F, "target^2", "what rounding allows of row_loss_gap", True),
        Column("row_probe_gap", _F, "target SD^2", "the same for a fixed line through all columns, the probe", True),
        Column("row_probe_gap_limit", _F, "target SD^2", "what rounding allows of row_probe_gap", True),
        Column("penalty", _S, "text", "none, ridge, lasso or elastic_net", True),
        Column("alpha", _F, "1", "strength of the penalty; NaN without one", True),
        Column("l1_ratio", _F, "1", "the lasso's part of the penalty; NaN without one", True),
        Column("nonzero", _I, "columns", "terms whose coefficient is not zero", True),
        Column("fit_gap", _F, "target SD", "bound of the RMS distance to the optimum's predictions", True),
        Column("proof", _S, "text", "what proves the optimum of a penalized fit; null without a penalty", True),
    ),
    METRICS: (
        Column("r2", _F, "1", "share of the target's variance explained"),
        Column("r2_kind", _S, "text", "centred, or uncentred where there is no intercept"),
        Column("adjusted_r2", _F, "1", "r2 corrected for the number of independent features"),
        Column("rmse", _F, "target", "root mean squared error"),
        Column("mae", _F, "target", "mean absolute error"),
        Column("residual_std_error", _F, "target", "root of squared error per degree of freedom"),
        Column("n_samples", _I, "rows", "rows fitted"),
        Column("n_features", _I, "columns", "features asked for"),
        Column("total_weight", _F, "weight", "sum of weights; n_samples where rows are unweighted"),
        Column("df_residual", _F, "1", "degrees of freedom left"),
        Column("f_statistic", _F, "1", "all coefficients against none"),
        Column("f_p_value", _F, "1", "of the F statistic"),
        Column("log_likelihood", _F, "nats", "of normal errors"),
        Column("aic", _F, "nats", "Akaike's information criterion"),
        Column("bic", _F, "nats", "Bayesian information criterion"),
        Column("durbin_watson", _F, "1", "2 where neighbouring residuals are unrelated, rows in input order"),
        Column("jarque_bera", _F, "1", "departure of the residuals from normality"),
        Column("jarque_bera_p_value", _F, "1", "of jarque_bera, chi-squared with 2 degrees of freedom"),
        Column("skewness", _F, "1", "of the residuals"),
        Column("kurtosis", _F, "1", "of the residuals; 3 for a normal distribution"),
        Column("breusch_pagan", _F, "1", "whether the residuals' variance depends on the features (Koenker's form)"),
        Column("breusch_pagan_p_value", _F, "1", "of breusch_pagan"),
        Column("target_mean", _F, "target", "mean of the target"),
        Column(
            "target_scale", _F, "target", "standard deviation of the target (root mean square without an intercept)"
        ),
        Column("cv_rmse", _F, "target", "root mean squared error of each fold by a fit of the others; NaN: none", True),
        Column("cv_rmse_se", _F, "target", "standard error of cv_rmse over folds", True),
        Column("cv_r2", _F, "1", "share of the target's variance that these fits explain on the fold left out", True),
        Column("holdout_rmse", _F, "target", "root mean squared error on the rows held out; NaN: none", True),
        Column("holdout_r2", _F, "1", "share of the target's variance explained on the rows held out", True),
        Column("holdout_rows", _I, "rows", "rows held out that could be used", True),
    ),
    DRIFT: (
        Column("term", _S, "text", "'intercept', the feature's name, or the target's"),
        Column("role", _S, "text", "intercept, feature, reference (a category's, without coefficient) or target"),
        Column("previous_mean", _F, "feature", "mean in the run published before; the target's in target units"),
        Column("previous_scale", _F, "feature", "standard deviation in that run (root mean square without intercept)"),
        Column("previous_estimate", _F, "target/feature", "coefficient in that run"),
        Column("mean_shift_sd", _F, "previous SD", "shift of the mean in standard deviations of that run"),
        Column("mean_shift_se", _F, "standard errors", "the same in standard errors of the difference (Welch)"),
        Column("scale_ratio", _F, "1", "scale / previous_scale"),
        Column(
            "scale_shift_se",
            _F,
            "standard errors",
            "ln(scale_ratio) in the standard errors it would have if the column were normally distributed",
        ),
        Column("estimate_shift_se", _F, "standard errors", "change of the estimate / joint standard error"),
    ),
    FEATURES: (
        Column("feature", _S, "text", "the feature as it was asked for"),
        Column("kind", _S, "text", "number, category or product"),
        Column("levels", _I, "levels", "levels found, or combinations of levels; null for a number", True),
        Column("reference", _S, "text", "the level that the others are compared with; null where there is none", True),
        Column("terms", _I, "columns", "columns of the regression"),
        Column("df", _I, "columns", "those of them that take part in the fit, tested together"),
        Column("f_statistic", _F, "1", "all of them against none, the other features held"),
        Column("f_p_value", _F, "1", "of the F statistic"),
        Column("gvif", _F, "1", "generalized variance inflation factor; the VIF where df is 1"),
        Column("gvif_root", _F, "1", "gvif^(1/(2 df)): how much longer the other features make intervals, per term"),
    ),
    LEVELS: (
        Column("feature", _S, "text", "the category, as terms name it"),
        Column("level", _S, "text", "the level's label"),
        Column("rows", _I, "rows", "rows fitted that have the level"),
        Column("weight", _F, "weight", "sum of their weights; rows where they are unweighted"),
        Column("share", _F, "1", "weight / the sum over all levels"),
        Column("reference", _B, "yes/no", "whether the others are compared with this level"),
        Column("other", _B, "yes/no", "whether it stands for the rare levels, joined"),
    ),
    PATH: (
        Column("alpha", _F, "1", "strength of the penalty, the largest first"),
        Column("nonzero", _I, "columns", "terms whose coefficient is not zero"),
        Column("loss", _F, "target^2", "mean squared error on the rows fitted, without the penalty"),
        Column("cv_rmse", _F, "target", "root mean squared error on the rows of each fold by the fit of the others"),
        Column("cv_rmse_se", _F, "target", "its standard error over folds"),
        Column("least", _B, "yes/no", "whether cv_rmse is the least: the alpha of auto"),
        Column(
            "one_std_error",
            _B,
            "yes/no",
            "whether it is the largest alpha within one standard error of the least: that of auto_1se",
        ),
        Column("chosen", _B, "yes/no", "whether the run was fitted with this alpha"),
        Column(
            "estimate_scaled",
            pa.list_(_F),
            "target SD/feature SD",
            "the coefficients in the order of parameters, without the intercept",
        ),
    ),
    FOLDS: (
        Column("fold", _I, "1", "the fold's number, from 0"),
        Column("rows", _I, "rows", "rows of the fold"),
        Column("weight", _F, "weight", "sum of their weights; rows where they are unweighted"),
        Column("rmse", _F, "target", "root mean squared error on the fold of the fit of all others"),
        Column("r2", _F, "1", "share of the fold's variance about its own mean that this fit explains"),
        Column("status", _S, "text", "measured, or why not: empty, all_rows, too_few_rows or unusable_scale"),
        Column("largest_shift_se", _F, "standard errors", "largest change of a coefficient without the fold", True),
        Column("largest_shift_term", _S, "text", "the term whose coefficient that is; null where there is none", True),
        Column(
            "estimate",
            pa.list_(_F),
            "target/feature",
            "coefficients without the fold (least squares; with a penalty those at the run's alpha), in the order of "
            "parameters",
        ),
    ),
    PREDICTIONS: (
        Column("target", _F, "target", "as it was read; null where it is missing"),
        Column("prediction", _F, "target", "intercept + sum of estimate x feature; null where a feature is missing"),
        Column("residual", _F, "target", "target - prediction"),
    ),
    TRUE_PARAMETERS: (
        Column("term", _S, "text", "'intercept', or the feature's name"),
        Column("value", _F, "target/feature", "what the data were made with"),
    ),
}
ARTIFACTS = tuple(_COLUMNS)
ROW_KEY = (
    Column("file", _S, "text", "the input file, relative to the source"),
    Column("row", _I, "rows", "position of the row in its file, from 0"),
)


def optional(artifact: str) -> set[str]:
    """The names of the columns that may be null, or missing in a run of an earlier version."""
    return {column.name for column in _COLUMNS[artifact] if column.optional}


def schema(artifact: str, run_id: str, *, penalized: bool = False) -> pa.Schema:
    """The Arrow schema of an artifact, with the metadata that every file carries.

    `penalized` gives the columns the meaning that they have in a run with a penalty.
    """
    return described(pa.schema([c.field(penalized=penalized) for c in _COLUMNS[artifact]]), artifact, run_id)


def predictions_schema(key: list[pa.Field], run_id: str) -> pa.Schema:
    """The Arrow schema of predictions: the user's key columns (or file and row) come first."""
    keys = [
        pa.field(f.name, f.type, metadata={"unit": "as in the input", "meaning": "key column of the input"})
        for f in key
    ] or [c.field() for c in ROW_KEY]
    return described(pa.schema([*keys, *(c.field() for c in _COLUMNS[PREDICTIONS])]), PREDICTIONS, run_id)


def described(plain: pa.Schema, artifact: str, run_id: str) -> pa.Schema:
    """A schema with the metadata that every file carries."""
    return plain.with_metadata(
        {"gdpipe.schema_version": str(SCHEMA_VERSION), "gdpipe.run_id": run_id, "gdpipe.artifact": artifact}
    )
