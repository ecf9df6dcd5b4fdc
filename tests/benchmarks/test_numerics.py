"""What exactness costs, as ratios measured side by side in one run: `make bench`."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from gdpipe.numerics import ols
from gdpipe.numerics.descent import GradientDescent, minimize
from gdpipe.numerics.moments import MomentsAccumulator, grid_exponents
from tests.numerics.build import problem

pytestmark = pytest.mark.benchmark
RUNS = 7


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(*works: Callable[[], object]) -> list[float]:
    """Each work's median time; the works in turn, so that a slow moment slows them all."""
    with threadpool_limits(1, user_api="blas"):
        times = [[seconds(work) for work in works] for _ in range(RUNS + 1)][1:]
    return np.median(times, axis=0).tolist()  # type: ignore[no-any-return]  # NumPy's stubs give up on tolist


def test_exact_sums_beside_the_plain_product() -> None:
    columns = np.random.default_rng(0).normal(size=(22, 65_536))
    grid = grid_exponents(np.abs(columns).max(axis=1))

    def exact() -> None:
        accumulator = MomentsAccumulator(grid)
        accumulator.add(columns)
        accumulator.moments()

    ours, plain = medians(exact, lambda: columns @ columns.T)
    print(f"\nexact sums, 65,536 x 22, one thread: {ours * 1e3:.1f} ms = {ours / plain:.1f} x the float64 product")


@pytest.mark.parametrize("p", [20, 100, 300])
def test_the_rational_baseline(p: int) -> None:
    X = np.random.default_rng(0).normal(size=(1_000, p))
    built = problem(X, X.sum(axis=1) + np.random.default_rng(1).normal(size=1_000))
    (ours,) = medians(lambda: ols.solve(built.cross, built.scaling, built.loss, ()))
    print(f"\nexact solve, p = {p}: {ours * 1e3:.1f} ms")


def test_a_hundred_thousand_steps() -> None:
    X = np.random.default_rng(0).normal(size=(1_000, 20))
    loss = problem(X, X.sum(axis=1) + np.random.default_rng(1).normal(size=1_000)).loss
    plan = GradientDescent(method="gd", learning_rate=1e-9).plan(loss)
    (ours,) = medians(lambda: minimize(loss, plan))
    print(f"\n100,000 steps, p = 20: {ours:.2f} s = {ours * 10:.1f} us a step")
