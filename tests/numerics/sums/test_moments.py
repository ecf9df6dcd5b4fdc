"""Exact sums against Python's own integers and fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gdpipe.numerics.sums.digits import BLOCK_ROWS, ROWS_BEFORE_FOLD, GridOverflow
from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator, grid_exponents
from tests.numerics.build import Floats, moments

values = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False)
tables = hnp.arrays(np.float64, st.tuples(st.just(3), st.integers(1, 60)), elements=values)


def on_grid(value: float, exponent: int) -> int:
    return round(Fraction(value) / Fraction(2) ** exponent)


def by_hand(columns: Floats, exponents: list[int]) -> tuple[list[int], list[list[int]]]:
    integers = [[on_grid(v, e) for v in row] for row, e in zip(columns.tolist(), exponents, strict=True)]
    products = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in integers] for x in integers]
    return [sum(row) for row in integers], products


def test_sums_of_four_small_integers_by_hand() -> None:
    m = moments(np.array([[1.0, 2.0], [3.0, 5.0]]))
    unit = [Fraction(2) ** int(e) for e in m.exponents]
    assert m.n_samples == m.weight == 2
    assert [s * u for s, u in zip(m.sums, unit, strict=True)] == [3, 8]
    assert [[m.products[i, j] * unit[i] * unit[j] for j in range(2)] for i in range(2)] == [[5, 13], [13, 34]]


@given(tables)
def test_sums_equal_those_of_unbounded_integers(columns: Floats) -> None:
    m = moments(columns)
    sums, products = by_hand(columns, m.exponents.tolist())
    assert m.sums.tolist() == sums
    assert m.products.tolist() == products


@pytest.mark.parametrize("rows", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS])
def test_full_blocks_of_the_largest_digits_stay_exact(rows: int) -> None:
    # every digit at its limit is the worst case for the float64 product
    largest = np.nextafter(1024.0, 0)
    columns = np.full((2, rows), largest)
    columns[1, ::2] = -largest
    m = moments(columns)
    sums, products = by_hand(columns[:, :2], m.exponents.tolist())
    assert m.products[0, 0] == products[0][0] // 2 * rows
    assert m.sums[0] == sums[0] // 2 * rows


def test_the_integer_buffers_are_emptied_before_they_overflow() -> None:
    accumulator = MomentsAccumulator(grid_exponents(np.array([1.0])))
    accumulator.add(np.ones((1, 4)))
    total = accumulator._totals[0]
    total._gathered = ROWS_BEFORE_FOLD - 5  # as after many rows
    accumulator.add(np.ones((1, 5)))
    gathered = total._products.copy()
    accumulator.add(np.ones((1, 1)))
    assert (9 * total._products == gathered).all()  # of one row, where there were nine
    assert accumulator.moments() == moments(np.ones((1, 10)))


def test_as_many_rows_as_may_be_gathered_do_not_overflow() -> None:
    """2^21 rows of the largest digits, whose sums of one place are just below 2^63."""
    largest = 2.0**61 + 2.0**41 + 2.0**20 + 2.0**40  # digits 2^20, 2^20, 2^19
    accumulator = MomentsAccumulator(np.array([0]))
    accumulator.add(np.full((1, BLOCK_ROWS), largest))
    total = accumulator._totals[0]
    times = ROWS_BEFORE_FOLD // BLOCK_ROWS
    total._sums *= times
    total._products *= times
    total._gathered *= times
    accumulator.add(np.full((1, ROWS_BEFORE_FOLD - total._gathered), largest))
    value, rows = int(largest), ROWS_BEFORE_FOLD
    found = accumulator.moments()
    assert found.sums.tolist() == [value * rows]
    assert found.products.tolist() == [[value * value * rows]]


@pytest.mark.parametrize("weighted", [False, True])
def test_digits_that_come_into_use_late(weighted: bool) -> None:
    """Integers fill few digits, the fractions that follow all of them."""
    parts = [np.array([[512.0, -3.0], [0.0, 0.0]]), np.array([[0.25, 1 / 3], [0.0, 7.0]]), np.array([[1.0], [1e-9]])]
    accumulator = MomentsAccumulator(grid_exponents(np.array([512.0, 7.0])), -50 if weighted else None)
    for part in parts:
        accumulator.add(part, np.full(part.shape[1], 2.0) if weighted else None)
    found = accumulator.moments()
    sums, products = by_hand(np.hstack(parts), found.exponents.tolist())
    times = 2 * 2**50 if weighted else 1
    assert found.sums.tolist() == [times * s for s in sums]
    assert found.products.tolist() == [[times * p for p in row] for row in products]


@given(tables, st.data())
def test_any_split_and_order_gives_the_same_sums(columns: Floats, data: st.DataObject) -> None:
    n = columns.shape[1]
    cut = data.draw(st.integers(0, n))
    order = data.draw(st.permutations(range(n)))
    largest = np.abs(columns).max(axis=1)
    whole = moments(columns, largest=largest)
    shuffled = columns[:, order]
    parts = moments(shuffled[:, :cut], largest=largest), moments(shuffled[:, cut:], largest=largest)
    assert parts[0] + parts[1] == whole
    assert whole - parts[0] == parts[1]
    assert whole - whole == Moments.zero(whole.exponents)


@given(tables, st.data())
def test_whole_weights_are_repeated_rows_and_zero_is_absence(columns: Floats, data: st.DataObject) -> None:
    n = columns.shape[1]
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), float)
    if not weights.any():
        return
    largest = np.abs(columns).max(axis=1)
    weighted = moments(columns, weights, largest)
    repeated = moments(np.repeat(columns, weights.astype(int), axis=1), largest=largest)
    unit = Fraction(2) ** weighted.weight_exponent
    assert weighted.weight * unit == repeated.weight
    assert (weighted.sums * unit == repeated.sums).all()
    assert (weighted.products * unit == repeated.products).all()
    assert weighted.n_samples == np.count_nonzero(weights)


def test_fractional_weights_are_exact() -> None:
    columns, weights = np.array([[3.0, 1.0], [0.5, 7.25]]), np.array([0.1, 2.5])
    m = moments(columns, weights)
    units = [Fraction(2) ** int(e) for e in m.exponents]
    weight_unit = Fraction(2) ** m.weight_exponent
    w = [on_grid(v, m.weight_exponent) * weight_unit for v in weights.tolist()]
    assert m.weight * weight_unit == sum(w)
    expected = sum((a * Fraction(x) * Fraction(y) for a, x, y in zip(w, *columns.tolist(), strict=True)), Fraction(0))
    assert m.products[0, 1] * weight_unit * units[0] * units[1] == expected


def test_sums_on_different_grids_add_up() -> None:
    small, large = np.array([[0.5, 0.25]]), np.array([[4096.0, 3.0]])
    together = moments(small) + moments(large)
    assert together.exponents[0] == moments(small).exponents[0]
    assert together == moments(np.hstack([small, large]))


@given(st.floats(1e-300, 1e150))
def test_the_grid_is_as_fine_as_float64_at_the_maximum(largest: float) -> None:
    exponent = int(grid_exponents(np.array([largest]))[0])
    assert Fraction(2) ** exponent <= Fraction(float(np.spacing(largest)))
    assert abs(on_grid(largest, exponent)) <= 2**62


@given(st.integers(-90, 90))
def test_the_grid_moves_only_where_a_power_of_1024_is_crossed(power: int) -> None:
    start, end = 1024.0**power, 1024.0 ** (power + 1)
    inside = grid_exponents(np.array([np.nextafter(start, end), (start + end) / 2, end]))
    assert len(set(inside.tolist())) == 1
    assert grid_exponents(np.array([start]))[0] == inside[0] - 10


def test_a_value_beyond_the_announced_maximum_is_noticed() -> None:
    accumulator = MomentsAccumulator(grid_exponents(np.array([1.0, 1.0])))
    with pytest.raises(GridOverflow) as caught:
        accumulator.add(np.array([[0.5, 1.0], [0.5, 1025.0]]))
    assert caught.value.column == 1


def test_a_weight_beyond_the_announced_maximum_is_the_weights_fault() -> None:
    accumulator = MomentsAccumulator(grid_exponents(np.array([1.0, 1.0])), int(grid_exponents(np.array([1.0]))[0]))
    with pytest.raises(GridOverflow) as caught:
        accumulator.add(np.array([[0.5, 1.0], [0.5, 1.0]]), np.array([1.0, 1e9]))
    assert caught.value.column == 2


def test_columns_that_come_into_use_one_after_the_other() -> None:
    """As sorted groups do; what was gathered before stays where it belongs."""
    columns = np.kron(np.eye(7), np.array([1.0, 3.0, 1 / 3]))[[3, 0, 6, 1, 5, 2, 4]]
    accumulator = MomentsAccumulator(grid_exponents(np.full(7, 3.0)))
    for row in columns.T:
        accumulator.add(row[:, None])
    found = accumulator.moments()
    assert found.products.tolist() == by_hand(columns, found.exponents.tolist())[1]


def test_tiny_columns_are_summed_as_exactly_as_others() -> None:
    columns = np.array([[1e-300, -3e-300, 5e-324]])
    m = moments(columns)
    assert m.sums.tolist() == by_hand(columns, m.exponents.tolist())[0]


@settings(max_examples=20)
@given(tables)
def test_adding_block_by_block_is_adding_at_once(columns: Floats) -> None:
    accumulator = MomentsAccumulator(grid_exponents(np.abs(columns).max(axis=1)))
    for row in range(columns.shape[1]):
        accumulator.add(columns[:, row : row + 1])
    assert accumulator.moments() == moments(columns)
