"""Levels of categories, once they are known: rare ones joined, too many refused, their sums made sums of terms."""

import dataclasses
import functools
from collections.abc import Mapping

from gdpipe.config import EXACT_FEATURES, TrainingConfig
from gdpipe.design import OTHER, Design
from gdpipe.errors import DataError
from gdpipe.numerics.sums.cell_sums import CellSums
from gdpipe.numerics.sums.level_index import TooManyLevels
from gdpipe.numerics.sums.levels import Key, Labels, LevelSums
from gdpipe.numerics.sums.moments import Moments
from gdpipe.numerics.sums.terms import TermSums


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The terms of a design and the kind of arithmetic that their number allows.

    Attributes:
        design: The design with its levels.
        rare: By category, the labels that are joined to one level.
        exact: Whether sums over terms are exact.
    """

    design: Design
    rare: tuple[frozenset[str], ...]
    exact: bool

    @classmethod
    def of(cls, config: TrainingConfig, design: Design, levels: Mapping[Key, LevelSums], where: str) -> "Terms":
        """The terms of a design, whose levels are found in the sums over all rows used.

        Raises:
            ConfigError: A reference is not among the levels of its category.
            DataError: A category has more levels than `max_levels`, or no feature has a term.
        """
        rare = []
        for c, of in enumerate(design.categories):
            counts = {
                label: n for (label,), n in zip(levels[(c,)].labels, levels[(c,)].n_samples.tolist(), strict=True)
            }
            few = frozenset(label for label, n in counts.items() if n < config.min_level_rows)
            found = len(counts) - len(few - {OTHER}) + (bool(few) and OTHER not in counts)
            if found > config.max_levels:
                raise DataError(
                    f"{where}: features: {of.column!r} has {found:,} levels, more than "
                    f"max_levels={config.max_levels}; raise it, join rare levels by min_level_rows, or leave it out"
                )
            rare.append(few)
        known = {key: {_joined(key, labels, rare) for labels in sums.labels} for key, sums in levels.items()}
        design = design.with_levels(known)
        if not design.terms:
            raise DataError(f"{where}: no feature has a term, as all are categories with one level; name others")
        few_terms = len(design.terms) <= EXACT_FEATURES
        return cls(design, tuple(rare), few_terms if config.arithmetic == "auto" else config.arithmetic == "exact")

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
        if not self.design.categories:
            return sums
        assert isinstance(sums.moments, Moments)  # those of a scan with categories
        levels = self.joined(sums.levels)
        of_terms = TermSums(sums.moments, levels, self.design.blocks)
        moments = of_terms.exact() if self.exact else of_terms.rounded()
        return CellSums(moments, levels)

    def as_known(self, levels: Mapping[Key, LevelSums]) -> dict[Key, LevelSums]:
        """Sums of some rows, in which levels that the fit has not seen count as the reference."""
        return {
            key: sums.merged(functools.partial(self.design.known_or_reference, key)) for key, sums in levels.items()
        }


def refusal(design: Design, many: TooManyLevels) -> str:
    """Why rows cannot be summed by the levels of some columns, in words."""
    names = " and ".join(repr(design.categories[c].column) for c in many.key)
    what = "has more than {:,} levels" if len(many.key) == 1 else "have more than {:,} combinations of levels"
    return f"features: {names} {what.format(many.most)}, too many to sum rows by; leave it out, or make it coarser"


def _joined(key: Key, labels: Labels, rare: "list[frozenset[str]] | tuple[frozenset[str], ...]") -> Labels:
    return tuple(OTHER if label in rare[c] else label for c, label in zip(key, labels, strict=True))
