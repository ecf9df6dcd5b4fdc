"""Categories in words and bars, from rows of the tables."""

import math
from typing import Any

import pyarrow as pa

from gdpipe.report.categories import Grouped, grouped, without_levels


def term(level: str | None, estimate: float, **more: Any) -> dict[str, Any]:
    ends = {"ci_lower": estimate - 1, "ci_upper": estimate + 1}
    return {"feature": "c", "level": level, "estimate": estimate, "status": "ok", **ends, **more}


def category(terms: list[dict[str, Any]], rows: dict[str, int], **more: Any) -> Grouped:
    about = {
        "feature": "c",
        "levels": len(rows),
        "reference": "a",
        "f_statistic": 2.0,
        "f_p_value": 0.1,
        "gvif_root": 1,
    }
    levels = [{"level": level, "rows": n, "share": n / sum(rows.values())} for level, n in rows.items()]
    return Grouped({**about, **more}, terms, levels)


FOUND = category([term("b", 3.0), term("c", -2.0), term("d", 0.5)], {"a": 5, "b": 1, "c": 9, "d": 7})


def test_a_line_has_both_ends_of_the_estimates() -> None:
    line = FOUND.line()
    assert (line["lowest"], line["highest"], line["levels"], line["reference"]) == ("-2 c", "3 b", 4, "a")
    long = category([term("b" * 40, 1.0)], {"a" * 40: 1, "b" * 40: 1}, reference="a" * 40).line()
    assert (long["lowest"], long["reference"]) == (f"1 {'b' * 8}…{'b' * 7}", f"{'a' * 8}…{'a' * 7}")


def test_a_feature_without_a_term_has_no_ends() -> None:
    one = category([], {"a": 3})
    assert (one.line()["lowest"], one.line()["highest"]) == (None, None)
    assert [(bar.name, bar.note) for bar in one.bars(9)] == [("a", "reference")]


def test_bars_are_the_levels_with_most_rows_in_their_own_order() -> None:
    assert [(bar.name, bar.value, bar.said, bar.note) for bar in FOUND.bars(3)] == [
        ("a", 0.0, "5", "reference"),
        ("c", -2.0, "9", ""),
        ("d", 0.5, "7", ""),
    ]
    assert category([], {"a": 1_234_567}).bars(9)[0].said == "1,234,567"
    assert FOUND.bars(3)[1].interval == (-3.0, -1.0)
    assert FOUND.bars(3)[1].more == "−2 (−3 to −1), 9 rows"
    unknown = category([term("b", 3.0, ci_lower=math.nan, ci_upper=math.nan)], {"a": 5, "b": 1}).bars(9)[1]
    assert (unknown.interval, unknown.more) == (None, "3, 1 row")


def test_the_table_has_the_reference_among_the_levels() -> None:
    rows = FOUND.rows()
    assert [(row["level"], row["status"], row["estimate"]) for row in rows] == [
        ("a", "reference", None),
        ("b", "ok", 3.0),
        ("c", "ok", -2.0),
        ("d", "ok", 0.5),
    ]
    # a product has terms only
    assert [row["level"] for row in Grouped(FOUND.feature, FOUND.terms, []).rows()] == ["b", "c", "d"]


def test_terms_are_grouped_by_feature_and_an_older_run_has_numbers_only() -> None:
    features = pa.Table.from_pylist([{"feature": "x", "levels": None}, {"feature": "c", "levels": 4}])
    terms: list[dict[str, Any]] = [{"feature": None, "level": None}, {"feature": "x", "level": None}, *FOUND.terms]
    [found] = grouped({"features": features}, terms)
    assert (found.name, found.terms, found.levels) == ("c", FOUND.terms, [])
    assert without_levels(terms) == terms[:2]
    assert grouped({}, terms) == []
    assert without_levels([{"term": "x"}]) == [{"term": "x"}]
