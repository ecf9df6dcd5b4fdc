"""Inference: standard errors, tests and information criteria.

Numbers of a coefficient are those of the OLS optimum, from the exact sums. Numbers of the whole fit use the loss of the
published coefficients. Numbers that need single residuals (HC1, Breusch-Pagan, Jarque-Bera, Durbin-Watson, MAE) come
from the scan that predicts, with the published coefficients as well. A number is NaN where rank, degrees of freedom or
the condition number allow no answer.
"""

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.inference.distributions import chi2_upper, f_upper, t_critical, t_tails
from gdpipe.numerics.inference.inverse import Inverse
from gdpipe.numerics.problem.absorbed import Absorbed
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.rows.residuals import ResidualStatistics

# the confidence intervals are those of 95 %
SIGNIFICANCE = 0.05
# largest accepted relative error of a number made of the inverse and of float64 means over residuals
LARGEST_ERROR = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class TermInference:
    """The inference of each term: of the intercept first (NaN without one), then of the features; shape (p + 1,).

    Attributes:
        std_error: The standard error, in the unit of the estimate.
        std_error_scaled: The standard error in target SDs per feature SD.
        std_error_hc1: The heteroskedasticity-robust standard error HC1, in the unit of the estimate.
        t_value: ols_estimate / std_error.
        p_value: The two-sided p-value.
        ci_lower: Lower end of the 95 % interval around the OLS estimate.
        ci_upper: Upper end of that interval.
        vif: Variance inflation factor, (A⁻¹)ⱼⱼ.
    """

    std_error: NDArray[np.float64]
    std_error_scaled: NDArray[np.float64]
    std_error_hc1: NDArray[np.float64]
    t_value: NDArray[np.float64]
    p_value: NDArray[np.float64]
    ci_lower: NDArray[np.float64]
    ci_upper: NDArray[np.float64]
    vif: NDArray[np.float64]

    def without_tests(self) -> "TermInference":
        """The same of a penalized fit: NaN but for `vif`, which is a number of the terms alone."""
        unknown = np.full_like(self.vif, np.nan)
        return TermInference(**{field.name: unknown for field in fields(self)} | {"vif": self.vif})


@dataclass(frozen=True, slots=True)
class FitStatistics:
    """Numbers of the whole fit. `rmse`, `mae` and `residual_std_error` are in target units; the rest has no unit."""

    r2: float
    adjusted_r2: float
    rmse: float
    mae: float
    residual_std_error: float
    df_residual: float
    f_statistic: float
    f_p_value: float
    log_likelihood: float
    aic: float
    bic: float
    durbin_watson: float
    jarque_bera: float
    jarque_bera_p_value: float
    skewness: float
    kurtosis: float
    breusch_pagan: float
    breusch_pagan_p_value: float

    def without_tests(self) -> "FitStatistics":
        """The same of a penalized fit: NaN where a number counts the coefficients as if each was free."""
        counting = ("adjusted_r2", "residual_std_error", "df_residual", "f_statistic", "f_p_value", "aic", "bic")
        return replace(self, **dict.fromkeys((*counting, "breusch_pagan", "breusch_pagan_p_value"), math.nan))


def infer_terms(
    regression: Regression,
    inverse: Inverse,
    residuals: ResidualStatistics,
    ols_loss: float,
    ols_estimate: NDArray[np.float64],
) -> TermInference:
    """Standard errors of the terms, with their tests and intervals.

    Var(w) = s²·A⁻¹/n with s² = n·loss/(n - rank - 1); HC1 = n/(n - rank - 1) · A⁻¹ mean(e²zzᵀ) A⁻¹ / n
    (MacKinnon & White 1985, J. Econometrics 29:305-325). n is Σw where rows are weighted: a row of weight 2 counts as
    two rows.

    Args:
        regression: The problem, with p included features.
        inverse: A⁻¹ of its independent features, as `inverse_of` gives it.
        residuals: The means over residuals from the predict scan, for the same features.
        ols_loss: The loss at the optimum, in the target's unit squared.
        ols_estimate: Intercept and coefficients in original units, shape (p + 1,).
    """
    problem, independent, identified = regression.whole, regression.independent, regression.identified
    cross, scaling = problem.cross, problem.scaling
    p, n = problem.n_features, cross.total_weight
    df = n - len(independent) - cross.centred
    scaled, hc1_scaled, vif = (np.full(p, np.nan) for _ in range(3))
    intercept = intercept_hc1 = np.nan
    if df > 0:
        meat, diagonal = residuals.meat, inverse.diagonal()
        robust = np.full_like(diagonal, np.nan)
        if robust_holds := _holds_in_float64(problem):
            robust = inverse.sandwich(meat, independent) / df
        place = {j: at for at, j in enumerate(independent)}
        places = [place[j] for j in identified]
        variance = ols_loss / df  # s²/n
        scaled[identified] = _root(variance * diagonal[places]) / scaling.target_scale
        hc1_scaled[identified] = _root(robust[places]) * (residuals.unit / scaling.target_scale)
        vif[identified] = diagonal[places]
        if cross.centred and not any(relation.constant for relation in regression.relations):
            shift = (np.array([float(m) for m in scaling.means]) / scaling.scales)[independent]
            pull = inverse.times(shift)
            intercept = float(_root(np.array(variance * (1.0 + float(shift @ pull)))))
            # sandwich estimate from the intercept's influence, 1 - shiftᵀA⁻¹z
            square_by_feature = residuals.square_by_feature[independent]
            of_pull = inverse.spread(meat, independent, pull) if robust_holds else math.nan
            spread = residuals.powers[1] - 2 * float(pull @ square_by_feature) + of_pull
            intercept_hc1 = math.sqrt(max(spread, 0.0) / df) * residuals.unit
    units = scaling.target_scale / scaling.scales
    std_error = np.array([intercept, *(scaled * units)])
    with np.errstate(divide="ignore", invalid="ignore"):
        t_value = ols_estimate / std_error
    p_value = np.array([t_tails(t, df) if df > 0 else np.nan for t in t_value.tolist()])
    half = std_error * (t_critical(SIGNIFICANCE, df) if df > 0 else np.nan)
    return TermInference(
        std_error=std_error,
        std_error_scaled=np.array([np.nan, *scaled]),
        std_error_hc1=np.array([intercept_hc1, *(hc1_scaled * units)]),
        t_value=t_value,
        p_value=p_value,
        ci_lower=ols_estimate - half,
        ci_upper=ols_estimate + half,
        vif=np.array([np.nan, *vif]),
    )


