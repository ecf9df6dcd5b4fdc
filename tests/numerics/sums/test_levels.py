"""Sums by level: those of a one-hot matrix in rational arithmetic, the same bits however rows come."""

import functools
import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gdpipe.numerics.sums import level_index, unrounded
from gdpipe.numerics.sums.digits import BLOCK_ROWS
from gdpipe.numerics.sums.level_accumulator import LevelAccumulators
from gdpipe.numerics.sums.levels import Key, Labels, LevelSums
from gdpipe.numerics.sums.moments import MomentsAccumulator, grid_exponents

ORDERS: dict[Key, int] = {(0,): 2, (1,): 1, (2,): 1, (0, 1): 0, (0, 2): 1, (1, 2): 0, (0, 1, 2): 0}


class Rows:
    """Two columns, and three categories with 3, 7 and 40 levels, some of them rare."""

    def __init__(self, n: int, *, weighted: bool, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.columns = np.array([rng.normal(0, 1e3, n), rng.integers(0, 50, n).astype(float)])
        self.weights = rng.exponential(size=n) + 0.1 if weighted else None
        self.texts = [
            np.array([f"{letter}{level}" for level in np.minimum(rng.geometric(rate, n), most) - 1])
            for letter, rate, most in (("a", 0.5, 3), ("b", 0.4, 7), ("c", 0.1, 40))
        ]
        self.grid = grid_exponents(np.array([1e4, 50.0]))
        self.weight_exponent = -58 if weighted else None

    def sums(self, rows: NDArray[np.intp], batch: int = 10_000) -> dict[Key, LevelSums]:
        levels = LevelAccumulators(ORDERS, self.grid, self.weight_exponent)
        accumulator = MomentsAccumulator(self.grid, self.weight_exponent)
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            categories = []
            for text in self.texts:
                labels, codes = np.unique(text[some], return_inverse=True)
                categories.append(((*labels.tolist(), "in no row"), codes))
            weights = None if self.weights is None else self.weights[some]
            accumulator.add(self.columns[:, some], weights, levels=levels.rows(categories))
        return levels.sums()

    def expected(self, key: Key) -> dict[Labels, list[Any]]:
        """n, weight, sums and products of each level, in units of the grid."""
        z = [
            [round(Fraction(v) / Fraction(2) ** e) for v in column]
            for column, e in zip(self.columns.tolist(), self.grid.tolist(), strict=True)
        ]
        w = [1] * len(z[0])
        if self.weights is not None:
            w = [round(Fraction(v) / Fraction(2) ** (self.weight_exponent or 0)) for v in self.weights.tolist()]
        found: dict[Labels, list[Any]] = {}
        for row, labels in enumerate(zip(*(self.texts[c].tolist() for c in key), strict=True)):
            values = np.array([column[row] for column in z], object)
            of_row = [1, w[row], w[row] * values, w[row] * np.outer(values, values)]
            before = found.get(labels)
            found[labels] = of_row if before is None else [a + b for a, b in zip(before, of_row, strict=True)]
        return found


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_those_of_rational_arithmetic(weighted: bool) -> None:
    rows = Rows(9_000, weighted=weighted)
    for key, sums in rows.sums(np.arange(9_000), 5_000).items():
        expected = rows.expected(key)
        assert sums.labels == tuple(sorted(expected))
        assert sums.order == ORDERS[key]
        for at, labels in enumerate(sums.labels):
            n, weight, of_columns, products = expected[labels]
            assert (sums.n_samples[at], sums.weight[at]) == (n, weight)
            if sums.order > 0:
                assert sums.sums[at].tolist() == of_columns.tolist()
            if sums.order > 1:
                assert sums.products[at].tolist() == products.tolist()


def _same(a: LevelSums, b: LevelSums) -> bool:
    fields = ("n_samples", "weight", "sums", "products", "exponents")
    return a.labels == b.labels and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in fields)


