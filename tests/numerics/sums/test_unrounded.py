"""Sums without rounding: equal to rational arithmetic, and the same however rows are batched."""

import functools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gdpipe.numerics.sums import unrounded
from gdpipe.numerics.sums.moments import Moments
from gdpipe.numerics.sums.unrounded import unrounded_moments

# every finite float64, the subnormal ones among them
ANY = st.floats(allow_nan=False, allow_infinity=False)
WEIGHTS = st.one_of(st.just(0.0), st.floats(0.0, allow_infinity=False))


@st.composite
def tables(draw: st.DrawFn) -> NDArray[np.float64]:
    """A line of weights, then one to three columns, of one to twelve rows."""
    rows, columns = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    cells = st.lists(st.one_of(ANY, st.integers(-9, 9).map(float)), min_size=columns, max_size=columns)
    lines = draw(st.lists(st.tuples(WEIGHTS, cells), min_size=rows, max_size=rows))
    return np.array([[weight, *row] for weight, row in lines]).T


def same(a: Moments, b: Moments) -> bool:
    """Equal to the last bit of how they are written, not only as numbers."""
    written = [(m.n_samples, m.weight, m.weight_exponent, m.exponents.tolist()) for m in (a, b)]
    return written[0] == written[1] and bool((a.sums == b.sums).all() and (a.products == b.products).all())


def numbers(moments: Moments) -> dict[Any, Fraction]:
    unit = Fraction(2) ** moments.weight_exponent
    steps = [Fraction(2) ** e for e in moments.exponents.tolist()]
    found: dict[Any, Fraction] = {"weight": moments.weight * unit}
    for i, s in enumerate(steps):
        found[i] = int(moments.sums[i]) * s * unit
        found |= {(i, j): int(moments.products[i, j]) * s * t * unit for j, t in enumerate(steps)}
    return found


@given(tables(), st.booleans())
def test_sums_are_those_of_rational_arithmetic(table: NDArray[np.float64], weighted: bool) -> None:
    weights, rows = table[0], table[1:]
    moments = unrounded_moments(rows, weights if weighted else None)
    assert moments.n_samples == ((weights > 0).sum() if weighted else rows.shape[1])
    w = [Fraction(v) for v in (weights if weighted else np.ones(rows.shape[1])).tolist()]
    x = [[Fraction(v) for v in row] for row in rows.tolist()]
    wanted: dict[Any, Fraction] = {"weight": sum(w, Fraction(0))}
    for i, a in enumerate(x):
        wanted[i] = sum((u * v for u, v in zip(w, a, strict=True)), Fraction(0))
        wanted |= {
            (i, j): sum((u * v * z for u, v, z in zip(w, a, b, strict=True)), Fraction(0)) for j, b in enumerate(x)
        }
    assert numbers(moments) == wanted


@given(tables(), st.booleans(), st.randoms(use_true_random=False))
def test_any_batches_in_any_order_are_the_whole(table: NDArray[np.float64], weighted: bool, random: Any) -> None:
    rows = table.shape[1]
    order = random.sample(range(rows), rows)
    cuts = sorted(random.sample(range(1, rows), random.randint(0, rows - 1)))
    batches = [table[:, part] for part in np.split(np.array(order), cuts)]
    parts = [unrounded_moments(b[1:], b[0] if weighted else None) for b in batches]
    whole = unrounded_moments(table[1:], table[0] if weighted else None)
    assert same(functools.reduce(Moments.__add__, parts), whole)


def test_zeros_bring_no_grid_of_their_own() -> None:
    rows = np.array([[0.0, 2.0**600, 0.0], [2.0**300, 0.0, 0.0]])
    weights = np.array([2.0**100, 2.0**200, 0.0])
    parts = [unrounded_moments(rows[:, [j]], weights[[j]]) for j in range(3)]
    assert same(functools.reduce(Moments.__add__, parts), unrounded_moments(rows, weights))
    assert (unrounded_moments(rows, weights).exponents > 0).all()


def test_weights_of_one_are_no_weights() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 50))
    assert same(unrounded_moments(rows, np.ones(50)), unrounded_moments(rows))


def test_rows_cut_at_once_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rows, weights = rng.normal(size=(2, 100)) * 10.0 ** rng.integers(-200, 200, (2, 100)), rng.uniform(size=100)
    whole = unrounded_moments(rows, weights)
    monkeypatch.setattr(unrounded, "ROWS_AT_ONCE", 7)
    assert same(unrounded_moments(rows, weights), whole)


def test_the_input_is_left_alone() -> None:
    rows, weights = np.random.default_rng(2).normal(size=(2, 9)), np.full(9, 0.1)
    before = rows.copy()
    rows.flags.writeable = weights.flags.writeable = False
    unrounded_moments(rows, weights)
    assert (rows == before).all()
