"""A fit, its error on unseen rows, and the alpha that is chosen by it, from sums by fold, on arrays alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gdpipe.config import TrainingConfig
from gdpipe.cross_validation import CrossValidation, cross_validate, splits
from gdpipe.design import Design
from gdpipe.errors import DataError
from gdpipe.fit import AnyMoments, Fit, Resolution, conclude, descend, planned, standardize
from gdpipe.penalty_path import PenaltyPath, penalty_path


@dataclass(frozen=True, slots=True, eq=False)
class ValidatedFit:
    """A fit from the sums alone.

    Attributes:
        fit: The fit, with its certificate.
        path: The path of its penalty; None without one.
        cross_validation: The error on unseen rows; None without folds.
    """

    fit: Fit
    path: PenaltyPath | None
    cross_validation: CrossValidation | None


def validated_fit(
    sums: AnyMoments,
    by_fold: Sequence[AnyMoments],
    design: Design,
    settings: TrainingConfig,
    resolution: Resolution,
    where: str,
) -> ValidatedFit:
    """The fit of some rows, measured on the rows of each fold in turn by a fit of the others.

    Args:
        sums: Sums over the rows, as in `gdpipe.fit.standardize`.
        by_fold: Those of each fold; empty where there are no folds.
        design: The terms.
        settings: The settings.
        resolution: As in `standardize`.
        where: What an error names.

    Raises:
        ConfigError: The learning rate would diverge.
        DataError: As in `standardize`, or `alpha` is to be chosen and there is no error on unseen rows to choose by.
    """
    regression, path = standardize(sums, design, settings, resolution), None
    if settings.penalty != "none":
        path = penalty_path(regression, by_fold, design, settings, resolution)
        if path.penalty is None:
            raise DataError(f"{where}: {path.refusal(settings)}")
        regression = replace(regression, penalty=path.penalty)
    fit = conclude(design, regression, descend(regression, planned(regression, settings)))
    return ValidatedFit(fit, path, error_on_folds(fit, path, by_fold, settings, resolution))


def error_on_folds(
    fit: Fit, path: PenaltyPath | None, by_fold: Sequence[AnyMoments], settings: TrainingConfig, resolution: Resolution
) -> CrossValidation | None:
    """The error on unseen rows, by fits of the other folds with the penalty of the fit; None without folds.

    Args:
        fit: The fit of all rows.
        path: The path of its penalty; None without one.
        by_fold: As in `validated_fit`.
        settings: The settings.
        resolution: As in `standardize`.
    """
    if not by_fold:
        return None
    if path is None:
        return cross_validate(splits(by_fold, fit.design, settings, resolution), fit)
    return cross_validate(path.splits, fit, path.of_folds)
