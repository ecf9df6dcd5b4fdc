"""A fit with its proof, from sums, on arrays alone: for the stages, the regressor, and fits of parts of the rows.

scaling and dependencies -> descent -> exact baseline -> inference -> certificate
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.config import TrainingConfig
from gdpipe.design import Design
from gdpipe.errors import DataError
from gdpipe.model import Model
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import Solution, minimize
from gdpipe.numerics.descent.plan import GradientDescent, Plan
from gdpipe.numerics.inference.certificate import Certificate, certify
from gdpipe.numerics.inference.features import FeatureInference, infer_features
from gdpipe.numerics.inference.inference import FitStatistics, TermInference, fit_statistics, infer_terms, inverse_of
from gdpipe.numerics.problem.baseline import Baseline, solve
from gdpipe.numerics.problem.covariance import LARGEST_SCALE, CrossProducts, Scaling
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.rows.residuals import ResidualStatistics
from gdpipe.numerics.rows.row_checks import RowCheck
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.moments import Moments
from gdpipe.relations import describe

AnyMoments = Moments | Float64Moments
Resolution = NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, eq=False)
class RowEvidence:
    """Results of the second scan that the certificate and the inference use.

    Attributes:
        residuals: Means over the residuals; NaN where not every row was read again.
        gradient: max |mean(e·z)| in target SDs, which is zero at the optimum; NaN where no row was read again.
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
        baseline: The exact optimum.
        model: The model that the descent found.
        ols: The model at the optimum, each number rounded once.
        terms: Standard errors and tests of the intercept and each included term, shape (p + 1,).
        features: Joint tests of each feature's terms.
        statistics: Numbers of the whole fit.
        rows: The results of the second scan.
        certificate: The distance to the optimum, and the verdict.
    """

    regression: Regression
    solution: Solution
    baseline: Baseline
    model: Model
    ols: Model
    terms: TermInference
    features: FeatureInference
    statistics: FitStatistics
    rows: RowEvidence
    certificate: Certificate

    @property
    def design(self) -> Design:
        """The terms, included or not."""
        return self.model.design

    @property
    def included(self) -> list[str]:
        """Names of the terms that took part in the descent."""
        return [self.design.names[j] for j in self.regression.included]

    @property
    def dependencies(self) -> tuple[str, ...]:
        """One line for each constant or dependent term, in words."""
        return describe(self.regression, self.design)


def fit(sums: AnyMoments, design: Design, settings: TrainingConfig, resolution: Resolution = None) -> Fit:
    """A fit from the sums alone, where no row is read again; arguments as in `standardize`, with all settings.

    Raises:
        ConfigError: The learning rate would diverge.
        DataError: As in `standardize`.
    """
    regression = standardize(sums, design, settings, resolution)
    return conclude(design, regression, minimize(regression.problem, planned(regression, settings)))


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
    regression = Regression.of(cross, resolution, drop=settings.collinear == "drop")
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
    agreement = Agreement.foreseen(regression.problem, regression.relations, total_weight)
    return descent.plan(regression.problem, agreement)


def conclude(design: Design, regression: Regression, solution: Solution, rows: RowEvidence | None = None) -> Fit:
    """The fit of a descent: the exact optimum, the inference and the certificate.

    Without `rows`, where no row was read again, numbers that need single rows are NaN.
    """
    problem, included = regression.problem, regression.included
    rows = rows or RowEvidence(ResidualStatistics.unknown(len(included)))
    baseline = solve(problem, regression.relations)
    ols = Model(design, *regression.to_original(baseline.coef_scaled))
    inverse, estimates = inverse_of(regression), np.array([ols.intercept, *ols.coef[included]])
    terms = infer_terms(regression, inverse, rows.residuals, baseline.loss, estimates)
    scaled = np.array([float(w) for w in baseline.coef_scaled])
    features = infer_features(regression, inverse, terms, design.slices, baseline.loss, scaled)
    std_error = np.array([terms.std_error[0] / problem.scaling.target_scale, *terms.std_error_scaled[1:]])
    optimum, of_all = baseline.coef_scaled, design.names
    held, names = Agreement.of(problem, optimum, std_error), ["intercept", *(of_all[j] for j in included)]
    certificate = certify(problem, solution, optimum, held, names, rows.gradient, rows.rounding, rows.checks)
    model = Model(design, *regression.to_original(solution.coef_scaled.tolist()))
    statistics = fit_statistics(regression, rows.residuals, solution.loss)
    return Fit(regression, solution, baseline, model, ols, terms, features, statistics, rows, certificate)
