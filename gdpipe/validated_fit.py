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
    if not by_fold:
        return ValidatedFit(fit, path, None)
    of_folds = None if path is None else path.of_folds
    return ValidatedFit(fit, path, cross_validate(splits(by_fold, design, settings, resolution), fit, of_folds))
