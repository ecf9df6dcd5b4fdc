"""A fitted model: a design and its coefficients."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.design import Design, Values, combined
from gdpipe.numerics.rows.level_cells import Codes, LevelCells
from gdpipe.numerics.sums.levels import Key, Labels


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """Levels of a category that the fit has not seen; of a product, levels that it has seen, but not together.

    Attributes:
        name: The category, or the product, as in the features.
        labels: Levels, each once; of a product with ':' between those of its categories.
        codes: The index of each row's level, shape (m,).
        rows: Whether the fit has not seen it, shape (m,); False where a column is missing.
    """

    name: str
    labels: tuple[str, ...]
    codes: NDArray[np.intp]
    rows: NDArray[np.bool_]

    def first(self) -> tuple[int, str]:
        """The first of the rows, and its level."""
        row = int(np.argmax(self.rows))
        return row, self.labels[self.codes[row]]


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted line in original units.

    Attributes:
        design: The features and their terms.
        coef: Shape (p,), target units per unit of the term, in the order of the terms.
        intercept: The intercept, in target units.
        unseen_as_reference: Whether a level that the fit has not seen counts as the reference, and a combination of
            levels that it has not seen together as one without a coefficient; their prediction is NaN otherwise.
    """

    design: Design
    coef: NDArray[np.float64]
    intercept: float
    unseen_as_reference: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """The source columns that a prediction needs."""
        return self.design.columns

    def predict(self, columns: Iterable[Values]) -> NDArray[np.float64]:
        """Predictions in target units, shape (m,): the same bits however the rows are split.

        Intercept + Σ coefⱼ·xⱼ is added feature by feature in order. A category adds the coefficient of the row's level,
        which is 0 for the reference.

        Args:
            columns: The values of `design.inputs`, shape (m,) each.

        Returns:
            NaN where a level is unknown, NaN or infinite where a number is.
        """
        columns = list(columns)
        return self.of_values(
            self.design.number_values(columns), self.design.codes(self.design.category_values(columns))
        )

    def of_values(self, numbers: Sequence[NDArray[np.float64]], codes: Sequence[Codes]) -> NDArray[np.float64]:
        """As `predict`, from the values of `design.numbers`, and the levels as `design.codes` has them."""
        rows = len(numbers[0] if numbers else codes[0])
        if self.unseen_as_reference:
            codes = [
                np.where(of_category < 0, place, of_category) if of_category.min(initial=0) < 0 else of_category
                for of_category, place in zip(codes, self.design.reference_places, strict=True)
            ]
        total = np.full(rows, self.intercept)
        added = np.empty(rows)
        with np.errstate(invalid="ignore", over="ignore"):
            for block, coefficients, by_cell in zip(self.design.blocks, self.coefficients, self._by_cell, strict=True):
                if block.key:
                    # -1 takes the last, that of what is unseen; the default mode copies once more
                    cells = self._cells[block.key].index([codes[c] for c in block.key])
                    np.take(by_cell, cells, out=added, mode="wrap")
                    if block.number is not None:
                        np.multiply(added, numbers[block.number], out=added)
                else:
                    assert block.number is not None
                    np.multiply(numbers[block.number], coefficients[()], out=added)
                total += added
        return total

    def unseen(self, columns: Sequence[Values], missing: NDArray[np.bool_] | None) -> list[Unseen]:
        """The levels of some rows that the fit has not seen, where there are any.

        Args:
            columns: The values of `design.inputs`, shape (m,) each.
            missing: Where they are missing, shape (k, m); None where none is.
        """
        design, found = self.design, []
        categories = design.category_values(columns)
        for key in design.levels:
            labels, codes = combined([categories[c] for c in key])
            unknown = np.array([self._is_unseen(key, each) for each in labels], np.bool_)
            if not unknown.any():
                continue
            rows = unknown[codes]
            if missing is not None:
                rows &= ~np.logical_or.reduce(missing[[design.inputs.index(design.categories[c]) for c in key]])
            if rows.any():
                name = ":".join(design.category_names[c] for c in key)
                found.append(Unseen(name, tuple(map(":".join, labels)), codes, rows))
        return found

    @property
    def unseen_coefficient(self) -> float:
        """The coefficient of levels that the fit has not seen together."""
        return 0.0 if self.unseen_as_reference else float("nan")

    @functools.cached_property
    def coefficients(self) -> list[dict[Labels, float]]:
        """The coefficients of each feature by level; those of levels without a term are 0."""
        found = []
        for block, of_block in zip(self.design.blocks, self.design.slices, strict=True):
            by_level = dict.fromkeys(self.design.levels[block.key] if block.key else (), 0.0)
            found.append(by_level | dict(zip(block.labels, self.coef[of_block].tolist(), strict=True)))
        return found

    @functools.cached_property
    def with_reference(self) -> "Model":
        """The same line, for which a level that the fit has not seen counts as the reference."""
        return replace(self, unseen_as_reference=True)

    @functools.cached_property
    def _by_cell(self) -> list[NDArray[np.float64]]:
        """The coefficients of each feature by the levels of its categories; the last is that of what is unseen."""
        return [np.array([*by_level.values(), self.unseen_coefficient]) for by_level in self.coefficients]

    @functools.cached_property
    def _cells(self) -> dict[Key, LevelCells]:
        levels = self.design.levels
        return {key: LevelCells.of(key, levels) for key in levels}

    def _is_unseen(self, key: Key, labels: Labels) -> bool:
        known = self.design.known(key, labels)
        if len(key) == 1:
            return None in known
        return None not in known and known not in self._found[key]

    @functools.cached_property
    def _found(self) -> dict[Key, frozenset[Labels]]:
        return {key: frozenset(found) for key, found in self.design.levels.items()}
