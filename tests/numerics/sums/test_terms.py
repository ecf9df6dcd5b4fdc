"""Sums over terms: those of the one-hot matrix that a design stands for."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from gdpipe.design import Category, Coded, Design, Feature, Input, Number
from gdpipe.numerics.sums.level_accumulator import LevelAccumulators
from gdpipe.numerics.sums.moments import Moments, MomentsAccumulator, grid_exponents
from gdpipe.numerics.sums.terms import TermSums

X, Z = Number("x", Input("x")), Number("z", Input("z"))
A, B, C = (Category(name, Input(name, levels="text")) for name in "abc")
DESIGNS: dict[str, list[tuple[Number | Category, ...]]] = {
    "categories": [(X,), (A,), (B,), (Z,), (C,)],
    "products": [(X,), (A,), (X, A), (A, B), (Z, B), (C,), (X, Z)],
    "product alone": [(X, C), (A, B, C)],
}


class Made:
    """Rows, their sums by a design, and the matrix of its terms, shape (n, p + 1)."""

    def __init__(self, factors: list[tuple[Number | Category, ...]], *, weighted: bool, n: int = 600) -> None:
        rng = np.random.default_rng(len(factors))
        numbers = {"x": rng.normal(3, 1, n), "z": rng.integers(0, 9, n).astype(float)}
        self.categories = {
            name: Coded(tuple(f"{name}{i}" for i in range(levels)), rng.integers(0, levels, n))
            for name, levels in (("a", 3), ("b", 4), ("c", 6))
        }
        self.target = rng.normal(size=n)
        self.weights = rng.integers(1, 9, n) / 8 if weighted else None
        design = Design(tuple(Feature(each) for each in factors))
        values = [numbers[of.column] if of.column in numbers else self.categories[of.column] for of in design.inputs]
        columns = np.array([*design.number_values(values), self.target])
        grid = grid_exponents(np.abs(columns).max(axis=1))
        levels = LevelAccumulators(design.orders, grid, -3 if weighted else None)
        accumulator = MomentsAccumulator(grid, -3 if weighted else None)
        coded = [(each.labels, each.codes) for each in design.category_values(values)]
        accumulator.add(columns, self.weights, levels=levels.rows(coded))
        by_level = levels.sums()
        self.design = design.with_levels({key: sums.labels for key, sums in by_level.items()})
        self.sums = TermSums(accumulator.moments(), by_level, self.design.blocks)
        self.matrix = np.column_stack([*(self._term(name, numbers) for name in self.design.names), self.target])

    def _term(self, name: str, numbers: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """By the term's name alone, such as `x:a[a1]`."""
        product = np.ones(len(self.target))
        for factor in name.split(":"):
            category, _, level = factor.rstrip("]").partition("[")
            if level:
                coded = self.categories[category]
                product = product * (coded.codes == coded.labels.index(level))
            else:
                product = product * numbers[factor]
        return product


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("features", DESIGNS)
def test_sums_over_terms_are_those_of_the_one_hot_matrix(features: str, weighted: bool) -> None:
    made = Made(DESIGNS[features], weighted=weighted)
    moments = made.sums.exact()
    weights = [Fraction(1)] * 600 if made.weights is None else list(map(Fraction, made.weights.tolist()))
    on_grid = [
        [round(Fraction(v) / Fraction(2) ** e) for v in column]
        for column, e in zip(made.matrix.T.tolist(), moments.exponents.tolist(), strict=True)
    ]
    z, w = np.array(on_grid, object), np.array([int(v * 2**-moments.weight_exponent) for v in weights], object)
    assert moments.products.tolist() == ((z * w) @ z.T).tolist()
    assert moments.sums.tolist() == (z @ w).tolist()
    assert (moments.n_samples, moments.weight) == (600, w.sum())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("features", DESIGNS)
def test_sums_in_float64_are_the_exact_ones_rounded(features: str, weighted: bool) -> None:
    made = Made(DESIGNS[features], weighted=weighted)
    exact, rounded = made.sums.exact(), made.sums.rounded()
    scale = [Fraction(2) ** e for e in exact.exponents.tolist()]
    unit = Fraction(2) ** exact.weight_exponent
    assert rounded.weight == float(exact.weight * unit)
    centred = exact.products * exact.weight - np.outer(exact.sums, exact.sums)
    spread = np.sqrt(rounded.comoments.diagonal())
    for i, line in enumerate(centred.tolist()):
        assert rounded.means[i] == float(exact.sums[i] * scale[i] / exact.weight)
        for j, value in enumerate(line):
            gap = Fraction(value, exact.weight) * unit * scale[i] * scale[j] - Fraction(float(rounded.comoments[i, j]))
            assert abs(gap) <= 2**-51 * spread[i] * spread[j]


def test_a_level_without_rows_in_a_part_has_sums_of_zero() -> None:
    made = Made(DESIGNS["categories"], weighted=False)
    none = {key: sums - sums for key, sums in made.sums.levels.items()}
    moments = TermSums(made.sums.moments - made.sums.moments, none, made.design.blocks).exact()
    assert moments == Moments.zero(moments.exponents)
    assert len(moments.sums) == len(made.design.terms) + 1
