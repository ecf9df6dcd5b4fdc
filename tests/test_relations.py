"""Dependencies among categories in words: a line for features, not for each of their terms."""

import numpy as np

from gdpipe.design import Category, Feature, Input, Number, Values
from tests.numerics.build import coded, fitted_by_level

X, Y = (Number(name, Input(name)) for name in "xy")
MONTH, QUARTER = (Category(f"C({name})", Input(name, levels="number")) for name in ("month", "quarter"))
DAY = Category("day", Input("day", levels="text"))

MONTHS = np.random.default_rng(0).integers(1, 13, 500)
QUARTERS = (MONTHS - 1) // 3 + 1


def lines(features: list[Feature], columns: list[Values], **settings: object) -> tuple[str, ...]:
    target = np.random.default_rng(9).normal(size=500)
    return fitted_by_level(features, columns, target, **settings).dependencies


def test_nested_categories_share_a_line() -> None:
    features = [Feature((MONTH,)), Feature((QUARTER,))]
    line = "C(month) and C(quarter): 3 terms of C(quarter) are combinations of those of C(month)"
    assert lines(features, [coded(MONTHS), coded(QUARTERS)]) == (line,)
    # the order says which of them is left out
    [swapped] = lines(features[::-1], [coded(QUARTERS), coded(MONTHS)])
    assert swapped == "C(quarter) and C(month): 3 terms of C(month) are combinations of those of C(quarter)"


def test_a_number_made_of_levels() -> None:
    weight = np.array([0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])[MONTHS].astype(float)
    features = [Feature((MONTH,)), Feature((X,))]
    line = "C(month) and x: x is a combination of the terms of C(month)"
    assert lines(features, [coded(MONTHS), weight]) == (line,)


def test_a_short_relation_is_an_equation() -> None:
    late, features = MONTHS > 6, [Feature((DAY,)), Feature((X,)), Feature((Y,))]
    day = np.where(late, "pm", "am")
    assert lines(features, [coded(day), late.astype(float), MONTHS.astype(float)]) == ("day[pm] = x",)


def test_constant_terms() -> None:
    day = np.where(MONTHS > 6, "pm", "am")
    zero = np.where(MONTHS > 6, 0.0, MONTHS)
    features = [Feature((DAY,)), Feature((X, DAY)), Feature((MONTH,)), Feature((Y, MONTH))]
    found = lines(features, [coded(day), zero, coded(MONTHS), np.zeros(500)])
    assert found[:2] == ("x:day[pm] is constant (0)", "y:C(month): 12 terms are constant")
