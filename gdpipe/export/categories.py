"""The coefficients of categories in SQL: a CASE with a branch for each level."""

from sqlglot import exp

from gdpipe.design import OTHER
from gdpipe.export.values import ColumnValues, double, level_value
from gdpipe.model import Model
from gdpipe.numerics.sums.levels import Labels


def coefficient(model: Model, feature: int, values: ColumnValues) -> exp.Expression:
    """The coefficient of a row's level, for the feature of this index; null where the row has no prediction.

    A product of categories is a CASE within the branches of another.

    Raises:
        ConfigError: The dialect cannot take a part of a column in its time zone, or has no text as that of a level.
    """
    design, by_level = model.design, model.coefficients[feature]
    key = design.blocks[feature].key
    has_else = model.unseen_as_reference or any((OTHER,) in design.levels[(c,)] for c in key)

    def branch(known: Labels) -> exp.Expression:
        if len(known) == len(key):
            found = by_level.get(known, model.unseen_coefficient)
            return double(found) if found == found else exp.null()  # noqa: PLR0124  # only NaN differs from itself
        c = key[len(known)]
        of, labels = design.categories[c], [label for (label,) in design.levels[(c,)]]
        ifs = [exp.If(this=level_value(label, of), true=branch((*known, label))) for label in labels if label != OTHER]
        if OTHER in labels:
            unknown = branch((*known, OTHER))
        else:
            unknown = branch((*known, design.references[c])) if model.unseen_as_reference else exp.null()
        # SQL knows no CASE without a WHEN, as where all levels are rare
        return exp.Case(this=values.of(of), ifs=ifs, default=unknown) if ifs else unknown

    found = branch(())
    if not has_else:  # no branch is that of a null
        return found
    missing = [values.is_missing(design.categories[c]) for c in key]
    return exp.Case(ifs=[exp.If(this=exp.or_(*missing, copy=False), true=exp.null())], default=found)
