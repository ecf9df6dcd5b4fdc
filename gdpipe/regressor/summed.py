"""Sums of the rows of one call or several, by fold."""

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.batch import Batch
from gdpipe.config import EXACT_FEATURES, TrainingConfig
from gdpipe.cross_validation import why_no_folds
from gdpipe.design import Design
from gdpipe.errors import ConfigError
from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.cell_sums import CellSums
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.moments import Moments
from gdpipe.terms import Terms


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """Sums of rows over the numbers of a design and the target, and by the levels of its categories.

    Attributes:
        by_fold: Those of each fold, or of all rows; exact or in float64, all of one kind.
        resolution: The relative rounding of each column's values.
        fold_by: The columns that decided the folds.
    """

    by_fold: tuple[CellSums, ...]
    resolution: Mapping[str, float]
    fold_by: tuple[str, ...]

    @classmethod
    def of(cls, config: TrainingConfig, rows: Batch, weights: NDArray[np.float64] | None) -> "Summed":
        """The sums of some rows.

        Raises:
            DataError: A category has too many levels to sum rows by, or values are too large.
        """
        n = len(rows.numbers)
        exact = n <= EXACT_FEATURES if config.arithmetic == "auto" else config.arithmetic == "exact"
        folds = 0 if why_no_folds(n, config.folds) else config.folds
        # by level they are exact anyway
        by_fold = rows.sums_by_fold(weights, folds, exact=exact or bool(rows.categories))
        return cls(tuple(by_fold), rows.resolution, config.fold_by)

    def with_more(self, config: TrainingConfig, more: "Summed") -> "Summed":
        """The sums of these rows and more.

        Raises:
            ConfigError: The arithmetic or the folds are others.
        """
        if type(more.by_fold[0].moments) is not type(self.by_fold[0].moments):
            raise ConfigError(f"arithmetic {config.arithmetic!r}: the rows before were summed otherwise; fit anew")
        if (len(more.by_fold), more.fold_by) != (len(self.by_fold), self.fold_by):
            by = f" by {', '.join(more.fold_by)}" if more.fold_by else ""
            raise ConfigError(f"folds {config.folds}{by}: the rows before were summed by others; fit anew")
        resolution = {name: max(size, self.resolution[name]) for name, size in more.resolution.items()}
        return Summed(tuple(map(operator.add, self.by_fold, more.by_fold)), resolution, self.fold_by)

    @property
    def has_weight(self) -> bool:
        """Whether any row has a weight above 0."""
        return any(sums.moments.weight for sums in self.by_fold)

    def over_terms(
        self, config: TrainingConfig, rows: Batch, weights: NDArray[np.float64] | None
    ) -> tuple[Design, Moments | BlockMoments | Float64Moments, list[Moments | BlockMoments | Float64Moments]]:
        """The design with its levels, and sums over its terms and the target: of all rows, and of each fold.

        Args:
            config: The settings.
            rows: The last rows, whose design has no levels yet.
            weights: Their weights.

        Raises:
            ConfigError: A reference is not among the levels of its category.
            DataError: A category has more levels than `max_levels`, no feature has a term, or float64 does not hold
                the products of weights and values.
        """
        design, by_fold, total = rows.design, self.by_fold, functools.reduce(operator.add, self.by_fold)
        solved = len(rows.numbers)
        if design.categories:
            terms = Terms.of(config, design, total.levels, "X")
            if terms.rounded:
                rows.check_products(weights)
            design, total, solved = terms.design, terms.over_terms(total), terms.solved
            by_fold = tuple(map(terms.over_terms, by_fold))
        has_folds = config.folds and not why_no_folds(solved, config.folds)
        return design, total.moments, [fold.moments for fold in by_fold] if has_folds else []