def fit_statistics(regression: Regression, residuals: ResidualStatistics, loss: float) -> FitStatistics:
    """R² and other numbers of the fit, as statsmodels defines them.

    R² = 1 - loss / variance, about the mean with an intercept and about zero without one.
    Jarque & Bera (1987, Int. Stat. Rev. 55:163-172); Breusch-Pagan in the form of Koenker (1981, J. Econometrics
    17:107-112): n times the R² of e² regressed on the features; Durbin & Watson (1950, Biometrika 37:409-428).
    """
    problem = regression.whole
    cross = problem.cross
    n, rank = cross.total_weight, len(regression.independent)
    df = n - rank - cross.centred
    variance = float(cross.variances()[-1])
    nan = float("nan")
    r2 = 1.0 - loss / variance if variance else nan
    f_statistic = nan
    if df > 0 and rank:
        f_statistic = (variance - loss) / rank / (loss / df) if loss / df else math.inf
    log_likelihood = -n / 2 * (math.log(2 * math.pi) + math.log(loss) + 1) if loss > 0 else nan
    parameters = rank + cross.centred
    skewness, kurtosis = _skewness_and_kurtosis(residuals.powers)
    jarque_bera = n / 6 * (skewness**2 + (kurtosis - 3) ** 2 / 4)
    breusch_pagan = _breusch_pagan(problem, residuals, n) if cross.centred and df > 0 else nan
    return FitStatistics(
        r2=r2,
        adjusted_r2=1.0 - (1.0 - r2) * (n - cross.centred) / df if df > 0 else nan,
        rmse=math.sqrt(loss),
        mae=residuals.absolute * residuals.unit,
        residual_std_error=math.sqrt(loss * n / df) if df > 0 else nan,
        df_residual=df,
        f_statistic=f_statistic,
        f_p_value=f_upper(f_statistic, rank, df) if df > 0 and rank else nan,
        log_likelihood=log_likelihood,
        aic=2 * parameters - 2 * log_likelihood,
        bic=math.log(n) * parameters - 2 * log_likelihood,
        durbin_watson=residuals.durbin_watson,
        jarque_bera=jarque_bera,
        jarque_bera_p_value=chi2_upper(jarque_bera, 2),
        skewness=skewness,
        kurtosis=kurtosis,
        breusch_pagan=breusch_pagan,
        breusch_pagan_p_value=chi2_upper(breusch_pagan, rank) if rank else nan,
    )


def _root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """√values; NaN where rounding on ill-conditioned data has made a value negative."""
    return np.sqrt(np.where(values >= 0, values, np.nan))


def _skewness_and_kurtosis(powers: tuple[float, float, float, float]) -> tuple[float, float]:
    m, m2, m3, m4 = powers
    spread = m2 - m * m
    if spread**2 <= 0:  # the divisor of the kurtosis
        return float("nan"), float("nan")
    third = m3 - 3 * m * m2 + 2 * m**3
    fourth = m4 - 4 * m * m3 + 6 * m * m * m2 - 3 * m**4
    return third / spread**1.5, fourth / spread**2


def _breusch_pagan(problem: LeastSquares | Absorbed, residuals: ResidualStatistics, n: float) -> float:
    """n·bᵀA⁻¹b / var(e²) with b = mean(e²z), along the eigenvectors of A."""
    spread = residuals.powers[3] - residuals.powers[1] ** 2
    if not spread > 0 or not _holds_in_float64(problem):
        return float("nan")
    if isinstance(problem, Absorbed):
        return n * problem.explained(residuals.square_by_feature) / spread
    along = problem.modes.T @ residuals.square_by_feature
    return float(n * (along**2 @ (1.0 / problem.eigenvalues)) / spread)


def _holds_in_float64(problem: LeastSquares | Absorbed) -> bool:
    """Whether A⁻¹ times float64 means has three right digits: its error is p·eps·κ (Higham 2002, section 7.1)."""
    error = problem.n_features * float(np.finfo(np.float64).eps) * problem.condition_number
    return error <= LARGEST_ERROR
