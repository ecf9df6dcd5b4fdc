"""The tables of a run that has categories: a row a feature, and a row a level."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gdpipe.design import OTHER, Category, Design
from gdpipe.fit import Fit
from gdpipe.numerics.sums.levels import Key, LevelSums


def feature_columns(fit: Fit) -> dict[str, Any]:
    """The columns of `features`: one row a feature, in the order asked for."""
    design, tests = fit.design, fit.features
    kinds, levels, references = [], [], []
    for feature, block in zip(design.features, design.blocks, strict=True):
        [first, *others] = feature.factors
        of_category = isinstance(first, Category) and not others
        kinds.append("product" if others else "category" if of_category else "number")
        levels.append(len(design.levels[block.key]) if block.key else None)
        references.append(_reference(design, feature.categories[0], block.labels) if of_category else None)
    return {
        "feature": [feature.name for feature in design.features],
        "kind": kinds,
        "levels": levels,
        "reference": references,
        "terms": [len(block.labels) for block in design.blocks],
        "df": tests.df,
        "f_statistic": tests.f_statistic,
        "f_p_value": tests.f_p_value,
        "gvif": tests.gvif,
        "gvif_root": tests.gvif_root,
    }


def _reference(design: Design, category: Category, with_term: tuple[tuple[str, ...], ...]) -> str | None:
    """The label of a category's reference; None where each level has a term."""
    label = design.reference(category)
    return None if (label,) in with_term else label


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
    compared = {
        name
        for feature, block in zip(design.features, design.blocks, strict=True)
        if (name := feature.name) in categories and len(block.labels) < len(design.levels[block.key])
    }
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
        columns["reference"] += [name in compared and label == design.reference(category) for label in rows]
        columns["other"] += [label == OTHER for label in rows]
    return columns


def _scaled(weight: int, exponent: int) -> float:
    return float(np.ldexp(float(weight), exponent))
