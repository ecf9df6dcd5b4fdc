"""The optima for a row of alphas, their errors on unseen rows, and the alpha chosen by them, on arrays alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.config import TrainingConfig
from gdpipe.cross_validation import FoldStatus, Split, splits
from gdpipe.design import Design
from gdpipe.fit import AnyMoments, Resolution, l1_ratio_of
from gdpipe.numerics.inference.fold_errors import AlphaChoice, choose_alpha
from gdpipe.numerics.problem.active_set import Path, path
from gdpipe.numerics.problem.penalty import Penalty, alpha_grid
from gdpipe.numerics.problem.regression import Regression


@dataclass(frozen=True, slots=True, eq=False)
class PenaltyPath:
    """The optima along a row of alphas, and the one that is taken.

    Attributes:
        optima: The optima for n alphas in descending order, in float64.
        l1_ratio: As in `Penalty`.
        loss: The mean squared error over all rows, shape (n,), in the target's unit squared.
        errors: The errors on unseen rows; None where they cannot be told.
        place: Index of the alpha that is taken; None where it was to be chosen by errors and there are none.
        splits: The problems of all rows but those of each fold; empty where there are no folds.
        of_folds: The standardized coefficients at that alpha of the fit to all rows but those of each fold, over the
            terms included there; None for a fold without such a fit.
        reason: Why there are no errors; None where there are.
    """

    optima: Path
    l1_ratio: float
    loss: NDArray[np.float64]
    errors: AlphaChoice | None
    place: int | None
    splits: tuple[Split, ...]
    of_folds: tuple[list[float] | None, ...]
    reason: str | None

    @property
    def penalty(self) -> Penalty | None:
        """The penalty that is taken."""
        return None if self.place is None else Penalty(float(self.optima.alphas[self.place]), self.l1_ratio)

    def notice(self, settings: TrainingConfig) -> str | None:
        """What a person should know where the alpha that was chosen lies at an end of the path."""
        if not isinstance(settings.alpha, str) or self.place not in (0, len(self.optima.alphas) - 1):
            return None
        said = f"alpha {settings.alpha} is {self.optima.alphas[self.place]:.6g}, the"
        if self.place:
            return f"{said} least of the path: unseen rows ask for less of a penalty, or for none; set penalty to none"
        return (
            f"{said} largest of the path: on unseen rows the target's mean does as well; other features, or "
            "more rows, may tell more"
        )

    def refusal(self, settings: TrainingConfig) -> str:
        """Why no alpha is taken, and what to do."""
        return f"alpha {settings.alpha} is chosen by the error on unseen rows: {self.reason}; or give alpha as a number"


def penalty_path(
    regression: Regression,
    by_fold: Sequence[AnyMoments],
    design: Design,
    settings: TrainingConfig,
    resolution: Resolution = None,
) -> PenaltyPath:
    """The path of a penalty, with the choice among its alphas.

    The alphas are those of `alpha_grid` for all rows, also for the fits without each fold, as in glmnet; one that was
    given is among them. Each of these fits has its own means and scales.

    Args:
        regression: The problem of all rows.
        by_fold: Sums over the rows of each fold; empty where there are no folds.
        design: The terms.
        settings: `penalty`, `alpha` and `l1_ratio` count, and those of `standardize`.
        resolution: As in `standardize`.
    """
    problem, l1_ratio = regression.problem.ridge(0.0), l1_ratio_of(settings)
    alphas = alpha_grid(problem, l1_ratio)
    if not isinstance(settings.alpha, str):
        alphas = np.unique(np.append(alphas, settings.alpha))[::-1]
    optima = path(problem, alphas, l1_ratio)
    weights: list[float] = []
    errors: list[NDArray[np.float64]] = []
    of_folds: list[NDArray[np.float64] | None] = []
    reasons = [] if by_fold else ["there are no folds"]
    # all are held, as the error at the alpha that is taken needs them again
    of_rows = tuple(splits(by_fold, design, settings, resolution)) if by_fold else ()
    for fold, split in enumerate(of_rows):
        if split.training is None:
            of_folds.append(None)
            if split.status is not FoldStatus.EMPTY:
                reasons.append(f"fold {fold}: {split.status.value}")
            continue
        found = path(split.training.problem, alphas, l1_ratio)
        of_folds.append(found.coef_scaled)
        errors.append(split.errors(found.coef_scaled))
        weights.append(split.weight)
    if not reasons and len(errors) < 2:
        reasons.append(FoldStatus.EMPTY.value)
    choice = None if reasons else choose_alpha(alphas, np.array(errors), np.array(weights))
    place: int | None
    if not isinstance(settings.alpha, str):
        place = int(np.flatnonzero(alphas == settings.alpha)[0])
    elif choice is None:
        place = None
    else:
        place = choice.least if settings.alpha == "auto" else choice.one_std_error
    taken = tuple(None if coef is None or place is None else coef[place].tolist() for coef in of_folds)
    losses = problem.losses(optima.coef_scaled)
    return PenaltyPath(optima, l1_ratio, losses, choice, place, of_rows, taken, "; ".join(reasons) or None)
