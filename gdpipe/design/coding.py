"""Treatment coding, as in R and patsy: which levels of a category have a term.

A category stands for the difference of each level from the reference, which has no term of its own. In a product a
category is coded so if the product without it is in the design, too; otherwise each of its levels has a term. Without
an intercept the first category has a term for each level.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gdpipe.design.features import Category, Feature, margin


@dataclass(frozen=True, slots=True)
class Term:
    """A column of the regression besides the intercept.

    Attributes:
        name: The name, such as `distance`, `carrier[AA]` or `distance:carrier[AA]`.
        feature: The name of the feature that it is a part of.
        level: The level's label (those of a product of categories with ':' between them); None for a number.
    """

    name: str
    feature: str
    level: str | None

    @classmethod
    def of(cls, feature: Feature, labels: Sequence[str]) -> "Term":
        """The term of a feature in the rows of one level: a label for each of its categories, in their order."""
        label_of = dict(zip(feature.categories, labels, strict=True))
        names = [f"{f.name}[{label_of[f]}]" if isinstance(f, Category) else f.name for f in feature.factors]
        return cls(":".join(names), feature.name, ":".join(labels) if labels else None)


def compared_categories(features: Iterable[Feature], *, fit_intercept: bool) -> list[tuple[Category, ...]]:
    """The categories of each feature of which the reference has no term."""
    features = tuple(features)
    in_design = {margin(feature.factors) for feature in features}
    if fit_intercept:
        in_design.add(frozenset())
    found = []
    for feature in features:
        found.append(
            tuple(
                category
                for category in feature.categories
                if margin(f for f in feature.factors if f != category) in in_design
            )
        )
        if feature.categories and not feature.numbers:
            in_design.add(frozenset())  # the levels together stand for an intercept
    return found
