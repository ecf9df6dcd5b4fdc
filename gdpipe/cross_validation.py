"""Cross-validation: fits without each fold in turn, and their errors on it, from sums by fold, on arrays alone.

The sums of the rows that a fit is made on are those of all rows less those of the fold: exact, and without another
read. Each of these fits has means and scales of its own, so that nothing of the fold gets into it.
"""

import enum
import functools
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.config import TrainingConfig
from gdpipe.design import Design
from gdpipe.errors import DataError
from gdpipe.fit import AnyMoments, Fit, Resolution, standardize
from gdpipe.numerics.inference.fold_errors import mean_and_variance, rmse_standard_error
from gdpipe.numerics.problem.baseline import solve_many
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.rows.held_out import HeldOutError, pooled, squared_errors
from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.moments import Moments

# with more terms the rational solve takes longer than all else, and the refined one has 24 digits where the condition
# number leaves it any
RATIONAL_TERMS = 60
# the most products of two terms, in all folds together: 1,000 terms in 5 folds take three seconds
MOST_FOLD_PRODUCTS = 5_000_000
# in target SDs per term SD, shape (p,) for the included terms
CoefScaled = Sequence[float | Fraction]


def why_no_folds(n_terms: int, folds: int) -> str | None:
    """Why so many terms have no cross-validated error; None where they have."""
    if n_terms**2 * folds <= MOST_FOLD_PRODUCTS:
        return None
    return (
        f"{n_terms:,} terms in {folds} folds would take long, and the limit is "
        f"{math.isqrt(MOST_FOLD_PRODUCTS // folds):,}; ask for fewer folds or features, or hold rows out by holdout"
    )


class FoldStatus(enum.Enum):
    """Whether a fold has an error; the value says why not, and the remedy."""

    MEASURED = "the fit of the other folds was measured on this one"
    EMPTY = "no row is in the fold, as rows with equal values share one: ask for fewer folds"
    ALL_ROWS = "all rows are in the fold, as rows with equal values share one: fold by other columns"
    TOO_FEW_ROWS = "the other folds have fewer rows than the fit has terms: ask for more folds, or use fewer features"
    UNUSABLE_SCALE = "a standard deviation over the other folds is too large or too small to compute with"


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A fold, and the problem of the rows of all others.

    Attributes:
        status: Whether there is such a problem.
        n_samples: Rows of the fold.
        weight: Σw of the fold's rows, rounded once.
        held_out: Covariances of [terms..., target] over the fold's rows; None where there are none.
        training: The problem of the other rows; None where the fold has no error.
    """

    status: FoldStatus
    n_samples: int
    weight: float
    held_out: CrossProducts | None = None
    training: Regression | None = None

    def error(self, coef: Sequence[Fraction], intercept: Fraction) -> HeldOutError:
        """The error on the fold of one fit to the other rows, exact for exact sums; in original units."""
        return HeldOutError.of(self._included(), coef, intercept)

    def errors(self, coef_scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean squared errors on the fold of many fits to the other rows; arguments as in `squared_errors`."""
        assert self.training is not None
        return squared_errors(self._included(), self.training.whole.scaling, coef_scaled)

    def _included(self) -> CrossProducts:
        assert self.held_out is not None
        assert self.training is not None
        return self.held_out.select([*self.training.included, len(self.training.scaling.scales)])


def splits(
    by_fold: Sequence[AnyMoments], design: Design, settings: TrainingConfig, resolution: Resolution = None
) -> Iterator[Split]:
    """The splits, one for each fold; arguments as in `gdpipe.fit.standardize`, with the sums of each fold's rows.

    Constant and dependent terms are handled as in a fit of all rows. With `collinear` `fail` there are none, so that
    those of the other folds alone, such as a level that no other fold has, are handled as with `min_norm`.
    """
    if settings.collinear == "fail":
        settings = replace(settings, collinear="min_norm")
    total: AnyMoments = functools.reduce(operator.add, by_fold)
    for fold, sums in enumerate(by_fold):
        if not sums.n_samples:
            yield Split(FoldStatus.EMPTY, 0, 0.0)
            continue
        held_out = CrossProducts.of(sums, centred=settings.fit_intercept)
        found = functools.partial(Split, n_samples=sums.n_samples, weight=held_out.total_weight, held_out=held_out)
        if sums.n_samples == total.n_samples:
            yield found(FoldStatus.ALL_ROWS)
            continue
        try:
            training = standardize(_without(fold, by_fold, total), design, settings, resolution)
        except DataError:  # raised by nothing here but a scale
            yield found(FoldStatus.UNUSABLE_SCALE)
        else:
            yield found(FoldStatus.MEASURED, training=training)


