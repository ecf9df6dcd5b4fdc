"""From arrays to the records that the numerics work on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gdpipe.config import TrainingConfig
from gdpipe.design import Coded, Design, Feature, Values, combined
from gdpipe.fit import Fit, conclude, fit, planned
from gdpipe.numerics.descent.descent import Solution, minimize
from gdpipe.numerics.descent.penalized_plan import plan_penalized
from gdpipe.numerics.descent.plan import GradientDescent
from gdpipe.numerics.inference.penalized_certificate import PenalizedCertificate, certify_penalized
from gdpipe.numerics.problem.covariance import CrossProducts, Scaling
from gdpipe.numerics.problem.dependencies import Dependencies
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.penalized_baseline import PenalizedBaseline, solve_penalized
from gdpipe.numerics.problem.penalty import Penalty
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.float_moments import Float64Accumulator, Float64Moments
from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator, grid_exponents

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A loss, and what it was made of."""

    cross: CrossProducts
    loss: LeastSquares

    @property
    def scaling(self) -> Scaling:
        return self.loss.scaling


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
    return Problem(cross, LeastSquares.of(cross))


def regression(built: Problem, *, drop: bool = False) -> Regression:
    """The same as the stages pose it: without what cannot be fitted."""
    p = len(built.scaling.scales)
    return Regression.of(built.cross, np.full(p, np.finfo(np.float64).eps), drop=drop)


def fitted(built: Problem, **settings: Any) -> Fit:
    """The whole fit, as the stages make it."""
    posed = regression(built)
    names = [f"x{j}" for j in range(len(built.scaling.scales))]
    config = TrainingConfig(source="X", target="y", fit_intercept=built.cross.centred, **settings)
    with threadpool_limits(1, user_api="blas"):  # as in a run
        solution = minimize(posed.problem, planned(posed, config))
        return conclude(Design.of_numbers(names), posed, solution)


def dependencies(built: Problem) -> Dependencies:
    """Among the features of a problem."""
    return regression(built).dependencies


def random_data(seed: int, n: int = 400, p: int = 4) -> tuple[Floats, Floats]:
    """Correlated features of mixed scales, and a noisy target."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) * 10.0 ** rng.integers(-3, 4, p) + rng.normal(0, 100, p)
    y = X @ rng.normal(size=p) / X.std(axis=0).max() + rng.normal(size=n)
    return X, y


def coded(texts: Any) -> Coded:
    """A category of these texts, shape (n,)."""
    labels, codes = np.unique(np.asarray(texts, str), return_inverse=True)
    return Coded(tuple(labels.tolist()), codes)


def with_levels(design: Design, columns: list[Values]) -> Design:
    """The design with the levels that are in these columns, one for each of `design.inputs`."""
    categories = design.category_values(columns)
    keys = [tuple(range(len(categories)))[c : c + 1] for c in range(len(categories))]
    keys += [tuple(sorted(design.categories.index(c.input) for c in f.categories)) for f in design.features]
    found = {}
    for key in filter(None, keys):
        labels, codes = combined([categories[c] for c in key])
        found[key] = {labels[code] for code in codes.tolist()}
    return design.with_levels(found)


def one_hot(design: Design, columns: list[Values]) -> Floats:
    """The columns of the terms, shape (p, n)."""
    numbers, categories = design.number_values(columns), design.category_values(columns)
    found = []
    for block in design.blocks:
        labels, codes = combined([categories[c] for c in block.key]) if block.key else ([()], np.zeros(1, np.intp))
        for wanted in block.labels:
            here = np.array([each == wanted for each in labels], float)[codes]
            found.append(here * (1.0 if block.number is None else numbers[block.number]))
    return np.array(found)


def fitted_by_level(features: list[Feature], columns: list[Values], y: Floats, **settings: Any) -> Fit:
    """The fit of features, categories among them, from sums over one-hot columns."""
    config = TrainingConfig(source="X", target="y", **settings)
    plain = Design(tuple(features), {}, config.fit_intercept)
    design = with_levels(plain, columns)
    with threadpool_limits(1, user_api="blas"):
        return fit(moments(np.vstack([one_hot(design, columns), y])), design, config)


@dataclass(frozen=True, eq=False)
class PenalizedFit:
    """A fit with a penalty, and its proof."""

    solution: Solution
    baseline: PenalizedBaseline
    certificate: PenalizedCertificate


def penalized(loss: LeastSquares, penalty: Penalty, **settings: Any) -> PenalizedFit:
    """The whole fit with a penalty, from the loss of the terms that vary."""
    with threadpool_limits(1, user_api="blas"):  # as in a run
        plan = plan_penalized(GradientDescent(**settings), loss, penalty)
        solution = minimize(loss.ridge(penalty.l2), plan, l1=penalty.l1)
        baseline = solve_penalized(loss, penalty, solution.coef_scaled)
        names = [f"x{j}" for j in range(loss.n_features)]
        return PenalizedFit(solution, baseline, certify_penalized(loss, penalty, solution, baseline, names))


def orthogonal(target: list[int]) -> LeastSquares:
    """The loss of orthogonal terms of variance 1, over eight rows: b = target / its length, A = I."""
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, 8).T
    a, b, c = signs.T
    X = np.column_stack([a, b, c, a * b, a * c, b * c, a * b * c])[:, : len(target)]
    return problem(X, X @ np.array(target, float)).loss


def with_block(sums: Moments, block: range) -> BlockMoments:
    """The same sums, with these columns as a block of which no row has two."""
    places = np.array(block)
    others = np.array([j for j in range(len(sums.sums)) if j not in block])
    products = sums.products[np.ix_(places, places)]
    assert not (products - np.diag(products.diagonal())).any()
    return BlockMoments(
        sums.n_samples,
        sums.weight,
        sums.sums,
        places,
        products.diagonal(),
        sums.products[np.ix_(places, others)],
        sums.products[np.ix_(others, others)],
        sums.exponents,
        sums.weight_exponent,
    )
