"""Drift: the shifts since the run published before."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.inference.drift import Fitted, measure
from gdpipe.stages.previous import PublishedFit


def drift_columns(previous: PublishedFit, now: PublishedFit) -> dict[str, Any]:
    """The columns of `drift`: one row a term of the new fit; NaN where the earlier one did not have it."""
    rows = [previous.terms.index(term) if term in previous.terms else None for term in now.terms]

    def aligned(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([np.nan if row is None else values[row] for row in rows])

    old = previous.fitted
    before = Fitted(old.n, aligned(old.mean), aligned(old.scale), aligned(old.estimate), aligned(old.std_error))
    return {
        "term": [term.name for term in now.terms],
        "role": [term.role for term in now.terms],
        "previous_mean": before.mean,
        "previous_scale": before.scale,
        "previous_estimate": before.estimate,
        **asdict(measure(before, now.fitted)),
    }
