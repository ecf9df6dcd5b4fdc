"""A fit with its proof, from sums, on arrays alone: for the stages, the regressor, and fits of parts of the rows.

scaling and dependencies -> descent -> exact optimum -> inference -> certificate
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.config import L1_RATIOS, TrainingConfig
from gdpipe.design import Design
from gdpipe.errors import ConfigError, DataError
from gdpipe.model import Model
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import Solution, minimize, with_block
from gdpipe.numerics.descent.penalized_plan import plan_penalized
from gdpipe.numerics.descent.plan import GradientDescent, Plan
from gdpipe.numerics.inference.certificate import Certificate, certify
from gdpipe.numerics.inference.features import FeatureInference, infer_features
from gdpipe.numerics.inference.inference import FitStatistics, TermInference, fit_statistics, infer_terms
from gdpipe.numerics.inference.inverse import inverse_of
from gdpipe.numerics.inference.penalized_certificate import PenalizedCertificate, certify_penalized
from gdpipe.numerics.problem.baseline import Baseline, solve
from gdpipe.numerics.problem.covariance import LARGEST_SCALE, CrossProducts, Scaling
from gdpipe.numerics.problem.penalized_baseline import PenalizedBaseline, solve_penalized
from gdpipe.numerics.problem.penalty import Penalty
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.rows.residuals import ResidualStatistics
from gdpipe.numerics.rows.row_checks import RowCheck
from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.moments import Moments
from gdpipe.relations import describe

AnyMoments = Moments | BlockMoments | Float64Moments
Resolution = NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, eq=False)
class RowEvidence:
    """Results of the second scan that the certificate and the inference use.

    Attributes:
        residuals: Means over the residuals; NaN where not every row was read again.
        gradient: max |mean(e·z)| in target SDs, which is zero at the optimum; with a penalty the largest of
            |`least_subgradient`|. NaN where no row was read again.
        rounding: What the rounding of predictions can add to `gradient`.
        checks: Numbers on which rows and sums must agree; empty where no row was read again.
        notices: What a person should know of numbers that are missing, one line each.
    """

    residuals: ResidualStatistics
    gradient: float = math.nan
    rounding: float = 0.0
    checks: tuple[RowCheck, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fit and its proof.

    Attributes:
        regression: The problem.
        solution: The end of the descent.
        baseline: The exact optimum of the loss and the penalty.
        model: The model that the descent found.
        optimum: The model at the optimum, each number rounded once; without a penalty that of least squares.
        ols: The model of least squares, each number rounded once.
        loss: The mean squared error of `model`, in the target's unit squared.
        ols_loss: That of `ols`.
        terms: Standard errors and tests of the intercept and each included term, shape (p + 1,); with a penalty NaN
            but for `vif`, as it biases the coefficients by what nobody knows.
        features: Joint tests of each feature's terms.
        statistics: Numbers of the whole fit.
        rows: The results of the second scan.
        certificate: The distance to the optimum, and the verdict.
    """

    regression: Regression
    solution: Solution
    baseline: Baseline | PenalizedBaseline
    model: Model
    optimum: Model
    ols: Model
    loss: float
    ols_loss: float
    terms: TermInference
    features: FeatureInference
    statistics: FitStatistics
    rows: RowEvidence
    certificate: Certificate | PenalizedCertificate

    @property
    def design(self) -> Design:
        """The terms, included or not."""
        return self.model.design

    @property
    def included(self) -> list[str]:
        """Names of the terms that took part in the descent."""
        return [self.design.names[j] for j in self.regression.included]

    @property
    def absorbed(self) -> str | None:
        """The feature whose terms are absorbed; None where none is."""
        found = self.regression.absorbed
        if found is None or not len(found.block):
            return None
        return self.design.terms[self.regression.included[int(found.block[0])]].feature

    @property
    def dependencies(self) -> tuple[str, ...]:
        """One line for each constant or dependent term, in words."""
        return describe(self.regression, self.design)


def fit(sums: AnyMoments, design: Design, settings: TrainingConfig, resolution: Resolution = None) -> Fit:
    """A fit from the sums alone, where no row is read again; arguments as in `standardize`, with all settings.

    A penalty needs a number for `alpha`; `gdpipe.penalty_path` chooses one.

    Raises:
        ConfigError: The learning rate would diverge, or `alpha` is no number.
        DataError: As in `standardize`.
    """
    regression = standardize(sums, design, settings, resolution)
    if settings.penalty != "none":
        if isinstance(settings.alpha, str):
            raise ConfigError(f"alpha {settings.alpha}: needs folds to choose by; give a number")
        regression = replace(regression, penalty=Penalty(settings.alpha, l1_ratio_of(settings)))
    return conclude(design, regression, descend(regression, planned(regression, settings)))


def l1_ratio_of(settings: TrainingConfig) -> float:
    """The lasso's part of the penalty: 0 for ridge, 1 for lasso."""
    return L1_RATIOS.get(settings.penalty, settings.l1_ratio)


