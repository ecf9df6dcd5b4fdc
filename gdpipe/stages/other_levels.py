"""Two fits with other levels: references, levels that are new or gone, and one fit over the terms of the other."""

from collections.abc import Mapping
from dataclasses import dataclass

from gdpipe.design import Design, Feature, margin
from gdpipe.numerics.sums.levels import Key, Labels
from gdpipe.printable import abridged

# levels of one category that are named
MOST_NAMED = 5


def reference_of(design: Design, place: int) -> str | None:
    """The label of the reference of a feature that is a category; None where it is none, or each level has a term."""
    feature, block = design.features[place], design.blocks[place]
    if len(feature.factors) != 1 or not feature.categories:
        return None
    label = design.reference(feature.categories[0])
    return None if (label,) in block.labels else label


def references(design: Design) -> dict[str, str]:
    """The reference of each feature that is a category, by feature."""
    found = {feature.name: reference_of(design, place) for place, feature in enumerate(design.features)}
    return {name: label for name, label in found.items() if label is not None}


def incomparable(before: Design, now: Design) -> tuple[frozenset[str | None], tuple[str, ...]]:
    """The features whose coefficients mean something else than before, as a reference is another; and why, in words.

    None among the features stands for the intercept. A reference enters the coefficients of its category, and of
    whatever is a part of a product with it.
    """
    old, new = references(before), references(now)
    moved = [name for name in new if name in old and old[name] != new[name]]
    lines = tuple(
        f"{name}: the reference is {new[name]}, was {old[name]}; coefficients that depend on it are not compared"
        for name in moved
    )
    found: set[str | None] = {None} if moved else set()
    for product in now.features:
        parts = {factor.name for factor in product.factors}
        if parts.intersection(moved):
            # the margins of a product with the category: its slope at the reference, and the category's own terms
            found |= {f.name for f in now.features if parts.issuperset(factor.name for factor in f.factors)}
    return frozenset(found), lines


def new_and_gone(before: Design, now: Design) -> tuple[str, ...]:
    """The levels that only one of the fits has, in words, for features that both have."""
    lines = []
    known = {feature.name: place for place, feature in enumerate(before.features) if _is_category(feature)}
    for place, feature in enumerate(now.features):
        if feature.name in known and _is_category(feature):
            old, new = _labels(before, known[feature.name]), _labels(now, place)
            lines += [
                f"{feature.name}: {_named(found)} {word}"
                for found, word in (
                    ([label for label in new if label not in old], "new"),
                    ([label for label in old if label not in new], "gone"),
                )
                if found
            ]
    return tuple(lines)


def _is_category(feature: Feature) -> bool:
    return len(feature.factors) == 1 and bool(feature.categories)


def _labels(design: Design, place: int) -> list[str]:
    return [label for (label,) in design.levels[design.blocks[place].key]]


def _named(labels: list[str]) -> str:
    return f"{abridged(labels, MOST_NAMED)} {'is' if len(labels) == 1 else 'are'}"


@dataclass(frozen=True, slots=True)
class Line:
    """A model of an earlier fit over the terms of another design.

    Attributes:
        coef: The coefficients other than 0, by index of the term.
        intercept: The intercept.
        missing: The features, and the terms, that the model needs and the design does not have.
        unknown: The levels of today that the model does not know.
    """

    coef: dict[int, float]
    intercept: float
    missing: tuple[str, ...]
    unknown: tuple[str, ...]

    def lacking(self) -> str:
        """Why the line cannot be used on today's rows, in words that follow the name of its run; empty if it can."""
        return " and ".join(
            f"{verb} {abridged(names, MOST_NAMED)}{end}"
            for verb, names, end in (
                ("uses", self.missing, ", which this run does not"),
                ("does not know", self.unknown, ""),
            )
            if names
        )


def carried_over(before: Design, coef: Mapping[str, float], intercept: float, now: Design) -> Line:
    """The line of a fit over today's terms, on the rows of today's levels.

    A level that is gone has no rows, and needs no term. A level that the fit did not know has no prediction; one that
    was rare, and is not now, has that of `(other)`.

    Args:
        before: The design of the fit.
        coef: Its coefficients, by name of the term; those of 0 may be left out.
        intercept: Its intercept.
        now: The design with today's levels.
    """
    found: dict[int, float] = {}
    missing: list[str] = []
    unknown: list[str] = []
    ours = {margin(feature.factors): place for place, feature in enumerate(now.features)}
    for feature, block, of_block in zip(before.features, before.blocks, before.slices, strict=True):
        values = {
            labels: coef.get(name, 0.0) for labels, name in zip(block.labels, before.names[of_block], strict=True)
        }
        if not any(values.values()):
            continue
        place = ours.get(margin(feature.factors))
        if place is None:
            missing.append(feature.name)
            continue
        key, with_term = now.blocks[place].key, now.blocks[place].labels
        terms = dict(zip(with_term, range(now.slices[place].start, now.slices[place].stop), strict=True))
        today: dict[Labels, float] = {}
        for labels in now.levels[key] if key else ((),):
            then = _as_before(before, block.key, now, key, labels)
            if then is None:
                unknown.append(f"{feature.name}[{':'.join(labels)}]")
            else:
                today[labels] = values.get(then, 0.0)
        left_out = [labels for labels in today if labels not in terms and today[labels]]
        if left_out and _is_category(feature):
            # with its reference at v, a category adds v in every row, and to each level the difference from v
            [reference] = left_out
            intercept += (shift := today[reference])
            today = {labels: value - shift for labels, value in today.items()}
        else:
            missing += [f"{feature.name}[{':'.join(labels)}]" for labels in left_out]
        found |= {terms[labels]: value for labels, value in today.items() if labels in terms and value}
    return Line(found, intercept, tuple(missing), tuple(unknown))


def _as_before(before: Design, then: Key, now: Design, key: Key, labels: Labels) -> Labels | None:
    """The levels of the earlier fit that today's levels belong to; None where it does not know one."""
    by_input = {now.categories[c]: label for c, label in zip(key, labels, strict=True)}
    known = before.known(then, tuple(by_input[before.categories[c]] for c in then))
    found = tuple(label for label in known if label is not None)
    return found if not then or found in before.levels[then] else None
