"""The tables of a run that has categories: a row a feature, and a row a level."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gdpipe.design import OTHER, Category, Design
from gdpipe.fit import Fit
from gdpipe.numerics.sums.levels import Key, LevelSums
from gdpipe.stages.other_levels import reference_of, references


def feature_columns(fit: Fit) -> dict[str, Any]:
    """The columns of `features`: one row a feature, in the order asked for."""
    design, tests = fit.design, fit.features
    kinds, levels, of_references = [], [], []
    for place, (feature, block) in enumerate(zip(design.features, design.blocks, strict=True)):
        [first, *others] = feature.factors
        of_category = isinstance(first, Category) and not others
        kinds.append("product" if others else "category" if of_category else "number")
        levels.append(len(design.levels[block.key]) if block.key else None)
        of_references.append(reference_of(design, place))
    return {
        "feature": [feature.name for feature in design.features],
        "kind": kinds,
        "levels": levels,
        "reference": of_references,
        "terms": [len(block.labels) for block in design.blocks],
        "df": tests.df,
        "f_statistic": tests.f_statistic,
        "f_p_value": tests.f_p_value,
        "gvif": tests.gvif,
        "gvif_root": tests.gvif_root,
    }


def level_columns(design: Design, sums: Mapping[Key, LevelSums]) -> dict[str, Any]:
    """The columns of `levels`: one row a level of each category, in the order of the levels.

    Args:
        design: The design, with its levels.
        sums: Sums by level over the rows used; those of levels that the design has joined are added.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("feature", "level", "rows", "weight", "share")}
    columns |= {"reference": [], "other": []}
    # a category in several features is listed once
    categories = {category.name: category for feature in design.features for category in feature.categories}
    compared = references(design)
    for name, category in categories.items():
        place = design.categories.index(category.input)
        of_levels = sums[(place,)]
        rows = dict.fromkeys((label for (label,) in design.levels[(place,)]), 0)
        weights = dict.fromkeys(rows, 0)
        for (label,), n, weight in zip(of_levels.labels, of_levels.n_samples.tolist(), of_levels.weight, strict=True):
            level = design.label_of(place, label)
            assert level is not None  # the levels are those of the same rows
            rows[level] += n
            weights[level] += weight
        total = sum(weights.values())
        columns["feature"] += [name] * len(rows)
        columns["level"] += rows
        columns["rows"] += rows.values()
        columns["weight"] += [_scaled(weight, of_levels.weight_exponent) for weight in weights.values()]
        columns["share"] += [weight / total for weight in weights.values()]
        columns["reference"] += [label == compared.get(name) for label in rows]
        columns["other"] += [label == OTHER for label in rows]
    return columns


def _scaled(weight: int, exponent: int) -> float:
    return float(np.ldexp(float(weight), exponent))