def standardize(
    sums: AnyMoments, design: Design, settings: TrainingConfig, resolution: Resolution = None
) -> Regression:
    """The problem of the descent: its terms are scaled, and those that depend on others are found.

    Args:
        sums: Sums over [terms..., target].
        design: The terms.
        settings: `fit_intercept` and `collinear` count.
        resolution: Relative rounding of each term's values, shape (p,); that of float64 if not given.

    Raises:
        DataError: A standard deviation is too large or too small to compute with; or `collinear` is `fail` and a term
            is constant or dependent.
    """
    cross = CrossProducts.of(sums, centred=settings.fit_intercept)
    scaling = Scaling.of(cross)
    for name, scale in zip([*design.names, settings.target], [*scaling.scales, scaling.target_scale], strict=True):
        if not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:
            raise DataError(
                f"column {name!r} has a standard deviation of {scale:g}, and gdpipe computes with "
                f"{1 / LARGEST_SCALE:g} to {LARGEST_SCALE:g}; use another unit"
            )
    if resolution is None:
        resolution = np.full(len(design.terms), np.finfo(np.float64).eps)
    regression = Regression.of(cross, resolution, drop=settings.collinear == "drop", scaling=scaling)
    if settings.collinear == "fail" and (found := describe(regression, design)):
        raise DataError(f"{'; '.join(found)}; leave such features out, or set collinear to min_norm or drop")
    return regression


def planned(regression: Regression, settings: TrainingConfig, total_weight: float | None = None) -> Plan:
    """A descent that is ready to start, with its forecast.

    `total_weight` is that of all rows, where the problem is that of a sample.

    Raises:
        ConfigError: The learning rate would diverge.
    """
    descent = GradientDescent(
        settings.method, settings.learning_rate, settings.tolerance, settings.max_iterations, settings.max_seconds
    )
    if regression.penalty is not None:
        return plan_penalized(descent, regression.problem.ridge(0.0), regression.penalty)
    agreement = Agreement.foreseen(regression.whole, regression.relations, total_weight)
    return descent.plan(regression.whole, agreement)


def descend(
    regression: Regression, plan: Plan, tell: Callable[[int, float], None] = lambda step, norm: None
) -> Solution:
    """The end of the planned descent; `tell` is called as by `minimize`."""
    if regression.absorbed:
        return with_block(
            minimize(regression.problem, plan, tell, of_all=len(regression.included)), regression.absorbed
        )
    return minimize(regression.quadratic, plan, tell, regression.l1)


def mean_squared_error(regression: Regression, solution: Solution) -> float:
    """The loss at the end of a descent, without the penalty that is part of what it lowered."""
    return solution.loss if regression.penalty is None else regression.problem.loss(solution.coef_scaled.tolist())


def conclude(design: Design, regression: Regression, solution: Solution, rows: RowEvidence | None = None) -> Fit:
    """The fit of a descent: the exact optimum, the inference and the certificate.

    Without `rows`, where no row was read again, numbers that need single rows are NaN.
    """
    problem, included, penalty = regression.problem, regression.included, regression.penalty
    rows = rows or RowEvidence(ResidualStatistics.unknown(len(included)))
    least_squares = regression.absorbed.optimum() if regression.absorbed else solve(problem, regression.relations)
    ols = Model(design, *regression.to_original(least_squares.coef_scaled))
    inverse, estimates = inverse_of(regression), np.array([ols.intercept, *ols.coef[included]])
    terms = infer_terms(regression, inverse, rows.residuals, least_squares.loss, estimates)
    scaled = np.array([float(w) for w in least_squares.coef_scaled])
    features = infer_features(regression, inverse, terms, design.slices, least_squares.loss, scaled)
    loss, of_all = mean_squared_error(regression, solution), design.names
    statistics = fit_statistics(regression, rows.residuals, loss)
    names, checked = [of_all[j] for j in included], (rows.gradient, rows.rounding, rows.checks)
    baseline: Baseline | PenalizedBaseline = least_squares
    certificate: Certificate | PenalizedCertificate
    optimum = ols
    if penalty is None:
        std_error = np.array([terms.std_error[0] / problem.scaling.target_scale, *terms.std_error_scaled[1:]])
        whole = regression.whole
        held = Agreement.of(whole, least_squares.coef_scaled, std_error)
        certificate = certify(whole, solution, least_squares.coef_scaled, held, ["intercept", *names], *checked)
    else:
        plain = problem.ridge(0.0)
        penalized = baseline = solve_penalized(plain, penalty, solution.coef_scaled)
        certificate = certify_penalized(plain, penalty, solution, penalized, names, *checked)
        optimum = Model(design, *regression.to_original(penalized.coef_scaled))
        terms, features, statistics = terms.without_tests(), features.without_tests(), statistics.without_tests()
    model = Model(design, *regression.to_original(solution.coef_scaled.tolist()))
    return Fit(
        regression,
        solution,
        baseline,
        model,
        optimum,
        ols,
        loss,
        least_squares.loss,
        terms,
        features,
        statistics,
        rows,
        certificate,
    )
