"""From arrays to the records that the numerics work on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.problem.dependencies import Dependencies, split_constant
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.scaling import Scaling
from gdpipe.numerics.sums.float_moments import Float64Accumulator, Float64Moments
from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator, grid_exponents

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything up to the loss."""

    cross: CrossProducts
    scaling: Scaling
    loss: LeastSquares


def moments(columns: Floats, weights: Floats | None = None, largest: Floats | None = None) -> Moments:
    """Exact sums of columns, shape (k, n)."""
    columns = np.ascontiguousarray(columns, float)
    grid = grid_exponents(np.abs(columns).max(axis=1) if largest is None else largest)
    if weights is None:
        accumulator = MomentsAccumulator(grid)
        accumulator.add(columns)
    else:
        accumulator = MomentsAccumulator(grid, int(grid_exponents(np.array([weights.max()]))[0]))
        accumulator.add(np.ascontiguousarray(columns[:, weights > 0]), weights[weights > 0])
    return accumulator.moments()


def rounded_moments(columns: Floats, weights: Floats | None = None) -> Float64Moments:
    """Float64 sums of columns, shape (k, n)."""
    accumulator = Float64Accumulator(len(columns))
    accumulator.add(np.ascontiguousarray(columns), weights)
    return accumulator.moments()


def problem(X: Floats, y: Floats, *, centred: bool = True, exact: bool = True) -> Problem:
    """The problem of explaining y, shape (n,), by X, shape (n, p)."""
    columns = np.column_stack([X, y]).T
    cross = CrossProducts.of(moments(columns) if exact else rounded_moments(columns), centred=centred)
    scaling = Scaling.of(cross)
    return Problem(cross, scaling, LeastSquares.of(cross, scaling))


def dependencies(built: Problem) -> Dependencies:
    """Among the features of a problem."""
    _, varying = split_constant(built.cross)
    target = len(built.scaling.scales)
    among = LeastSquares.of(built.cross.select([*varying, target]), built.scaling.select(varying))
    return Dependencies.of(built.cross, built.scaling, among)


def random_data(seed: int, n: int = 400, p: int = 4) -> tuple[Floats, Floats]:
    """Correlated features of mixed scales, and a noisy target."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) * 10.0 ** rng.integers(-3, 4, p) + rng.normal(0, 100, p)
    y = X @ rng.normal(size=p) / X.std(axis=0).max() + rng.normal(size=n)
    return X, y
