"""The words for what has drifted most, from rows of the table."""

import math
from typing import Any

import pyarrow as pa
import pytest

from gdpipe.report.drift import NEW_CONSTANT, constancy, in_words, largest_shifts

NAN, INF = math.nan, math.inf
SHIFTS = ("mean_shift_sd", "mean_shift_se", "scale_ratio", "scale_shift_se", "estimate_shift_se")
STILL = (0.0, 0.0, 1.0, 0.0, 0.0)
# as numerics.inference.drift has them: then, now, both without spread
WAS_CONSTANT = (INF, 0.5, INF, INF, NAN)
IS_CONSTANT = (-0.25, -0.5, 0.0, -INF, NAN)
ANOTHER_VALUE = (INF, INF, NAN, NAN, NAN)
ONE_VALUE = (NAN, NAN, NAN, NAN, NAN)


def row(term: str, shifts: tuple[float, ...] = STILL, scale: float = 1.0) -> dict[str, Any]:
    return {"term": term, "previous_scale": scale, **dict(zip(SHIFTS, shifts, strict=True))}


def largest(*rows: dict[str, Any]) -> tuple[str, ...]:
    return largest_shifts(pa.Table.from_pylist(list(rows)))


def test_the_largest_of_each_kind_is_named_whatever_its_direction() -> None:
    found = largest(
        row("intercept", (NAN, NAN, NAN, NAN, -3.0), scale=NAN),
        row("a", (0.5, 4.0, 2.0, 1.5, 1.0)),
        row("b", (-0.75, -1.25, 0.25, -6.0, 2.0)),
        row("y", (0.1, NAN, 3.0, NAN, NAN)),
    )
    # a scale of a quarter is farther from 1 than one of three
    assert found == ("b mean -0.75 SD (1.25 SE)", "b scale x 0.25 (6 SE)", "coef intercept -3 joint SE")


def test_what_has_no_error_is_said_without_one() -> None:
    assert largest(row("a", (0.5, NAN, 2.0, NAN, NAN))) == ("a mean +0.5 SD", "a scale x 2")


def test_where_nothing_has_moved_nothing_is_said() -> None:
    assert largest(row("a"), row("b", (NAN,) * 5)) == ()


@pytest.mark.parametrize(
    ("shifts", "scale", "said"),
    [
        (WAS_CONSTANT, 0.0, "was constant"),
        (IS_CONSTANT, 4.0, "is constant now"),
        (ANOTHER_VALUE, 0.0, NEW_CONSTANT),
        (ONE_VALUE, 0.0, ""),
        (STILL, 1.0, ""),
    ],
)
def test_constants_are_words(shifts: tuple[float, ...], scale: float, said: str) -> None:
    assert constancy(row("c", shifts, scale)) == said
    # the largest shifts are of columns that vary in both
    assert largest(row("c", shifts, scale), row("x", (0.1, 1.0, 1.5, 2.0, 3.0)))[-3:] == (
        "x mean +0.1 SD (1 SE)",
        "x scale x 1.5 (2 SE)",
        "coef x +3 joint SE",
    )
    assert largest(row("c", shifts, scale))[:1] == ((f"c {said}",) if said else ())


def test_only_some_of_many_constants_are_named() -> None:
    found = largest(*(row(f"c{j}", WAS_CONSTANT, 0.0) for j in range(8)))
    assert found == (*(f"c{j} was constant" for j in range(5)), "3 more were or are constant")


def test_the_coefficient_of_an_exact_fit_has_moved_by_no_number_of_errors() -> None:
    exact = row("x", (0.0, 0.0, 1.0, 0.0, INF))
    assert largest(exact) == ("coef x has moved, with standard errors of 0",)
    assert in_words(exact) == {"estimate_shift_se": "errors of 0"}


@pytest.mark.parametrize(
    ("shifts", "scale", "words"),
    [
        (WAS_CONSTANT, 0.0, dict.fromkeys(("mean_shift_sd", "scale_ratio", "scale_shift_se"), "was constant")),
        (IS_CONSTANT, 4.0, dict.fromkeys(("scale_ratio", "scale_shift_se"), "is constant now")),
        (ANOTHER_VALUE, 0.0, dict.fromkeys(("mean_shift_sd", "mean_shift_se"), "new constant")),
        (ONE_VALUE, 0.0, {}),
        (STILL, 1.0, {}),
    ],
)
def test_a_table_has_words_for_infinite_numbers(shifts: tuple[float, ...], scale: float, words: dict[str, str]) -> None:
    assert in_words(row("c", shifts, scale)) == words


def test_the_mean_of_a_level_is_its_share_and_its_scale_follows_from_it() -> None:
    row = {"previous_mean": 0.1, "previous_scale": 0.3, "mean_shift_sd": 0.5, "mean_shift_se": 9.0}
    row |= {"scale_ratio": 1.3, "scale_shift_se": 5.0, "estimate_shift_se": 1.5}
    table = pa.Table.from_pylist([{"term": "c[a]", **row}])
    assert largest_shifts(table, {"c[a]"}) == ("c[a] share 0.1 → 0.25, +0.5 SD (9 SE)", "coef c[a] +1.5 joint SE")
