"""Functions and powers of numbers, and products of them."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gdpipe.design.coded import Values
from gdpipe.design.features import Input, Number

_FUNCTIONS = {"log": np.log, "sqrt": np.sqrt, "abs": np.abs}
# functions in formulas of R and patsy, and what is written here
ELSEWHERE = {
    "I": "write a power without it, such as x**2",
    "Q": "a name with blanks or signs in it stands in backticks",
    "factor": "write C(x)",
    "relevel": 'write C(x, ref="a")',
}


def applied_name(function: str | int, name: str) -> str:
    """The name of a function, or of a power, of a number with this name."""
    if not isinstance(function, int):
        return f"{function}({name})"
    return f"({name})**{function}" if re.search(r"\*\*\d+$", name) else f"{name}**{function}"


def applied(function: str | int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A function of numbers, or their power if it is an exponent; NaN or infinite where it is not defined."""
    with np.errstate(all="ignore"):
        found: NDArray[np.float64] = (
            _power(values, function) if isinstance(function, int) else _FUNCTIONS[function](values)
        )
    return found


def _power(values: NDArray[np.float64], exponent: int) -> NDArray[np.float64]:
    """The power by multiplications, which are rounded alike on every machine and in SQL."""
    power = values
    for _ in range(exponent - 1):
        power = power * values
    return power


def product_of(factors: Sequence[Number], columns: Mapping[Input, Values]) -> NDArray[np.float64]:
    """The product of one or more numbers in some rows, shape (m,).

    Args:
        factors: The numbers.
        columns: The values of what they are made from, shape (m,) each.

    Returns:
        NaN or infinite where a function is not defined. Do not write to it: it may be a column itself.
    """
    product = None
    for factor in factors:
        values = columns[factor.input]
        assert isinstance(values, np.ndarray)
        with np.errstate(all="ignore"):
            for function in factor.functions:
                values = applied(function, values)
            product = values if product is None else product * values
    assert product is not None
    return product
