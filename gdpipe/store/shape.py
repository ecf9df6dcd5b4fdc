"""The shape of a manifest: the fields that gdpipe reads, and the type of each."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from gdpipe.store import catalog

# the deepest nesting of brackets; gdpipe's manifests have five levels
DEEPEST = 32
# characters of a name in a message
LONGEST_NAME = 100
# a longer integer does not fit a float64
MOST_BITS = 1000

Shape = Any
"""A type; a tuple of shapes, one of which holds; `[shape]` of each element; a dict of fields, where `name?` may be
missing and `*` stands for every field."""

_NUMBER_OR_NONE = (float, None)
# a feature's factors, each of a column
_FACTOR = {
    "name": str,
    "column": str,
    "part?": str,
    "functions?": [(str, int)],
    "levels?": str,
    "reference?": (str, None),
}
_DESIGN: "Shape" = {
    "features": [[_FACTOR]],
    # pairs of the indices of categories and of the labels found
    "levels": [[[(int, [str])]]],
    "fit_intercept": bool,
    "zones?": {"*": str},
}
_ERROR = {"r2": _NUMBER_OR_NONE, "r2_kind": str, "rmse": _NUMBER_OR_NONE, "mae": _NUMBER_OR_NONE, "n_samples": int}
HEADER: Shape = {
    "schema_version": int,
    "kind": str,
    "run_id": str,
    "created": str,
    "files": [{"path": str, "bytes": int, "sha256": str}],
}
BY_KIND: dict[str, Shape] = {
    "training": {
        "versions": dict,
        "settings": {
            "fit_intercept": bool,
            "filters": (list, None),
            "weight": (str, None),
            "collinear": str,
            "learning_rate": (float, str),
            "tolerance": float,
            "max_iterations": int,
            "alpha?": (float, str),
            "key?": [str],
            "latest?": bool,
        },
        "features": [str],
        "boolean_features?": [str],
        "target": str,
        "columns?": [str],
        "notices": [str],
        "dependencies": [str],
        "absorbed?": (str, None),
        "design?": _DESIGN,
        "inputs": [
            {
                "file": str,
                "path": str,
                "bytes": int,
                "modified_ns": int,
                "footer_sha256": (str, None),
                "sums?": (str, None),
                "held_out?": str,
            }
        ],
        "rows": {"read": int, "used": int, "left_out": int, "held_out?": int, "zero_weight": int, "null": {"*": int}},
        "verdict": {"passed": bool, "reason": str},
        "gate?": {
            "passed": bool,
            "reason": str,
            "r2": float,
            "rmse": float,
            "min_r2": _NUMBER_OR_NONE,
            "rmse_limit": _NUMBER_OR_NONE,
            "previous_rmse": _NUMBER_OR_NONE,
            "previous_rmse_published": _NUMBER_OR_NONE,
        },
        "drift?": {"since": str, "largest": [str], "differences?": [str], "error?": (str, None)},
        "leakage?": [str],
        "forecasts?": [{"method": str, "tolerance": float, "without": (str, None), "iterations": (int, None)}],
    },
    "scores": {
        "settings": dict,
        "scored_with": str,
        "target?": str,
        "rows": {"read": int, "left_out?": int, "null?": {"*": int}},
        "metrics?": _ERROR,
        "training_metrics?": _ERROR,
        "notices?": [str],
    },
}
# the files that a run of each kind must have; a folder's name ends with '/'
FILES = {
    "training": tuple(
        f"{name}.parquet" for name in (catalog.PARAMETERS, catalog.LOSS_HISTORY, catalog.CONVERGENCE, catalog.METRICS)
    ),
    "scores": (f"{catalog.PREDICTIONS}/",),
}


def read_json(content: bytes) -> Any:
    """The JSON document in some bytes, which can be written and printed again.

    Raises:
        ValueError: The bytes are not JSON, are nested too deeply, or have text that is not Unicode.
    """
    try:
        document = json.loads(content)
    except RecursionError:
        raise ValueError(f"brackets more than {DEEPEST} deep") from None
    level = [document]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError(f"brackets more than {DEEPEST} deep")
    return document


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        value.encode()  # raises UnicodeEncodeError, a ValueError, for half of a surrogate pair
    elif isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def misfit(value: Any, shape: Shape, where: str = "it") -> str | None:
    """The first field that is missing or has another type, in words; None where all fields fit."""
    if isinstance(shape, tuple):
        found = [misfit(value, one, where) for one in shape]
        return None if None in found else found[0]
    faults: Iterable[str | None]
    if isinstance(shape, dict):
        faults = _misfits_in_object(value, shape, where) if isinstance(value, dict) else [_not(where, value, "object")]
    elif isinstance(shape, list):
        each = (misfit(v, shape[0], f"{where}[{i}]") for i, v in enumerate(value)) if isinstance(value, list) else None
        faults = each or [_not(where, value, "list")]
    else:
        faults = [None if _is(value, shape) else _not(where, value, shape.__name__ if shape else "null")]
    return next(filter(None, faults), None)


def _misfits_in_object(value: dict[str, Any], shape: dict[str, Shape], where: str) -> Iterator[str | None]:
    for name, inner in shape.items():
        key = name.removesuffix("?")
        if key in value or key == "*":
            every = value.items() if key == "*" else [(key, value[key])]
            yield from (misfit(v, inner, f"{k[:LONGEST_NAME]!r}") for k, v in every)
        elif key == name:
            yield f"{where} has no {key!r}"


def _is(value: Any, shape: type | None) -> bool:
    if shape is None:
        return value is None
    if shape is float and type(value) is int:
        return value.bit_length() < MOST_BITS
    return type(value) is shape  # not isinstance, for which True is an int


def _not(where: str, value: Any, wanted: str) -> str:
    return f"{where} is {'null' if value is None else type(value).__name__}, not {wanted}"


def unlisted(manifest: dict[str, Any]) -> list[str]:
    """The files that a run of this kind must have and the manifest does not list."""
    listed = [entry["path"] for entry in manifest["files"]]
    return [
        name
        for name in FILES.get(manifest["kind"], ())
        if not any(path.startswith(name) if name.endswith("/") else path == name for path in listed)
    ]
