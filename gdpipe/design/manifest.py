"""A design as the entries of a run's manifest."""

from collections.abc import Mapping
from typing import Any

from gdpipe.design.design import Design
from gdpipe.design.features import Feature, factor_from_json, factor_to_json


def design_to_manifest(design: Design) -> dict[str, Any]:
    """The entries from which `design_from_manifest` makes the design."""
    return {
        "features": [feature.name for feature in design.features],
        "boolean_features": [name for name in design.columns if name in design.booleans],
        "design": {
            "features": [[factor_to_json(factor) for factor in feature.factors] for feature in design.features],
            "levels": [[list(key), [list(labels) for labels in found]] for key, found in design.levels.items()],
            "fit_intercept": design.fit_intercept,
            "zones": dict(design.zones),
        },
    }


def design_from_manifest(manifest: Mapping[str, Any]) -> Design:
    """The design of a run; that of an older version has numbers only."""
    design = manifest.get("design")
    if design is None:
        # the oldest version does not know which columns are booleans
        booleans = manifest.get("boolean_features", ())
        intercept = bool(manifest.get("settings", {}).get("fit_intercept", True))
        return Design.of_numbers(map(str, manifest["features"]), booleans, fit_intercept=intercept)
    return Design(
        tuple(Feature(tuple(map(factor_from_json, factors))) for factors in design["features"]),
        {tuple(key): tuple(tuple(labels) for labels in found) for key, found in design["levels"]},
        bool(design["fit_intercept"]),
        frozenset(manifest.get("boolean_features", ())),
        dict(design.get("zones", {})),
    )
