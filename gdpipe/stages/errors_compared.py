"""The errors of a run: on the rows fitted, and on rows that the fit has not seen; and which two runs can compare."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# the most telling first
ErrorKind = Literal["holdout", "cv", "fit"]
KINDS: tuple[ErrorKind, ...] = ("holdout", "cv", "fit")
PREFIXES: dict[ErrorKind, str] = {"holdout": "holdout ", "cv": "cross-validated ", "fit": ""}


@dataclass(frozen=True, slots=True)
class Error:
    """The error of a fit on some rows.

    Attributes:
        r2: Share of the target's variance explained; NaN where it does not vary.
        rmse: Root mean squared error, in target units.
    """

    r2: float
    rmse: float


def errors_of(metrics: Mapping[str, Any]) -> dict[ErrorKind, Error]:
    """The errors in the row of `metrics`, the most telling first; that of an older run has `fit` alone.

    Raises:
        KeyError, TypeError, ValueError: The row is damaged.
    """
    found: dict[ErrorKind, Error] = {}
    for kind in KINDS:
        names = [name if kind == "fit" else f"{kind}_{name}" for name in ("r2", "rmse")]
        if kind != "fit" and any(metrics.get(name) is None for name in names):
            continue
        r2, rmse = (float(metrics[name]) for name in names)
        if kind == "fit" or not math.isnan(rmse):
            found[kind] = Error(r2, rmse)
    return found


def most_telling(errors: Mapping[ErrorKind, Error], others: Mapping[ErrorKind, Error] | None = None) -> ErrorKind:
    """The first kind of error that a run has, and the other one, too, if there is another: on unseen rows if possible.

    Cross-validated and holdout errors are of other rows than those fitted, so that they can be compared only with their
    own kind.
    """
    return next(kind for kind in errors if others is None or kind in others)
