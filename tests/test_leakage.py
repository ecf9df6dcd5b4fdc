"""Signs that a fit is too good to be true: R² on unseen rows, and relations that hold the target."""

import math
from typing import Any

import numpy as np
import pytest

from gdpipe.leakage import signs_of_leakage, target_relation
from gdpipe.numerics.problem.covariance import CrossProducts
from tests.numerics.build import Floats, moments, rounded_moments, with_block

RNG = np.random.default_rng(0)
CASUAL, REGISTERED, WIND = RNG.poisson(30, 500), RNG.poisson(150, 500), RNG.uniform(0, 40, 500)


def cross(*columns: Any, exact: bool = True, centred: bool = True) -> CrossProducts:
    rows: Floats = np.array(columns, float)
    return CrossProducts.of(moments(rows) if exact else rounded_moments(rows), centred=centred)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_parts_of_the_target_are_named(exact: bool, centred: bool) -> None:
    sums = cross(CASUAL, WIND, REGISTERED, CASUAL + REGISTERED, exact=exact, centred=centred)
    r2, relation = signs_of_leakage(sums, ["casual", "wind", "registered"], "cnt", 1.0)
    assert r2.startswith("R² is 1.000000: see whether a feature holds the target")
    held = "" if exact else " (to rounding)"
    assert relation == f"the features give the target: cnt = casual + registered{held}"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (WIND, "y = wind"),
        (2 * CASUAL - REGISTERED + 7, "y = 2 casual - registered + 7"),
        (CASUAL / 2, "2 y = casual"),
        (WIND * 1.8 + 32, "5 y = 9 wind + 160 (to rounding)"),
    ],
)
def test_the_target_stands_on_the_left(target: Floats, said: str) -> None:
    sums = cross(CASUAL, REGISTERED, WIND, target)
    assert signs_of_leakage(sums, ["casual", "registered", "wind"], "y", 1.0)[1].endswith(f"the target: {said}")


def test_nothing_is_said_of_an_ordinary_fit() -> None:
    sums = cross(CASUAL, REGISTERED, CASUAL + REGISTERED + RNG.normal(size=500))
    assert signs_of_leakage(sums, "ab", "y", 0.9998) == ()
    assert signs_of_leakage(sums, "ab", "y", math.nan) == ()
    assert len(signs_of_leakage(sums, "ab", "y", 0.99995)) == 1  # and no relation
    assert target_relation(sums) is None


def test_a_relation_among_the_features_alone_is_none_with_the_target() -> None:
    constant = np.full(500, 3)
    y = CASUAL + WIND + RNG.normal(size=500)
    assert target_relation(cross(CASUAL, constant, 2 * CASUAL, WIND, y)) is None
    found = target_relation(cross(CASUAL, constant, 2 * CASUAL, WIND, CASUAL + 1))
    assert found is not None
    assert [int(c) for c in found.coefficients] in ([1, 0, 0, 0, -1], [-1, 0, 0, 0, 1])


@pytest.mark.parametrize("exact", [True, False])
def test_accidents_of_few_rows_and_constant_targets_are_no_relations(exact: bool) -> None:
    few = [c[:4] for c in (CASUAL, REGISTERED, WIND, RNG.normal(size=500))]
    assert target_relation(cross(*few, exact=exact)) is None
    assert target_relation(cross(CASUAL, np.full(500, 3.0), exact=exact)) is None
    assert target_relation(cross(np.full(500, 1.0), WIND, exact=exact)) is None
    assert target_relation(cross(np.full(500, 1.0), np.full(500, 3.0), exact=exact)) is None


@pytest.mark.parametrize("centred", [True, False])
def test_a_category_that_is_absorbed_may_give_the_target(centred: bool) -> None:
    shop = RNG.integers(0, 30, 500)
    levels = [shop == level for level in range(1, 30)]

    def said(target: Any) -> str:
        rows: Floats = np.array([CASUAL, *levels, WIND, target], float)
        sums = CrossProducts.of(with_block(moments(rows), range(1, 30)), centred=centred)
        names = ["casual", *(f"shop[{level}]" for level in range(1, 30)), "wind"]
        return "".join(signs_of_leakage(sums, names, "y", 1.0)[1:])

    start = "the features give the target: y = "
    assert said(CASUAL + 3 * (shop == 7) - (shop == 9)) == f"{start}casual + 3 shop[7] - shop[9]"
    assert said(1.8 * CASUAL) == f"{start}1.8 casual (to rounding)".replace("y = 1.8", "5 y = 9")
    assert said(WIND + shop) == "the features give the target: y is a combination of 30 terms"
    assert said(CASUAL + RNG.normal(size=500)) == ""
