"""The design: features, and the terms that they come to once the levels of the categories are known."""

import functools
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gdpipe.design.coded import Coded, LevelPlaces, Values
from gdpipe.design.coding import Term, compared_categories
from gdpipe.design.features import Category, Feature, Input, Number
from gdpipe.design.functions import product_of
from gdpipe.design.levels import OTHER, ordered
from gdpipe.errors import ConfigError
from gdpipe.numerics.sums.levels import Key, Labels, TermBlock
from gdpipe.printable import abridged


@dataclass(frozen=True)
class Design:
    """The features of a regression, in order, and their terms.

    Attributes:
        features: The features.
        levels: The labels that were found, in order, by the indices of categories in `categories`: of each category,
            and of each product of categories. Empty before the first scan.
        fit_intercept: Whether there is an intercept.
        booleans: The source columns that an older version read as numbers and that are booleans: SQL must convert them.
        zones: The time zones of the source columns of which parts are taken, where they have one.
    """

    features: tuple[Feature, ...]
    levels: Mapping[Key, tuple[Labels, ...]] = field(default_factory=dict)
    fit_intercept: bool = True
    booleans: frozenset[str] = frozenset()
    zones: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_numbers(
        cls, columns: Iterable[str], booleans: Collection[str] = (), *, fit_intercept: bool = True
    ) -> "Design":
        """The design with one term for each column."""
        features = tuple(Feature((Number(name, Input(name)),)) for name in columns)
        return cls(features, {}, fit_intercept, frozenset(booleans))

    @functools.cached_property
    def inputs(self) -> tuple[Input, ...]:
        """What is read, each once."""
        return tuple(dict.fromkeys(factor.input for feature in self.features for factor in feature.factors))

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """The source columns to read, each once."""
        return tuple(dict.fromkeys(of.column for of in self.inputs))

    @functools.cached_property
    def numbers(self) -> tuple[tuple[Number, ...], ...]:
        """The products of numbers in the features, each once: with the target the columns of dense sums."""
        return tuple(dict.fromkeys(feature.numbers for feature in self.features if feature.numbers))

    @functools.cached_property
    def categories(self) -> tuple[Input, ...]:
        """The inputs that are categories, each once."""
        return tuple(of for of in self.inputs if of.levels)

    @functools.cached_property
    def orders(self) -> dict[Key, int]:
        """The combinations of categories by whose levels rows are summed, and how many numbers are multiplied there.

        0: counts alone; 1: sums of numbers and target; 2: of their products, too. Each category alone is among them,
        as its levels must be known; that of all rows is not.
        """
        # the target is a number as well
        parts = [*((bool(feature.numbers), self._key(feature)) for feature in self.features), (True, ())]
        found: dict[Key, int] = {(c,): 0 for c in range(len(self.categories))}
        for number, key in parts:
            for other_number, other_key in parts:
                union = tuple(sorted({*key, *other_key}))
                found[union] = max(found.get(union, 0), number + other_number)
        return {key: found[key] for key in sorted(found) if key}

    def _key(self, feature: Feature) -> Key:
        return tuple(sorted(map(self._place, feature.categories)))

    def _place(self, category: Category) -> int:
        return self.categories.index(category.input)

    def without(self, columns: Collection[str]) -> "Design":
        """The design without the features that are made from any of these columns; levels are forgotten."""
        left = tuple(feature for feature in self.features if not set(feature.columns) & set(columns))
        return replace(self, features=left, levels={})

    def of_features(self, features: Sequence[Feature]) -> "Design":
        """The design of some of the features, in this order, with the levels that are known."""
        plain = replace(self, features=tuple(features), levels={})
        places = [self.categories.index(of) for of in plain.categories]
        levels = {}
        for key in {(c,) for c in range(len(places))} | {plain._key(feature) for feature in features} - {()}:
            before = tuple(sorted(places[c] for c in key))
            order = [before.index(places[c]) for c in key]
            levels[key] = [tuple(labels[at] for at in order) for labels in self.levels[before]]
        return plain.with_levels(levels)

    def with_levels(self, found: Mapping[Key, Collection[Labels]]) -> "Design":
        """The design with the levels that a scan has found.

        Args:
            found: Labels by category and by product of categories, in any order.

        Raises:
            ConfigError: A reference is not among the levels of its category.
        """
        ranks = [
            {label: rank for rank, label in enumerate(ordered({label for (label,) in found[(c,)]}, of))}
            for c, of in enumerate(self.categories)
        ]
        wanted = {(c,) for c in range(len(ranks))} | {self._key(feature) for feature in self.features}
        levels = {
            key: tuple(
                sorted(found[key], key=lambda labels: [ranks[c][label] for c, label in zip(key, labels, strict=True)])
            )
            for key in sorted(wanted - {()})
        }
        for feature in self.features:
            for category in feature.categories:
                known = ranks[self._place(category)]
                if category.reference is not None and category.reference not in known:
                    raise ConfigError(
                        f"features: {category.reference!r}, the reference of {category.name}, is no level of it; "
                        f"name one of {abridged(list(known), 10)}"
                    )
        return replace(self, levels=levels)

    def label_of(self, category: int, label: str) -> str | None:
        """The level that a label belongs to: itself, `(other)` where rare levels were joined, or None if unknown."""
        known = self._known[category]
        return label if label in known else OTHER if OTHER in known else None

    def known(self, key: Key, labels: Labels) -> tuple[str | None, ...]:
        """The levels of some categories that labels belong to, as `label_of` has them."""
        return tuple(map(self.label_of, key, labels))

    def known_or_reference(self, key: Key, labels: Labels) -> Labels:
        """As `known`, with the reference in place of a level that is unknown."""
        known = zip(key, self.known(key, labels), strict=True)
        return tuple(self.references[c] if label is None else label for c, label in known)

    @functools.cached_property
    def _known(self) -> list[frozenset[str]]:
        return [frozenset(label for (label,) in self.levels[(c,)]) for c in range(len(self.categories))]

    def codes(self, categories: Iterable[Coded]) -> list[NDArray[np.intp]]:
        """The index of each row's level among `levels`, shape (m,) by category; -1 where it is unknown."""
        return self.level_places().codes(categories)

    def level_places(self) -> LevelPlaces:
        """The indices of levels among `levels`, as `codes` has them, for one thread that reads batch by batch."""
        return LevelPlaces(self._places, OTHER)

    @functools.cached_property
    def _places(self) -> list[dict[str, int]]:
        keys = [(c,) for c in range(len(self.categories))]
        return [{label: at for at, (label,) in enumerate(self.levels[key])} for key in keys]

    def reference(self, category: Category) -> str:
        """The label of a category's reference."""
        return category.reference or self.levels[(self._place(category),)][0][0]

    @functools.cached_property
    def references(self) -> tuple[str, ...]:
        """The label of the reference of each of `categories`, in the first feature that has it."""
        return tuple(map(self.reference, self._factors))

    @functools.cached_property
    def reference_places(self) -> tuple[int, ...]:
        """The index of each of `references` among the levels of its category; -1 where it is none of them."""
        return tuple(of.get(reference, -1) for of, reference in zip(self._places, self.references, strict=True))

    @functools.cached_property
    def category_names(self) -> tuple[str, ...]:
        """The names of `categories`, as in the features."""
        return tuple(factor.name for factor in self._factors)

    @functools.cached_property
    def _factors(self) -> tuple[Category, ...]:
        """The factor of each of `categories`, in the first feature that has it."""
        factors = [category for feature in self.features for category in feature.categories]
        return tuple(next(factor for factor in factors if factor.input == of) for of in self.categories)

    @functools.cached_property
    def blocks(self) -> tuple[TermBlock, ...]:
        """The terms of each feature: the column of dense sums that they hold, and the levels of each."""
        compared = compared_categories(self.features, fit_intercept=self.fit_intercept)
        blocks = []
        for feature, categories in zip(self.features, compared, strict=True):
            number = self.numbers.index(feature.numbers) if feature.numbers else None
            key = self._key(feature)
            left_out = {key.index(self._place(c)): self.reference(c) for c in categories}
            labels = tuple(
                labels
                for labels in (self.levels[key] if key else ((),))
                if all(labels[at] != reference for at, reference in left_out.items())
            )
            blocks.append(TermBlock(number, key, labels))
        return tuple(blocks)

    def blocks_in(self, whole: "Design") -> tuple[TermBlock, ...]:
        """The terms as they follow from the sums of another design, which has all inputs and products of numbers."""
        places = [whole.categories.index(of) for of in self.categories]
        found = []
        for block in self.blocks:
            number = None if block.number is None else whole.numbers.index(self.numbers[block.number])
            key = tuple(sorted(places[c] for c in block.key))
            order = [key.index(places[c]) for c in block.key]
            found.append(
                TermBlock(
                    number,
                    key,
                    tuple(tuple(labels[order.index(at)] for at in range(len(key))) for labels in block.labels),
                )
            )
        return tuple(found)

    @functools.cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms, feature by feature."""
        found = []
        for feature, block in zip(self.features, self.blocks, strict=True):
            # labels stand in the order of the key
            order = [block.key.index(self._place(category)) for category in feature.categories]
            found += [Term.of(feature, [labels[at] for at in order]) for labels in block.labels]
        return tuple(found)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The terms' names."""
        return tuple(term.name for term in self.terms)

    @functools.cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each feature's terms are among all terms."""
        ends = np.cumsum([0, *(len(block.labels) for block in self.blocks)]).tolist()
        return tuple(slice(start, stop) for start, stop in itertools.pairwise(ends))

    def resolution(self, of_columns: Mapping[str, float]) -> NDArray[np.float64]:
        """The relative rounding of each term's values, shape (p,): that of the coarsest column in it; levels are exact.

        Args:
            of_columns: The relative rounding of the values of each source column.
        """
        exact = float(np.finfo(np.float64).eps)
        of_terms = []
        for feature, block in zip(self.features, self.blocks, strict=True):
            coarsest = max((of_columns[factor.input.column] for factor in feature.numbers), default=exact)
            of_terms += [coarsest] * len(block.labels)
        return np.array(of_terms)

    def number_values(self, columns: Iterable[Values]) -> list[NDArray[np.float64]]:
        """The values of `numbers` for some rows.

        Args:
            columns: The values of `inputs`, in their order, shape (m,) each.

        Returns:
            Shape (m,) each. Do not write to them: they may be the columns themselves. NaN or infinite where a function
            is not defined.
        """
        by_input = dict(zip(self.inputs, columns, strict=True))
        return [product_of(factors, by_input) for factors in self.numbers]

    def category_values(self, columns: Iterable[Values]) -> list[Coded]:
        """The values of `categories` for some rows; arguments as in `number_values`."""
        by_input = dict(zip(self.inputs, columns, strict=True))
        return [coded for of in self.categories if isinstance(coded := by_input[of], Coded)]
