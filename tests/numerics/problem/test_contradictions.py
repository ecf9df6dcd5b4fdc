"""Sums that no rows have are told from those that some have."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdpipe.numerics.problem.contradictions import contradictions
from gdpipe.numerics.sums.moments import Moments
from tests.numerics.build import Floats, moments


def found(sums: Moments, largest: Floats, least: float = np.inf) -> list[str]:
    return list(contradictions(sums, largest, least))


@given(st.integers(0, 10_000), st.integers(1, 40), st.booleans())
def test_sums_of_rows_contradict_nothing(seed: int, n: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(4, n)) * 10.0 ** rng.integers(-200, 140, (4, 1))
    columns[1] = columns[0, 0]  # a constant
    columns[2] = -2 * columns[0]  # a multiple
    columns[3] *= rng.integers(0, 2)  # perhaps nothing but zeros
    largest = np.abs(columns).max(axis=1)
    if not weighted:
        assert found(moments(columns), largest) == []
        return
    weights = 10.0 ** rng.uniform(-4, 5, n)
    assert found(moments(columns, weights), np.append(largest, weights.max()), weights.min()) == []


def test_sums_of_no_row_are_zero() -> None:
    nothing = Moments.zero(np.array([-62, -62]))
    assert found(nothing, np.zeros(2)) == []
    assert found(nothing, np.array([0.0, 1.0])) == ["sums of no row"]
    assert found(dataclasses.replace(nothing, weight=1), np.zeros(2)) == ["sums of no row"]


COLUMNS = np.array([[3.0, -1.0, 2.0, 0.5], [10.0, 11.0, 10.0, 12.0], [1.0, 2.0, 3.0, 4.0]])
WEIGHTS = np.array([1.0, 0.5, 2.0, 1.0])
LARGEST = np.append(np.abs(COLUMNS).max(axis=1), 2.0)


def changed(sums: Moments, at: tuple[int, ...], factor: float) -> Moments:
    array = (sums.sums if len(at) == 1 else sums.products).copy()
    array[at] = int(array[at] * factor)
    if len(at) == 2:
        array[at[::-1]] = array[at]
    return dataclasses.replace(sums, sums=array) if len(at) == 1 else dataclasses.replace(sums, products=array)


@pytest.mark.parametrize(
    ("at", "factor", "complaint"),
    [
        ((0,), 9, "sums of column 1 are out of range"),
        ((1,), 1.05, "variance of column 2 is negative"),
        ((1, 1), 0.99, "variance of column 2 is negative"),
        ((1, 1), 2, "sums of column 2 are out of range"),
        ((2, 2), -1, "sums of column 3 are out of range"),
        ((0, 2), 9, "covariance of columns 1 and 3"),
        ((0, 0), 0.5, "sums of column 1 are out of range"),  # less than the largest value's own square
    ],
)
def test_changed_sums_are_found(at: tuple[int, ...], factor: float, complaint: str) -> None:
    assert any(complaint in line for line in found(changed(moments(COLUMNS), at, factor), LARGEST[:3]))
    weighted = moments(COLUMNS, WEIGHTS)
    assert found(weighted, LARGEST, 0.5) == []
    assert found(changed(weighted, at, factor), LARGEST, 0.5)


@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("size", [-1.0, 1e9, np.nan])
def test_largest_magnitudes_are_on_the_grid_and_attained(column: int, size: float) -> None:
    largest = LARGEST.copy()
    largest[column] = size
    with np.errstate(invalid="ignore"):
        assert next(contradictions(moments(COLUMNS, WEIGHTS), largest, 0.5))


def test_counts_and_weights_belong_together() -> None:
    weighted = moments(COLUMNS, WEIGHTS)
    for n in (-4, 1, 10):
        assert found(dataclasses.replace(weighted, n_samples=n), LARGEST, 0.5)
    for weight in (-1, 0, weighted.weight // 10, weighted.weight * 10):
        assert found(dataclasses.replace(weighted, weight=weight), LARGEST, 0.5)
    for least in (0.0, -1.0, 1.5, 3.0):
        assert next(contradictions(weighted, LARGEST, least))
