"""Rows in memory to learn from, and their sums."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.design import Coded, Design, Input, Values
from gdpipe.errors import DataError
from gdpipe.numerics.problem.covariance import LARGEST_VALUE
from gdpipe.numerics.sums.cell_sums import CellSums
from gdpipe.numerics.sums.float_moments import Float64Accumulator, Float64Moments, why_beyond_float64
from gdpipe.numerics.sums.folds import fold_of_rows, label_hashes
from gdpipe.numerics.sums.level_index import TooManyLevels
from gdpipe.numerics.sums.unrounded import unrounded_sums
from gdpipe.terms import refusal


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows to learn from.

    Attributes:
        design: The features; levels are known once all rows are.
        inputs: What the features are made of, each with its values, shape (m,).
        numbers: The values of the design's numbers, shape (k, m).
        categories: Those of its categories.
        y: The target, shape (m,).
        resolution: The relative rounding of each column's values.
        columns_alone: Whether the features are columns of numbers, as they are.
        keys: The values that decide a row's fold, shape (m,) each: numbers, or hashes; its own do if there are none.
    """

    design: Design
    inputs: Sequence[tuple[Input, Values]]
    numbers: NDArray[np.floating[Any]]
    categories: Sequence[Coded]
    y: NDArray[np.float64]
    resolution: Mapping[str, float]
    columns_alone: bool
    keys: Sequence[NDArray[np.float64] | NDArray[np.uint64]] = ()

    @property
    def names(self) -> list[str]:
        """The names of the numbers and of the target."""
        if self.columns_alone:  # of which two may have one name
            return [*self.design.names, "y"]
        return [*(":".join(factor.name for factor in factors) for factors in self.design.numbers), "y"]

    def sums_by_fold(self, weights: NDArray[np.float64] | None, folds: int, *, exact: bool) -> tuple[CellSums, ...]:
        """The sums of the rows of each fold, which are those that a run has; of all rows where there are no folds.

        Raises:
            DataError: As in `sums`.
        """
        if not folds:
            return (self.sums(weights, exact=exact),)
        of_all = sorted([*self.inputs, (Input("y"), self.y)], key=lambda each: fold_order(each[0]))
        of_rows = fold_of_rows(self.keys or [hashable(values) for _, values in of_all], folds)
        return tuple(
            self._some(of_rows == fold).sums(None if weights is None else weights[of_rows == fold], exact=exact)
            for fold in range(folds)
        )

    def _some(self, rows: NDArray[np.bool_]) -> "Batch":
        """Some of the rows, to be summed."""
        categories = [coded[rows] for coded in self.categories]
        return replace(self, inputs=(), numbers=self.numbers[:, rows], categories=categories, y=self.y[rows])

    def sums(self, weights: NDArray[np.float64] | None, *, exact: bool) -> CellSums:
        """The sums of these rows.

        Raises:
            DataError: A category has too many levels to sum rows by, or values are too large.
        """
        rows = np.vstack([self.numbers, self.y], dtype=np.float64)
        for name, size in zip(self.names, self.largest.tolist(), strict=True):
            if size > LARGEST_VALUE:
                raise DataError(
                    f"column {name!r} has a magnitude of {size:g}, and gdpipe computes with at most {LARGEST_VALUE:g}; "
                    "use another unit"
                )
        if not exact:
            self.check_products(weights)
            return CellSums(_float64_moments(rows, weights))
        if not self.categories:
            return unrounded_sums(rows, weights)
        codes = [(coded.labels, coded.codes) for coded in self.categories]
        try:
            return unrounded_sums(rows, weights, codes, self.design.orders)
        except TooManyLevels as many:
            raise DataError(f"X: {refusal(self.design, many)}") from many

    def check_products(self, weights: NDArray[np.float64] | None) -> None:
        """Check that float64 holds the products of weights and values, for sums in float64.

        Raises:
            DataError: It does not.
        """
        weight = 0.0 if weights is None else float(weights.max(initial=0.0))
        if reason := why_beyond_float64(self.names, self.largest, weight):
            raise DataError(reason)

    @functools.cached_property
    def largest(self) -> NDArray[np.float64]:
        """The largest magnitude of each number and of the target, shape (k + 1,)."""
        return np.array([np.abs(column).max(initial=0.0) for column in (*self.numbers, self.y)], np.float64)


def fold_order(of: Input) -> tuple[str, str, str]:
    """The place of what is read in the order in which a row's values are hashed: the same for features in any order."""
    return of.column, of.part or "", of.levels or ""


def hashable(values: Values) -> NDArray[np.float64] | NDArray[np.uint64]:
    """The values as `fold_of_rows` takes them, shape (m,): numbers as they are, hashes of labels."""
    return _hashes_of(values.labels)[values.codes] if isinstance(values, Coded) else values


@functools.lru_cache(maxsize=8)  # the batches of a row group have the same labels
def _hashes_of(labels: tuple[str, ...]) -> NDArray[np.uint64]:
    return label_hashes(labels)


def _float64_moments(rows: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Float64Moments:
    accumulator = Float64Accumulator(len(rows))
    if weights is not None:
        rows, weights = rows[:, weights > 0], weights[weights > 0]
    accumulator.add(rows, weights)
    return accumulator.moments()
