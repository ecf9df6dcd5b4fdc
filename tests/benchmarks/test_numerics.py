"""What exactness costs, as ratios measured side by side in one run: `make bench`."""

import dataclasses
import functools
import operator
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from gdpipe.config import PenaltySetting, TrainingConfig
from gdpipe.design import Design
from gdpipe.fit import fit, standardize
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.descent import minimize
from gdpipe.numerics.descent.plan import GradientDescent, operations
from gdpipe.numerics.inference.certificate import certify
from gdpipe.numerics.problem import baseline as ols
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.problem.dependencies import Dependencies
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.sums.float_moments import BLOCK_ROWS, Float64Accumulator
from gdpipe.numerics.sums.folds import fold_of_rows
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents
from gdpipe.penalty_path import penalty_path
from tests.numerics.build import problem

pytestmark = pytest.mark.benchmark
RUNS = 7
DRAWN_ROWS = 65_536  # at once


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(*works: Callable[[], object], runs: int = RUNS) -> list[float]:
    """Each work's median time; the works in turn, so that a slow moment slows them all."""
    with threadpool_limits(1, user_api="blas"):
        times = [[seconds(work) for work in works] for _ in range(runs + 1)][1:]
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


def test_folds_beside_one_cell() -> None:
    rows = 32_768  # what a read decodes at once
    columns = list(np.random.default_rng(0).normal(size=(21, rows)))
    grid = grid_exponents(np.array([np.abs(column).max() for column in columns]))
    one, by_fold, codes = MomentsAccumulator(grid), MomentsAccumulator(grid), fold_of_rows(columns, 5)
    hashed, plain, sorted_ = medians(
        lambda: fold_of_rows(columns, 5), lambda: one.add(columns), lambda: by_fold.add(columns, cells=codes), runs=30
    )
    each = [seconds / rows * 1e9 for seconds in (hashed, plain, sorted_)]
    print("\n32,768 x 21, ns a row: the fold {:.0f}, exact sums {:.0f}, those of five folds {:.0f}".format(*each))


@pytest.mark.parametrize("penalty", ["ridge", "lasso"])
def test_the_path_and_the_proof(penalty: PenaltySetting) -> None:
    p, folds, rng = 100, 5, np.random.default_rng(0)
    X = rng.normal(size=(2_000, p)) + 0.5 * rng.normal(size=(2_000, 1))
    y = X[:, :20] @ rng.normal(size=20) + rng.normal(0.0, 5.0, 2_000)
    rows = np.vstack([X.T, y])
    accumulator = MomentsAccumulator(grid_exponents(np.abs(rows).max(axis=1)))
    accumulator.add(rows, cells=fold_of_rows(list(rows), folds))
    by_fold = [accumulator.moments(fold) for fold in range(folds)]
    sums = functools.reduce(operator.add, by_fold)
    design = Design.of_numbers([f"x{j}" for j in range(p)])
    settings = TrainingConfig(source="X", target="y", penalty=penalty)
    regression = standardize(sums, design, settings)
    found = penalty_path(regression, by_fold, design, settings)
    assert found.penalty is not None
    chosen = dataclasses.replace(settings, alpha=found.penalty.alpha)
    assert fit(sums, design, chosen).certificate.passed
    along, proven = medians(
        lambda: penalty_path(regression, by_fold, design, settings), lambda: fit(sums, design, chosen), runs=3
    )
    print(f"\n{penalty}, p = {p}: 100 alphas x {folds} folds {along:.2f} s, proven fit {proven:.2f} s")


@pytest.mark.parametrize("p", [20, 100, 300])
def test_the_rational_baseline(p: int) -> None:
    X = np.random.default_rng(0).normal(size=(1_000, p))
    built = problem(X, X.sum(axis=1) + np.random.default_rng(1).normal(size=1_000))
    (ours,) = medians(lambda: ols.solve(built.loss, ()))
    print(f"\nexact solve, p = {p}: {ours * 1e3:.1f} ms")


