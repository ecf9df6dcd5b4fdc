"""Dependent features: found, in lowest terms, and never invented."""

from fractions import Fraction

import numpy as np
import pytest

from gdpipe.design import Design
from gdpipe.numerics.problem.baseline import solve
from gdpipe.numerics.problem.relations import simplest_near
from gdpipe.relations import describe
from tests.numerics.build import Floats, dependencies, problem, regression


def lines(X: Floats, names: str, *, centred: bool = True) -> tuple[str, ...]:
    built = problem(X, np.random.default_rng(9).normal(size=len(X)), centred=centred)
    return describe(regression(built), Design.of_numbers(names.split()))


@pytest.fixture
def free() -> Floats:
    return np.random.default_rng(0).normal(size=(3, 200))


def test_independent_features_have_no_relation(free: Floats) -> None:
    assert lines(free.T, "a b c") == ()


def test_each_kind_of_dependency_in_words(free: Floats) -> None:
    a, b, c = free
    whole = np.rint(10 * a)
    assert lines(np.column_stack([a, b, a]), "a b c") == ("a = c",)
    assert lines(np.column_stack([a, np.full(200, 288.0)]), "a c") == ("c is constant (288)",)
    assert lines(np.column_stack([a, np.full(200, 0.1)]), "a c") == ("c is constant (0.1)",)
    assert lines(np.column_stack([whole, whole + 5]), "a b") == ("a = b - 5",)
    wall, roof = np.rint(100 * b), np.rint(100 * c)
    assert lines(np.column_stack([wall + 2 * roof, wall, roof]), "surface wall roof") == ("surface = wall + 2 roof",)
    assert lines(np.column_stack([whole, wall, 3 * whole - 2 * wall]), "a b c") == ("c = 3 a - 2 b",)
    assert lines(np.column_stack([2 * whole, 3 * whole]), "a b") == ("2 b = 3 a",)


def test_one_hot_columns_sum_to_one() -> None:
    level = np.random.default_rng(1).integers(0, 3, 300)
    X = (level[:, None] == np.arange(3)).astype(float)
    assert lines(X, "red green blue") == ("red = -green - blue + 1",)
    # without an intercept there is nothing for them to add up to
    assert lines(X, "red green blue", centred=False) == ()


def test_relations_that_hold_to_rounding_are_named_as_such(free: Floats) -> None:
    a, b, c = free
    X = np.column_stack([a, b, a / 3 + b, c, 1.1 * c])
    assert lines(X, "a b mix c d") == ("a = 3 mix - 3 b (to rounding)", "10 d = 11 c (to rounding)")


def to_15_digits(values: Floats) -> Floats:
    return np.array([float(f"{v:.15g}") for v in values.tolist()])


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("exact", [True, False])
def test_relations_through_text_of_15_digits_are_found_and_named(free: Floats, offset: float, exact: bool) -> None:
    a, b, c = (to_15_digits(v) for v in free)
    a = to_15_digits(a + offset)
    X = np.column_stack([a, b, to_15_digits(2 * a + 3), c, to_15_digits(b + c)])
    built = problem(X, np.random.default_rng(9).normal(size=200), exact=exact)
    named = describe(regression(built), Design.of_numbers(["a", "b", "twice", "c", "sum"]))
    assert [line.split(" (to ")[0] for line in named] == ["twice = 2 a + 3", "sum = b + c"]
    assert {line.split(" (to ")[1] for line in named} <= {"rounding)", "15 decimal digits)"}


def test_what_only_15_digits_round_is_named_so(free: Floats) -> None:
    a, b = to_15_digits(free[0] + 1000), to_15_digits(free[1])
    assert lines(np.column_stack([a, b, to_15_digits(a + b)]), "a b c") == ("c = a + b (to 15 decimal digits)",)
    # without an intercept likewise, and where only few decimals were written
    assert lines(np.column_stack([a, b, to_15_digits(a + b)]), "a b c", centred=False) == (
        "c = a + b (to 15 decimal digits)",
    )
    few = np.round(a, 2)
    assert lines(np.column_stack([few, to_15_digits(0.1 * few + 1.5)]), "a b") == ("a = 10 b - 15 (to rounding)",)


@pytest.mark.parametrize("own", [1e-9, 1e-12, 2e-14])
def test_little_of_its_own_beyond_the_rounding_of_15_digits_is_no_relation(free: Floats, own: float) -> None:
    # with ROUNDINGS = 40 the last of these would be one
    a, _, c = free
    assert lines(np.column_stack([a, a + own * c]), "a b") == ()


def test_near_dependence_with_something_of_its_own_to_say_is_no_relation(free: Floats) -> None:
    a, b, c = free
    X = np.column_stack([a, b, a + 1e-7 * c])
    built = problem(X, c)
    found = dependencies(built)
    assert found.relations == ()
    # float64 cannot tell this eigenvalue from zero; rational arithmetic can
    assert found.smallest_eigenvalue == pytest.approx(float(np.linalg.svd(_standard(X))[1][-1] ** 2), rel=1e-6)


def _standard(X: Floats) -> Floats:
    Z: Floats = (X - X.mean(axis=0)) / X.std(axis=0) / np.sqrt(len(X))
    return Z


def test_more_features_than_rows_leave_as_many_relations_as_ranks_are_missing() -> None:
    X = np.random.default_rng(2).integers(-9, 9, (4, 7)).astype(float)
    built = problem(X, np.arange(4.0))
    found = dependencies(built)
    assert len(found.relations) == len(found.redundant) == 7 - 3
    for relation in found.relations:
        for row in X:
            terms = (c * Fraction(v) for c, v in zip(relation.coefficients, row.tolist(), strict=True))
            assert sum(terms) == relation.constant


def test_fractions_near_simple_ones_become_them() -> None:
    assert simplest_near(Fraction(1 / 3), 1e-9) == Fraction(1, 3)
    assert simplest_near(Fraction(1, 3) + Fraction(1, 10**6), 1e-9) != Fraction(1, 3)


@pytest.mark.parametrize("seed", range(3))
def test_few_rows_and_a_relation_to_rounding_are_no_two_relations(seed: int) -> None:
    # of six rows, seven features and an intercept have rank five; the third is a combination of the first two
    x = np.random.default_rng(seed).normal(size=(6, 6))
    X = np.column_stack([x[:, :2], x[:, 0] + x[:, 1] / 3, x[:, 2:]])
    posed = regression(problem(X, np.random.default_rng(9).normal(size=6)))
    assert (len(posed.independent), len(posed.relations)) == (5, 2)
    assert solve(posed.problem, posed.relations).loss == pytest.approx(0.0, abs=1e-25)
