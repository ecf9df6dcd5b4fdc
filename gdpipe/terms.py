"""Levels of categories, once they are known: rare ones joined, too many refused, their sums made sums of terms."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Mapping, Sequence

from gdpipe.config import EXACT_FEATURES, TrainingConfig
from gdpipe.design import OTHER, Design, Feature
from gdpipe.errors import ConfigError, DataError
from gdpipe.numerics.sums.cell_sums import CellSums
from gdpipe.numerics.sums.level_index import TooManyLevels
from gdpipe.numerics.sums.levels import Key, Labels, LevelSums, TermBlock
from gdpipe.numerics.sums.moments import Moments
from gdpipe.numerics.sums.terms import TermSums

# the most terms beside an absorbed category: they are eliminated in integers, each with each
MOST_OTHERS = 512


def sums_are_exact(config: TrainingConfig, design: Design) -> bool:
    """Whether the rows of a design are summed exactly: with categories always."""
    few = len(design.numbers) <= EXACT_FEATURES
    return bool(design.categories) or (few if config.arithmetic == "auto" else config.arithmetic == "exact")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The terms of a design and the kind of arithmetic that their number allows.

    Attributes:
        design: The design with its levels.
        rare: By category of the sums, the labels that are joined to one level.
        exact: Whether sums over terms are exact, and held as a matrix.
        absorbed: Index of the feature whose terms are absorbed, where they are so many that the matrix would be too
            large; else None. Sums are exact then, too.
        summed: The design of the sums: the same, or one with more features.
    """

    design: Design
    rare: tuple[frozenset[str], ...]
    exact: bool
    absorbed: int | None
    summed: Design

    @classmethod
    def of(cls, config: TrainingConfig, design: Design, levels: Mapping[Key, LevelSums], where: str) -> "Terms":
        """The terms of a design, whose levels are found in the sums over all rows used.

        Raises:
            ConfigError: A reference is not among the levels of its category, or is a rare one.
            DataError: A category, or a product of some, has more levels than `max_levels`, no feature has a term, or
                two terms have one name.
        """
        rare = []
        for c, of in enumerate(design.categories):
            counts = {
                label: n for (label,), n in zip(levels[(c,)].labels, levels[(c,)].n_samples.tolist(), strict=True)
            }
            few = frozenset(label for label, n in counts.items() if n < config.min_level_rows)
            found = len(counts) - len(few - {OTHER}) + (bool(few) and OTHER not in counts)
            _check_few(config, of.column, found, where)
            rare.append(few)
        for category in (category for feature in design.features for category in feature.categories):
            if category.reference in rare[design.categories.index(category.input)] - {OTHER}:
                raise ConfigError(
                    f"features: {category.reference!r}, the reference of {category.name}, has fewer rows than "
                    f"min_level_rows={config.min_level_rows}; name another level, or lower it"
                )
        known = {key: {_joined(key, labels, rare) for labels in sums.labels} for key, sums in levels.items()}
        design = design.with_levels(known)
        for key, of_key in design.levels.items():
            _check_few(config, ":".join(design.category_names[c] for c in key), len(of_key), where)
        return cls._checked(config, design, tuple(rare), design, where)

    def of_features(self, config: TrainingConfig, features: Sequence[Feature], where: str) -> "Terms":
        """The terms that some of the features have without the others, from the same sums.

        Raises:
            DataError: As in `of`.
        """
        return self._checked(config, self.design.of_features(features), self.rare, self.summed, where)

    @classmethod
    def _checked(
        cls, config: TrainingConfig, design: Design, rare: tuple[frozenset[str], ...], summed: Design, where: str
    ) -> "Terms":
        if not design.terms:
            or_fewer = ", or lower min_level_rows" if any(rare) else ""
            raise DataError(
                f"{where}: no feature has a term, as all are categories with one level; name others{or_fewer}"
            )
        # tables, drift and a model that is read again tell terms by their names
        if len(set(design.names)) < len(design.names):
            [(name, _)] = Counter(design.names).most_common(1)
            of = " and of ".join(dict.fromkeys(term.feature for term in design.terms if term.name == name))
            raise DataError(
                f"{where}: features: two terms have the name {name!r}, of {of}; rename the column or the level, or "
                "leave a feature out"
            )
        few_terms = len(design.terms) <= EXACT_FEATURES
        exact = few_terms if config.arithmetic == "auto" else config.arithmetic == "exact"
        absorbed = None
        if not exact and config.arithmetic == "auto" and config.penalty == "none":
            sizes = [len(block.labels) if block.key else 0 for block in design.blocks]
            if len(design.terms) - max(sizes) <= MOST_OTHERS:
                absorbed = sizes.index(max(sizes))
        return cls(design, rare, exact, absorbed, summed)

    @property
    def rounded(self) -> bool:
        """Whether sums over terms are rounded to float64: they are many, and no category is absorbed."""
        return not self.exact and self.absorbed is None

    @property
    def solved(self) -> int:
        """The number of terms that are solved for together: without those of an absorbed category."""
        return len(self.design.terms) - (0 if self.absorbed is None else len(self.design.blocks[self.absorbed].labels))

    @property
    def single(self) -> tuple[str, ...]:
        """The features without a term, as their categories have one level."""
        pairs = zip(self.design.features, self.design.blocks, strict=True)
        return tuple(feature.name for feature, block in pairs if not block.labels)

    def joined(self, levels: Mapping[Key, LevelSums]) -> dict[Key, LevelSums]:
        """Sums of some rows, with rare levels joined."""
        if not any(self.rare):
            return dict(levels)
        return {
            key: sums.merged(lambda labels, key=key: _joined(key, labels, self.rare))  # type: ignore[misc]  # mypy cannot type a lambda with a default
            for key, sums in levels.items()
        }

    def over_terms(self, sums: CellSums) -> CellSums:
        """The sums of some rows over terms and the target, in place of those over numbers."""
        blocks = self.design.blocks_in(self.summed)
        if blocks == tuple(TermBlock(number, (), ((),)) for number in range(len(self.summed.numbers))):
            return sums  # numbers alone, and all of them
        assert isinstance(sums.moments, Moments)  # those of a scan with categories
        levels = self.joined(sums.levels)
        of_terms = TermSums(sums.moments, levels, blocks)
        if self.absorbed is not None:
            return CellSums(of_terms.with_block(self.absorbed), levels)
        return CellSums(of_terms.exact() if self.exact else of_terms.rounded(), levels)

    def unseen(self, levels: Mapping[Key, LevelSums]) -> dict[str, int]:
        """Rows of levels that the fit has not seen, by category, in sums of other rows."""
        design, found = self.summed, {}
        for c, name in enumerate(design.category_names):
            of = levels[(c,)]
            counts = zip(of.labels, of.n_samples.tolist(), strict=True)
            if rows := sum(n for (label,), n in counts if design.label_of(c, label) is None):
                found[name] = rows
        return found

    def as_known(self, levels: Mapping[Key, LevelSums]) -> dict[Key, LevelSums]:
        """Sums of some rows, in which levels that the fit has not seen count as the reference."""
        return {
            key: sums.merged(functools.partial(self.summed.known_or_reference, key)) for key, sums in levels.items()
        }


def _check_few(config: TrainingConfig, name: str, levels: int, where: str) -> None:
    if levels > config.max_levels:
        raise DataError(
            f"{where}: features: {name!r} has {levels:,} levels, more than max_levels={config.max_levels}; raise it, "
            "join rare levels by min_level_rows, or leave it out"
        )


def refusal(design: Design, many: TooManyLevels) -> str:
    """Why rows cannot be summed by the levels of some columns, in words."""
    names = " and ".join(repr(design.categories[c].column) for c in many.key)
    what = "has more than {:,} levels" if len(many.key) == 1 else "have more than {:,} combinations of levels"
    return f"features: {names} {what.format(many.most)}, too many to sum rows by; leave it out, or make it coarser"


def _joined(key: Key, labels: Labels, rare: "list[frozenset[str]] | tuple[frozenset[str], ...]") -> Labels:
    return tuple(OTHER if label in rare[c] else label for c, label in zip(key, labels, strict=True))
