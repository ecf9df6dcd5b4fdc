"""Bounds on the numbers of a design before the first scan, from those on the columns that they are made of."""

import functools
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gdpipe.design import Number
from gdpipe.numerics.problem.covariance import LARGEST_VALUE
from gdpipe.stages.columns import Columns

# the parts of dates up to the year 9999
OF_PARTS = {"year": 9999.0, "month": 12.0, "day": 31.0, "weekday": 6.0, "hour": 23.0, "days": 2_932_897.0}
# log of the least float64 above 0 is -744.44
OF_LOG = 745.0


def bounds_of(columns: Columns, measured: Mapping[str, float]) -> NDArray[np.float64]:
    """A bound on the magnitude of each number that is summed (`Columns.summed`), at most the largest that is computed.

    Args:
        columns: The columns by their role.
        measured: A bound on the magnitude of each column that is read as the number that it is.
    """
    products = [
        functools.reduce(lambda a, b: min(a * b, LARGEST_VALUE), (_bound(factor, measured) for factor in factors))
        for factors in columns.design.numbers
    ]
    others = [measured[name] for name in (columns.target, columns.weight) if name]
    return np.minimum([*products, *others], LARGEST_VALUE)


def _bound(factor: Number, measured: Mapping[str, float]) -> float:
    of = factor.input
    bound = OF_PARTS[of.part] if of.part else min(measured[of.column], LARGEST_VALUE)
    for function in factor.functions:
        match function:
            case "log":
                bound = OF_LOG
            case "sqrt":
                bound = math.sqrt(bound)
            case int():
                # a float64 power of a large number is an error, not infinite
                bound = min(bound, LARGEST_VALUE ** (1 / function)) ** function
    return bound
