"""Conditions as SQL writes them."""

from typing import Any

import pytest

from gdpipe.errors import ConfigError
from gdpipe.filters import normalized


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("x > (1)", [["x", ">", 1]]),
        ("(x) IN ((1), (-2))", [["x", "in", [1, -2]]]),
        ("(5) > (x)", [["x", "<", 5]]),
        ("((x)) BETWEEN (1) AND 2", [["x", ">=", 1], ["x", "<=", 2]]),
        ("x IN [1, 2]", [["x", "in", [1, 2]]]),
        ("a = 1 AND (b = 2 AND c = 3)", [["a", "=", 1], ["b", "=", 2], ["c", "=", 3]]),
        ("NOT (a = 1 OR b = 2 OR c = 3)", [["a", "!=", 1], ["b", "!=", 2], ["c", "!=", 3]]),
        ("NOT (a = 1 AND (b = 2 OR c = 3))", [[["a", "!=", 1]], [["b", "!=", 2], ["c", "!=", 3]]]),
    ],
)
def test_parentheses_change_no_meaning(text: str, read: Any) -> None:
    assert normalized(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "x IN y",
        "x NOT IN y",
        "carrier IN 'UA'",
        "x NOT IN 6",
        "x IN UNNEST([1, 2])",
        "x IN (SELECT 1)",
        "x BETWEEN SYMMETRIC 5 AND 1",
        "x NOT BETWEEN SYMMETRIC 5 AND 1",
    ],
)
def test_what_is_not_read_is_not_taken_for_something_else(text: str) -> None:
    with pytest.raises(ConfigError, match="compares no column with a value"):
        normalized(text)


@pytest.mark.parametrize(("join", "groups"), [(" OR ", 5000), (" AND ", 1)])
def test_thousands_of_conditions(join: str, groups: int) -> None:
    conditions = [["x", "!=", i] for i in range(5000)]
    read = normalized(join.join(f"x != {i}" for i in range(5000)))
    assert read == (conditions if groups == 1 else [[condition] for condition in conditions])


@pytest.mark.parametrize("text", ["(" * 2000 + "x > 1" + ")" * 2000, "NOT " * 5000 + "x > 1"])
def test_what_is_nested_too_deeply(text: str) -> None:
    with pytest.raises(ConfigError, match="is nested too deeply"):
        normalized(text)


def test_too_many_alternatives() -> None:
    text = " AND ".join(f"(a{i} = 1 OR b{i} = 1)" for i in range(30))
    with pytest.raises(ConfigError, match="unfolds into more than 1,000 alternatives"):
        normalized(text)