@pytest.mark.parametrize("method", ["gd", "accelerated"])
@pytest.mark.parametrize(("p", "steps"), [(20, 100_000), (100, 50_000), (250, 10_000), (1_000, 1_000)])
def test_steps(p: int, steps: int, method: Literal["gd", "accelerated"]) -> None:
    X = np.random.default_rng(0).normal(size=(2 * p, p))
    loss = problem(X, X.sum(axis=1) + np.random.default_rng(1).normal(size=2 * p), exact=False).loss
    plan = GradientDescent(method, learning_rate=1e-9, max_iterations=steps).plan(loss)
    (ours,) = medians(lambda: minimize(loss, plan))
    print(
        f"\n{steps:,} steps of {method}, p = {p}: {ours:.2f} s = {ours / steps * 1e6:.1f} us a step, "
        f"{operations(p, steps) / ours:.2g} operations a second"
    )


def test_a_step_costs_the_same_for_any_number_of_rows() -> None:
    p, rng = 20, np.random.default_rng(0)
    weights = rng.normal(size=p)
    grid = grid_exponents(np.full(p + 1, 8.0 * np.linalg.norm(np.append(weights, 1.0))))

    def summed(rows: int) -> LeastSquares:
        """Of so many rows, each of them drawn and added."""
        accumulator = MomentsAccumulator(grid)
        for start in range(0, rows, DRAWN_ROWS):
            x = rng.normal(size=(p, min(DRAWN_ROWS, rows - start)))
            accumulator.add(np.vstack([x, weights @ x + rng.normal(size=x.shape[1])]))
        cross = CrossProducts.of(accumulator.moments(), centred=True)
        return LeastSquares.of(cross)

    with threadpool_limits(1, user_api="blas"):
        few, many = summed(1_000_000), summed(20_000_000)
    # too small a rate to arrive: all steps are taken
    settings = GradientDescent(method="gd", learning_rate=1e-9)
    plans = settings.plan(few), settings.plan(many)
    assert minimize(few, plans[0]).iterations == minimize(many, plans[1]).iterations == settings.max_iterations
    ours, more = medians(lambda: minimize(few, plans[0]), lambda: minimize(many, plans[1]))
    print(
        f"\n{settings.max_iterations:,} steps, p = {p}: {ours:.2f} s after 1 M rows, {more:.2f} s after 20 M rows "
        f"= {more / ours:.2f} x"
    )


@pytest.mark.parametrize("p", [1_000, 2_000])
def test_wide_data_beside_the_one_product(p: int) -> None:
    rng = np.random.default_rng(0)
    rows = 10 * p
    columns = rng.normal(size=(p + 1, rows))
    columns[-1] += columns[:-1].sum(axis=0)
    blocks = [np.ascontiguousarray(columns[:, start : start + BLOCK_ROWS]) for start in range(0, rows, BLOCK_ROWS)]
    product = np.empty((p + 1, p + 1))
    accumulator = Float64Accumulator(p + 1)

    def gather() -> None:
        for block in blocks:
            accumulator.add(block)

    def learn() -> None:
        cross = CrossProducts.of(accumulator.moments(), centred=True)
        loss = LeastSquares.of(cross)
        Dependencies.of(cross, loss)
        agreement = Agreement.foreseen(loss, ())
        assert agreement is not None
        solution = minimize(loss, GradientDescent().plan(loss, agreement))
        baseline = ols.solve(loss, ())
        agreement = Agreement.of(loss, baseline.coef_scaled, agreement.std_error)
        certificate = certify(loss, solution, baseline.coef_scaled, agreement, [""] * (p + 1), 0.0, 0.0)
        assert certificate.passed, certificate.reason

    plain, sums, rest = medians(lambda: [np.dot(b, b.T, out=product) for b in blocks], gather, learn, runs=3)
    print(
        f"\nfloat64, {rows:,} x {p:,}, one thread: bare products {plain:.2f} s, sums {sums / plain:.2f} x that, "
        f"from sums to certificate {rest / plain:.2f} x"
    )
