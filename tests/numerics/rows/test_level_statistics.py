"""Statistics of residuals by level: those of a one-hot matrix in rational arithmetic, for any cut of the rows."""

import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdpipe.numerics.problem.covariance import CrossProducts, Scaling
from gdpipe.numerics.rows import level_scores, level_terms
from gdpipe.numerics.rows.level_cells import LevelCells
from gdpipe.numerics.rows.level_terms import IncludedTerms, centres_and_bounds, included_terms, level_grids
from gdpipe.numerics.rows.residuals import ResidualAccumulator, ResidualGrids, ResidualStatistics, ResidualSums
from gdpipe.numerics.sums.digits import GridOverflow
from gdpipe.numerics.sums.levels import Key, Labels, TermBlock
from tests.numerics.build import Floats, moments

N = 240
RNG = np.random.default_rng(5)
# a year, whose offset is far larger than its spread, and a number of any size
NUMBERS: list[Floats] = [RNG.integers(2013, 2018, N).astype(np.float64), RNG.normal(300.0, 1e3, N)]
CODES = [RNG.integers(0, 3, N), np.minimum(RNG.integers(0, 6, N), 4)]
LEVELS: dict[Key, tuple[Labels, ...]] = {(0,): (("a",), ("b",), ("c",)), (1,): tuple((label,) for label in "pqrst")}
# not every pair of levels occurs
THERE = sorted({(a, b) for a, b in zip(*CODES, strict=True) if (a, b) != (2, 4)})
CODES[1][(CODES[0] == 2) & (CODES[1] == 4)] = 3
LEVELS[(0, 1)] = tuple(("abc"[a], "pqrst"[b]) for a, b in THERE)
BLOCKS = [
    TermBlock(0, (), ((),)),  # year
    TermBlock(None, (0,), LEVELS[(0,)][1:]),  # c
    TermBlock(None, (1,), LEVELS[(1,)][1:]),  # d
    TermBlock(0, (0,), LEVELS[(0,)][1:]),  # year:c
    TermBlock(1, (1,), LEVELS[(1,)]),  # x:d, x being no term of its own
    TermBlock(None, (0, 1), tuple(pair for pair in LEVELS[(0, 1)] if pair[0] != "a" and pair[1] != "p")),  # c:d
]
RESIDUAL = RNG.normal(0.0, 0.3, N)
WEIGHTS = RNG.integers(1, 5, N) / 2


def one_hot() -> Floats:
    """The terms as columns, shape (p, N)."""
    found = []
    for block in BLOCKS:
        number = np.ones(N) if block.number is None else NUMBERS[block.number]
        labels = [LEVELS[(c,)] for c in block.key]
        for wanted in block.labels:
            at = [of.index((label,)) for of, label in zip(labels, wanted, strict=True)]
            here = [CODES[c] == code for c, code in zip(block.key, at, strict=True)]
            found.append(number * np.logical_and.reduce([np.ones(N, bool), *here]))
    return np.array(found)


def posed(weights: Floats | None, left_out: Sequence[int] = ()) -> tuple[ResidualGrids, tuple[IncludedTerms, ...]]:
    """The grids and the terms, all but some."""
    cross = CrossProducts.of(moments(np.vstack([one_hot(), RESIDUAL]), weights), centred=True)
    whole = Scaling.of(cross)
    included = [j for j in range(len(whole.scales)) if j not in left_out]
    scaling = Scaling.of(cross.select([*included, len(whole.scales)]))
    terms = included_terms(BLOCKS, LEVELS, included, scaling)
    largest = np.array([np.abs(number).max() for number in NUMBERS])
    centres, bounds = centres_and_bounds(BLOCKS, whole, [], largest, np.sqrt(N * 4))
    of_numbers = np.concatenate([of.places for of in terms if not of.key] or [np.empty(0, np.intp)])
    largest_z = np.array([np.abs(one_hot()[included[j]] / scaling.scales[j]).max() for j in of_numbers])
    weight_exponent = None if weights is None else -52
    grids = ResidualGrids.of(2 * largest_z, 2.0, weight_exponent, 1.0)
    by_level = level_grids(terms, LEVELS, centres, bounds, 2.0 / grids.unit, 1.0 if weights is None else weights.max())
    return dataclasses.replace(grids, levels=by_level), terms


def gather(
    weights: Floats | None, cuts: Sequence[int] = (), left_out: Sequence[int] = (), order: Sequence[int] = range(N)
) -> tuple[ResidualStatistics, ResidualSums]:
    grids, terms = posed(weights, left_out)
    alone = [of for of in terms if not of.key]
    means, scales = (np.array([getattr(of, name)[0] for of in alone]) for name in ("means", "scales"))
    included = [of.number for of in alone if of.number is not None]
    total = ResidualAccumulator(grids, means, 1 / scales, included).sums()
    for start, stop in itertools.pairwise([0, *cuts, N]):
        accumulator = ResidualAccumulator(grids, means, 1 / scales, included)
        rows = np.array(order[start:stop], np.intp)
        numbers = [number[rows] for number in NUMBERS]
        accumulator.add(
            numbers, RESIDUAL[rows], None if weights is None else weights[rows], [codes[rows] for codes in CODES]
        )
        total = total + accumulator.sums()
    return ResidualStatistics.of(total, grids, terms), total


