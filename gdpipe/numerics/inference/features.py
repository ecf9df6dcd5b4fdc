"""Tests of whole features, each of one or more terms: joint F tests and generalized variance inflation factors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.inference.cholesky import inverse_factor
from gdpipe.numerics.inference.distributions import f_upper
from gdpipe.numerics.inference.inference import LARGEST_ERROR, TermInference
from gdpipe.numerics.inference.inverse import BlockInverse, Inverse, WholeInverse
from gdpipe.numerics.problem.absorbed import RATIONAL_TERMS, Absorbed
from gdpipe.numerics.problem.baseline import solve_many
from gdpipe.numerics.problem.fixed_cholesky import inverse_root
from gdpipe.numerics.problem.regression import Regression


@dataclass(frozen=True, slots=True, eq=False)
class FeatureInference:
    """The inference of each feature, shape (f,). A number is NaN where there is no answer.

    Attributes:
        df: The terms that are tested together: those that take part in the fit.
        f_statistic: The F statistic of the hypothesis that all of them are zero; t² for a single term.
        f_p_value: Its p-value.
        gvif: The generalized variance inflation factor; the VIF for a single term.
        gvif_root: GVIF^(1/(2·df)): the factor by which the other features lengthen a confidence interval, per term.
    """

    df: NDArray[np.int64]
    f_statistic: NDArray[np.float64]
    f_p_value: NDArray[np.float64]
    gvif: NDArray[np.float64]
    gvif_root: NDArray[np.float64]

    def without_tests(self) -> "FeatureInference":
        """The same of a penalized fit: no F test."""
        unknown = np.full_like(self.f_statistic, np.nan)
        return replace(self, f_statistic=unknown, f_p_value=unknown)


def infer_features(
    regression: Regression,
    inverse: Inverse,
    terms: TermInference,
    features: Sequence[slice],
    ols_loss: float,
    optimum: NDArray[np.float64],
) -> FeatureInference:
    """The joint test of each feature's terms, and its generalized VIF.

    F = n·bᵀ((A⁻¹)_JJ)⁻¹b / (q·s²) for the q terms J of a feature, with b their standardized coefficients and s² the
    residual variance in the target's. GVIF = det(A_JJ)·det((A⁻¹)_JJ) (Fox & Monette 1992, J. Am. Stat. Assoc.
    87:178-183). Both are NaN where a term is part of a relation that is kept, or where (A⁻¹)_JJ is too ill-conditioned
    for float64. Neither depends on which level of a category is the reference, if the design has its main effects.

    Args:
        regression: The problem, with p included terms.
        inverse: A⁻¹ of its independent terms, as `inverse_of` gives it.
        terms: The inference of the included terms, shape (p + 1,) with the intercept.
        features: Where the terms of each feature are among all terms, included or not.
        ols_loss: The loss at the optimum, in the target's unit squared.
        optimum: The standardized coefficients at the optimum, shape (p,).
    """
    independent, problem = regression.independent, regression.whole
    place = {j: i for i, j in enumerate(regression.included)}
    identified = set(regression.identified)
    df = problem.cross.total_weight - len(independent) - problem.cross.centred
    found = np.full((4, len(features)), np.nan)
    sizes = np.zeros(len(features), np.int64)
    for f, of_feature in enumerate(features):
        at = [place[j] for j in range(of_feature.start, of_feature.stop) if j in place]
        sizes[f] = q = len(at)
        if not q or df <= 0 or not identified.issuperset(at):
            continue
        if q == 1:
            statistic = float(terms.t_value[at[0] + 1]) ** 2
            p_value, gvif = float(terms.p_value[at[0] + 1]), float(terms.vif[at[0] + 1])
            found[:, f] = statistic, p_value, gvif, math.sqrt(gvif) if gvif >= 0 else math.nan
            continue
        joint = _joint(regression, inverse, at, optimum[at], ols_loss)
        if joint is None:
            continue
        explained, log_gvif = joint
        error = ols_loss / df
        statistic = explained / q / error if error else math.inf if explained else math.nan
        with np.errstate(over="ignore"):
            found[:, f] = statistic, f_upper(statistic, q, df), np.exp(log_gvif), np.exp(log_gvif / (2 * q))
    return FeatureInference(sizes, *found)


def _joint(
    regression: Regression, inverse: Inverse, places: list[int], coef: NDArray[np.float64], ols_loss: float
) -> tuple[float, float] | None:
    """How much larger the loss is without some included terms, and log(GVIF); None where float64 has no three digits.

    The loss is larger by bᵀ((A⁻¹)_JJ)⁻¹b in target variances.
    """
    absorbed = regression.absorbed
    if absorbed is not None and isinstance(inverse, BlockInverse):
        return _beside_block(absorbed, inverse.inverse.factor, places, coef, ols_loss)
    assert isinstance(inverse, WholeInverse)
    row = {i: r for r, i in enumerate(regression.independent)}
    rows = [row[i] for i in places]
    factor, log_determinant = _factored(inverse.values[np.ix_(rows, rows)])
    if factor is None:
        return None
    log_gvif = log_determinant + _factored(regression.problem.correlations(places))[1]
    return float(np.sum((factor @ coef) ** 2)) * regression.problem.variance, log_gvif


def _beside_block(
    absorbed: Absorbed, root: NDArray[np.float64], places: list[int], coef: NDArray[np.float64], ols_loss: float
) -> tuple[float, float]:
    """The same where a block is absorbed, from the root of the inverse of what is left: half the digits are lost."""
    of_block = not np.isin(places, absorbed.others).all()
    among = range(len(absorbed.others)) if of_block else np.searchsorted(absorbed.others, places).tolist()
    alone = absorbed.alone(among)
    assert isinstance(alone.exact_hessian, np.ndarray)
    log_alone = _log_squared(inverse_root(alone.exact_hessian))
    if of_block:
        # the block's GVIF is the determinant of the others' correlations over that of what it leaves of them
        return solve_many(alone, (), RATIONAL_TERMS).loss - ols_loss, _log_squared(root) - log_alone
    triangle: NDArray[np.float64] = np.linalg.qr(root[among].T)[1]
    rise = float(np.sum(np.linalg.solve(triangle.T, coef) ** 2)) * absorbed.variance
    return rise, _log_squared(triangle) - log_alone


def _log_squared(triangle: NDArray[np.float64]) -> float:
    """The logarithm of the determinant of a triangle times its transpose."""
    return 2 * float(np.sum(np.log(np.abs(triangle.diagonal()))))


def _factored(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64] | None, float]:
    """`inverse_factor`, and the logarithm of the determinant; None and NaN where float64 has no three digits left.

    The traces of the matrix and of its inverse, multiplied, are no less than the condition number.
    """
    factor = inverse_factor(matrix)
    if factor is None or np.finfo(np.float64).eps * np.trace(matrix) * np.sum(factor**2) > LARGEST_ERROR:
        return None, math.nan
    return factor, -2 * float(np.sum(np.log(factor.diagonal())))