@pytest.mark.parametrize("weighted", [False, True])
def test_any_cut_and_order_give_the_same(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, rng = Rows(20_000, weighted=weighted), np.random.default_rng(1)
    whole = rows.sums(np.arange(20_000))
    parts = np.split(rng.permutation(20_000), np.sort(rng.integers(0, 20_000, 5)))
    of_parts = [rows.sums(part, 777) for part in parts]
    # tables too small for any pair
    monkeypatch.setattr(level_index, "LARGEST_TABLE", 0)
    searched = rows.sums(np.arange(20_000))
    for key, sums in whole.items():
        assert _same(sums, searched[key])
        assert _same(sums, functools.reduce(LevelSums.__add__, [part[key] for part in of_parts]))
        rest = sums
        for part in of_parts[1:]:
            rest = rest - part[key]
        # levels that only the parts had are gone
        assert _same(rest, of_parts[0][key])
        assert rest == of_parts[0][key] != sums
        assert _same(sums - sums, LevelSums.zero(ORDERS[key], rows.grid, rows.weight_exponent or 0))


def test_a_level_with_all_rows_of_a_block_is_exact() -> None:
    """Weight times value has the digits 2^20 and 2^20, the largest there are."""
    n, weight = BLOCK_ROWS, 2**21 + 1
    columns, grid = np.full((1, n), 2.0**20), np.array([0])
    columns[0, 0] -= 1  # odd sums are where rounding shows
    levels = LevelAccumulators({(0,): 1}, grid, 0)
    rows = levels.rows([(("only",), np.zeros(n, np.intp))])
    MomentsAccumulator(grid, 0).add(columns, np.full(n, float(weight)), levels=rows)
    assert levels.sums()[(0,)].sums.tolist() == [[weight * (n * 2**20 - 1)]]


def test_a_level_with_more_rows_than_float64_can_add_is_exact() -> None:
    """Low and mid digits of 2^41 are the largest that a value has, and odd sums are where rounding shows."""
    n, value = 4 * BLOCK_ROWS, 2**41
    columns, codes = np.full((2, n), float(value)), np.zeros(n, np.intp)
    columns[0, 0], columns[1] = value - 1, -columns[1]
    codes[::3] = 1  # which is full later
    levels = LevelAccumulators({(0,): 1}, np.array([0, 0]))
    accumulator = MomentsAccumulator(np.array([0, 0]))
    for start, stop in itertools.pairwise([0, 1000, 1000 + 2 * BLOCK_ROWS, n]):
        some = slice(start, stop)
        accumulator.add(columns[:, some], levels=levels.rows([(("often", "seldom"), codes[some])]))
    often, seldom = np.bincount(codes).tolist()
    found = levels.sums()[(0,)]
    assert found.n_samples.tolist() == [often, seldom]
    assert found.sums.tolist() == [[often * value, -often * value], [seldom * value - 1, -seldom * value]]


@pytest.mark.parametrize("weighted", [False, True])
def test_levels_of_a_cell_are_those_of_its_rows_alone(weighted: bool) -> None:
    n, rows = 12_000, Rows(12_000, weighted=weighted)
    cells = np.random.default_rng(2).integers(0, 3, n).astype(np.uint8)
    levels = LevelAccumulators(ORDERS, rows.grid, rows.weight_exponent, cells=4)
    categories = [np.unique(text, return_inverse=True) for text in rows.texts]
    of_rows = levels.rows([(tuple(labels.tolist()), codes) for labels, codes in categories])
    accumulator = MomentsAccumulator(rows.grid, rows.weight_exponent)
    accumulator.add(rows.columns, rows.weights, cells, of_rows)
    for cell in range(4):
        alone = rows.sums(np.flatnonzero(cells == cell))
        for key, sums in levels.sums(cell).items():
            assert _same(sums, alone[key])
    assert not levels.sums(3)[(0,)].labels


def test_levels_are_merged() -> None:
    rows = Rows(9_000, weighted=True)
    sums = rows.sums(np.arange(9_000))[(0, 2)]
    rows.texts[2] = np.where(rows.texts[2] > "c2", "(other)", rows.texts[2])
    merged = sums.merged(lambda labels: (labels[0], labels[1] if labels[1] <= "c2" else "(other)"))
    assert len(merged.labels) < len(sums.labels)
    assert _same(merged, rows.sums(np.arange(9_000))[(0, 2)])


def test_sums_on_other_grids_are_equal() -> None:
    rows = Rows(100, weighted=True)
    for sums in rows.sums(np.arange(100)).values():
        fine = sums.on_grid(sums.exponents - np.array([3, 5]), sums.weight_exponent - 2)
        assert fine == sums
        assert _same(fine + sums, sums.on_grid(fine.exponents, fine.weight_exponent) + fine)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_without_a_grid_are_the_same_numbers(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unrounded, "ROWS_AT_ONCE", 150)  # some levels are in the last batch alone
    rows = Rows(400, weighted=weighted)
    # what lies on the grid already is rounded by neither
    step = np.ldexp(1.0, rows.grid)[:, None]
    rows.columns = np.rint(rows.columns / step) * step
    if rows.weights is not None:
        rows.weights = np.ldexp(np.rint(np.ldexp(rows.weights, 58)), -58)
    coded = [np.unique(text, return_inverse=True) for text in rows.texts]
    found = unrounded.unrounded_sums(rows.columns, rows.weights, [(of.tolist(), at) for of, at in coded], ORDERS)
    for key, expected in rows.sums(np.arange(400)).items():
        assert found.levels[key] == expected
        assert found.levels[key].labels == expected.labels
    assert found.moments == unrounded.unrounded_moments(rows.columns, rows.weights)