def expected(weights: Floats | None, left_out: Sequence[int] = ()) -> tuple[Floats, Floats, Floats]:
    """Gradient, meat and square_by_feature in rational arithmetic."""
    X = np.array([[Fraction(v) for v in line] for line in np.delete(one_hot(), list(left_out), axis=0)])
    w = np.array([Fraction(v) for v in (np.ones(N) if weights is None else weights)])
    e = np.array([Fraction(v) for v in RESIDUAL])
    means = X @ w / w.sum()
    centred = X - means[:, None]
    scales = np.array([Fraction(np.sqrt(float(v))) for v in centred**2 @ w / w.sum()])
    Z = centred / scales[:, None]
    square = w * e**2 / w.sum()
    return (Z @ (w * e) / w.sum()).astype(float), (Z * square @ Z.T).astype(float), (Z @ square).astype(float)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("left_out", [(), (0,), (1, 4, 9)], ids=["all", "no number alone", "some levels"])
def test_statistics_are_those_of_a_one_hot_matrix(weights: Floats | None, left_out: tuple[int, ...]) -> None:
    found, _ = gather(weights, left_out=left_out)
    gradient, meat, by_feature = expected(weights, left_out)
    np.testing.assert_allclose(found.gradient * found.unit, gradient, rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(found.square_by_feature * found.unit**2, by_feature, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.meat.whole() * found.unit**2, meat, rtol=1e-8, atol=1e-10)
    assert (found.meat.whole() == found.meat.whole().T).all()


@settings(max_examples=15)
@given(st.lists(st.integers(0, N), max_size=3).map(sorted), st.permutations(range(N)), st.booleans())
def test_any_cut_and_any_order_give_the_same_bits(cuts: list[int], order: list[int], weighted: bool) -> None:
    weights = WEIGHTS if weighted else None
    (whole, _), (pieces, _) = gather(weights), gather(weights, cuts, order=order)
    assert (whole.gradient == pieces.gradient).all()
    assert (whole.meat.whole() == pieces.meat.whole()).all()
    assert (whole.square_by_feature == pieces.square_by_feature).all()


def test_numbers_may_come_in_any_order() -> None:
    levels = posed(None)[0].levels
    assert levels is not None
    centred = np.array(NUMBERS) - levels.centres[:, None]
    found = []
    for order in ([0, 1], [1, 0]):
        accumulator = level_scores.LevelScoresAccumulator(levels, order)
        accumulator.add(centred[order], CODES, RESIDUAL, None)
        found.append(accumulator.totals())
    for key, totals in found[0].items():
        assert totals.high.any()
        assert (totals.high == found[1][key].high).all()
        assert (totals.low == found[1][key].low).all()


def test_carries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole = gather(None)
    monkeypatch.setattr(level_scores, "ROWS_BEFORE_CARRY", N // 3)
    _, carried = gather(None, [N // 4, N // 2])
    for key, totals in whole.levels.items():
        assert (totals.high == carried.levels[key].high).all()
        assert (totals.low == carried.levels[key].low).all()


def test_levels_that_combine_to_too_many_leave_the_robust_covariance_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    known, _ = gather(None)
    monkeypatch.setattr(level_terms, "MOST_SUMS", 100)
    found, sums = gather(None)
    assert np.isnan(found.meat.whole()).all()
    assert (found.gradient == known.gradient).all()
    assert (found.square_by_feature == known.square_by_feature).all()
    assert set(sums.levels) == {block.key for block in BLOCKS} - {()}


def test_a_number_beyond_its_bound_is_an_error() -> None:
    grids, terms = posed(None)
    assert grids.levels is not None
    tight = dataclasses.replace(grids, levels=dataclasses.replace(grids.levels, bounds=np.array([1.0, 1e4])))
    alone = terms[0]
    with pytest.raises(GridOverflow):
        ResidualAccumulator(tight, alone.means, 1 / alone.scales, [0]).add(NUMBERS, RESIDUAL, None, CODES)


def test_bounds_hold_and_are_near() -> None:
    whole = Scaling.of(CrossProducts.of(moments(np.vstack([one_hot(), RESIDUAL])), centred=True))
    largest = np.array([np.abs(number).max() for number in NUMBERS])
    centres, bounds = centres_and_bounds(BLOCKS, whole, [], largest, np.sqrt(N))
    for number, centre, bound in zip(NUMBERS, centres, bounds, strict=True):
        assert centre == pytest.approx(number.mean(), rel=1e-12)
        assert np.abs(number - centre).max() <= bound <= 20 * np.abs(number - centre).max()


def test_cells_are_those_that_were_found() -> None:
    cells = LevelCells.of((0, 1), LEVELS)
    assert cells.count == len(THERE) < 15
    first, second = (np.array(codes) for codes in zip(*THERE, strict=True))
    assert cells.index([first, second]).tolist() == list(range(len(THERE)))
    assert cells.index([np.array([2, -1, 0]), np.array([4, 0, -1])]).tolist() == [-1, -1, -1]
    assert [codes.tolist() for codes in cells.codes()] == [first.tolist(), second.tolist()]
    whole = LevelCells.of((0, 1), {key: LEVELS[key] for key in ((0,), (1,))})
    assert whole.count == 15
    assert whole.index([np.array([2, -1]), np.array([4, 0])]).tolist() == [14, -1]


@pytest.mark.parametrize("left_out", [(), (0,), (1, 4, 9)], ids=["all", "no number alone", "some levels"])
def test_products_with_the_robust_covariance_make_no_matrix(left_out: tuple[int, ...]) -> None:
    meat = gather(WEIGHTS, left_out=left_out)[0].meat
    whole = meat.whole()
    vectors = np.random.default_rng(0).normal(size=(len(whole), 3))
    np.testing.assert_allclose(meat.times(vectors), whole @ vectors, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(meat.diagonal(), whole.diagonal(), rtol=1e-12, atol=1e-15)
