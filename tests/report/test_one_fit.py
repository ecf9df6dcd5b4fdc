"""One fit a table: estimates that belong to their standard errors; and numbers as the page writes them."""

import math

import pytest

from gdpipe.report.numbers import p_value, shown_value
from gdpipe.report.one_fit import UNFINISHED, headed, of_one_fit

TERM = {"term": "x", "estimate": 1.0, "estimate_scaled": 0.5, "ols_estimate": 3.0, "scale": 4.0}


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "< 1e-300"), (5e-324, "< 1e-300"), (1e-299, 1e-299), (1.0, 1.0), (None, None)]
)
def test_a_p_value_is_never_0(value: float | None, said: object) -> None:
    assert p_value(value) == said
    assert math.isnan(float(p_value(math.nan) or 0))


def test_a_fit_that_passed_is_shown_as_it_is() -> None:
    assert of_one_fit([TERM], 2.0, passed=True) == [TERM]
    assert headed([TERM], passed=True) == [TERM]


def test_of_one_that_did_not_the_exact_answer_is_shown() -> None:
    [found] = of_one_fit([TERM], 2.0, passed=False)
    assert (found["estimate"], found["estimate_scaled"], found[UNFINISHED]) == (3.0, 6.0, 1.0)
    assert headed([{"estimate": 3.0, "status": "ok"}], passed=False) == [{"ols_estimate": 3.0, "status": "ok"}]
    [intercept] = of_one_fit([{**TERM, "scale": math.nan}], 2.0, passed=False)
    assert intercept["estimate_scaled"] == 0.0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (336_776, "336,776"),
        (13_779.31, "13,779.3"),
        (-2_269_954.4, "-2,269,954"),
        (1e20, "1e+20"),
        (1.5e-9, "1.5e-09"),
        (math.nan, "-"),
        (math.inf, "inf"),
        (None, "-"),
        (True, "True"),
        ("1234567", "1234567"),
    ],
)
def test_thousands_have_separators(value: object, said: str) -> None:
    assert shown_value(value) == said