@dataclass(frozen=True, slots=True, eq=False)
class FoldFit:
    """A fit to all folds but one, and its error on that one.

    Attributes:
        status: Whether there is such a fit; without it all numbers but `n_samples` and `weight` are NaN.
        n_samples: Rows of the fold.
        weight: Σw of the fold's rows.
        rmse: The root mean squared error on the fold, in target units.
        r2: R² about the mean of the fold, as scikit-learn's `cross_val_score` has it; without an intercept about zero.
        estimate: The intercept, then the coefficients of all terms, shape (p + 1,), in original units.
        shift: `estimate` less that of the fit of all rows, shape (p + 1,).
        shift_se: `shift` in standard errors of the fit of all rows, shape (p + 1,); NaN where there are none.
    """

    status: FoldStatus
    n_samples: int
    weight: float
    rmse: float
    r2: float
    estimate: NDArray[np.float64]
    shift: NDArray[np.float64]
    shift_se: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """The error on unseen rows, and the fits behind it.

    Attributes:
        folds: The fits, one for each fold.
        rmse: The root of the mean over all rows of the squared error that the fit of the other folds makes, in target
            units; NaN where some rows have no error.
        rmse_se: Its standard error over folds, as glmnet's for the mean squared error, by the delta method; NaN where
            fewer than two folds have rows.
        r2: 1 - rmse² / variance, about the mean of all rows, as scikit-learn's `r2_score` of `cross_val_predict` has
            it; without an intercept about zero.
        reason: Why numbers are NaN; None where none is.
    """

    folds: tuple[FoldFit, ...]
    rmse: float
    rmse_se: float
    r2: float
    reason: str | None

    @property
    def notice(self) -> str | None:
        """The notice about the folds: why there is no error, or that some have no rows; None if neither."""
        if self.reason:
            return f"no cross-validated error: {self.reason}"
        of, n = len(self.folds), sum(fold.n_samples > 0 for fold in self.folds)
        if n == of:
            return None
        return f"only {n} of {of} folds have rows: those with equal values, of fold_by if it is given, share one"


def cross_validate(
    splits: Iterable[Split], fit: Fit, coef_scaled: Iterable[CoefScaled | None] | None = None
) -> CrossValidation:
    """The error on unseen rows, each number rounded once.

    Args:
        splits: As `splits` gives them.
        fit: The fit of all rows; shifts are those from its `optimum`.
        coef_scaled: The coefficients for each split's `training`; where they are None, or not given, those of least
            squares: exact for exact sums, or right to 24 digits where the terms are many.
    """
    given = itertools.repeat(None) if coef_scaled is None else coef_scaled
    # one split after the other, so that one problem is held at a time
    found = [_fitted(split, fit, coef) for split, coef in zip(splits, given, strict=coef_scaled is not None)]
    folds = tuple(fold for fold, _ in found)
    errors = [error for _, error in found if error is not None]
    missing = [
        f"fold {f}: {fold.status.value}" for f, (fold, error) in enumerate(found) if fold.n_samples and not error
    ]
    if missing or not errors:
        reason = "; ".join(missing) or FoldStatus.EMPTY.value
        return CrossValidation(folds, math.nan, math.nan, math.nan, reason)
    of_all = pooled(errors)
    mse, weights = np.array([[e.mse] for e in errors], object), np.array([Fraction(e.weight) for e in errors], object)
    [mean], [variance] = mean_and_variance(mse, weights)
    return CrossValidation(folds, of_all.rmse, rmse_standard_error(mean, variance), of_all.r2, None)


def _fitted(split: Split, fit: Fit, coef_scaled: CoefScaled | None) -> tuple[FoldFit, HeldOutError | None]:
    """The fit to the other folds, and its error; None where there is none."""
    cross, status, error = fit.regression.cross, split.status, None
    if split.training is not None and coef_scaled is None:
        if cross.n_samples - split.n_samples < len(fit.regression.independent) + cross.centred:
            status = FoldStatus.TOO_FEW_ROWS
        else:
            coef_scaled = _least_squares(split.training)
    of_all = np.array([fit.optimum.intercept, *fit.optimum.coef])
    estimate, std_error = np.full(len(of_all), math.nan), np.full(len(of_all), math.nan)
    if split.training is not None and coef_scaled is not None:
        coef, intercept = split.training.whole.scaling.to_original(coef_scaled)
        error = split.error(coef, intercept)
        estimate[:] = 0.0
        estimate[[0, *(j + 1 for j in split.training.included)]] = [float(v) for v in (intercept, *coef)]
    std_error[[0, *(j + 1 for j in fit.regression.included)]] = fit.terms.std_error
    shift = estimate - of_all
    with np.errstate(divide="ignore", invalid="ignore"):  # the standard error of a perfect fit is 0
        shift_se = shift / std_error
    rmse, r2 = (error.rmse, error.r2) if error else (math.nan, math.nan)
    return FoldFit(status, split.n_samples, split.weight, rmse, r2, estimate, shift, shift_se), error


def _least_squares(training: Regression) -> CoefScaled:
    """The coefficients of least squares: exact, or right to 24 digits, which takes a tenth of the time."""
    if training.absorbed:
        return training.absorbed.optimum().coef_scaled
    return solve_many(training.problem, training.relations, RATIONAL_TERMS).coef_scaled


def _without(fold: int, by_fold: Sequence[AnyMoments], total: AnyMoments) -> AnyMoments:
    """The sums of all rows but a fold's; rounded sums have no exact difference, so those of the others are added."""
    if isinstance(total, Moments | BlockMoments):
        return total - by_fold[fold]  # type: ignore[operator]  # sums are of one kind: that of the run
    return functools.reduce(operator.add, [*by_fold[:fold], *by_fold[fold + 1 :]])
