"""What one more category costs in sums over rows, beside those of 20 features and a target: `make bench`."""

import os
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from gdpipe.numerics.sums.level_accumulator import LevelAccumulators
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents

pytestmark = pytest.mark.benchmark
BATCH_ROWS = 32_768  # what a read decodes at once
ROWS = int(os.environ.get("GDPIPE_BENCH_ROWS", "1000000"))
LEVELS = (16, 1_000, 4_000)


def nanoseconds(levels: int, *, weighted: bool) -> float:
    """Of CPU a row, on one thread; 0 levels is without a category."""
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(21, BATCH_ROWS))
    weights = rng.uniform(1, 2, BATCH_ROWS) if weighted else None
    grid, weight_exponent = grid_exponents(np.abs(columns).max(axis=1)), -52 if weighted else None
    labels, codes = tuple(map(str, range(levels))), rng.integers(0, max(levels, 1), BATCH_ROWS)
    accumulator = MomentsAccumulator(grid, weight_exponent)
    by_level = LevelAccumulators({(0,): 1}, grid, weight_exponent)
    batches = max(ROWS // BATCH_ROWS, 1)
    with threadpool_limits(1, user_api="blas"):
        began = time.process_time()
        for _ in range(batches):
            accumulator.add(columns, weights, levels=by_level.rows([(labels, codes)]) if levels else None)
        accumulator.moments()
        if levels:
            by_level.sums()
        return (time.process_time() - began) / (batches * BATCH_ROWS) * 1e9


@pytest.mark.parametrize("weighted", [False, True])
def test_one_more_category(weighted: bool) -> None:
    alone = nanoseconds(0, weighted=weighted)
    print(f"\n{ROWS:,} rows, 21 columns{', weighted' if weighted else ''}: {alone:,.0f} ns of CPU a row")
    print("| levels of one more category | ns of CPU a row more |\n| ---: | ---: |")
    for levels in LEVELS:
        print(f"| {levels:,} | {nanoseconds(levels, weighted=weighted) - alone:,.0f} |")
