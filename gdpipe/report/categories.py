"""The categories of a run, for its summary and its page: each feature in a line, its levels as bars and in a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gdpipe.printable import counted
from gdpipe.report.one_fit import UNFINISHED
from gdpipe.report.pictures.bars import Bar
from gdpipe.report.pictures.ticks import number

# characters of a level's label in the summary
LONGEST_LABEL = 16
# those that a penalty leaves empty
TESTS = ("std_error", "t_value", "p_value")
# columns of the table of levels, as far as there are rows of `levels`
SHOWN = ("level", "rows", "share", "estimate", "std_error", "t_value", "p_value", "status")


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """A feature that has levels, with its terms.

    Attributes:
        feature: Its row of `features`.
        terms: The rows of `parameters` that are a part of it.
        levels: Its rows of `levels`; empty for a product.
    """

    feature: dict[str, Any]
    terms: list[dict[str, Any]]
    levels: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The feature's text."""
        return str(self.feature["feature"])

    def line(self) -> dict[str, Any]:
        """The feature in a line of the summary: its test, and its least and largest coefficient with their levels."""
        lowest, highest = [f"{estimate:.4g} {short(level)}" for estimate, level in self.ends()] or (None, None)
        return {
            "feature": self.name,
            "levels": self.feature["levels"],
            "reference": None if (label := self.feature["reference"]) is None else short(label),
            "F": self.feature["f_statistic"],
            "p_value": self.feature["f_p_value"],
            "gvif_root": self.feature["gvif_root"],
            "lowest": lowest,
            "highest": highest,
        }

    def ends(self) -> list[tuple[float, str]]:
        """The least and the largest coefficient with their levels; empty without a term."""
        fitted = sorted((t for t in self.terms if t["status"] != "constant"), key=lambda term: term["estimate"])
        return [(term["estimate"], term["level"]) for term in (*fitted[:1], *fitted[-1:])]

    def rows(self) -> list[dict[str, Any]]:
        """The table of its levels, in their order; of a product its terms. A penalized fit has no tests."""
        by_level = {term["level"]: term for term in self.terms}
        tested = any(_is_number(term.get(name)) for term in self.terms for name in TESTS)
        shown = [name for name in SHOWN if tested or name not in TESTS]
        shown += [UNFINISHED] if any(UNFINISHED in term for term in self.terms) else []
        if not self.levels:
            return [{name: term[name] for name in shown if name in term} for term in self.terms]
        of_reference = {**dict.fromkeys(shown), "status": "reference"}
        return [
            {name: {**of_reference, **by_level.get(row["level"], {}), **row}[name] for name in shown}
            for row in self.levels
        ]

    def bars(self, most: int) -> list[Bar]:
        """The coefficients with their intervals, and the reference; of many levels those with most rows, in order."""
        by_level = {term["level"]: term for term in self.terms}
        drawn = {row["level"] for row in sorted(self.levels, key=lambda row: -row["rows"])[:most]}
        shown = []
        for row in self.levels:
            if row["level"] in drawn:
                shown.append(_bar(row, by_level.get(row["level"])))
        return shown


def _bar(level: dict[str, Any], term: dict[str, Any] | None) -> Bar:
    rows = counted(level["rows"], "row")
    if term is None:
        return Bar(level["level"], 0.0, f"{level['rows']:,}", more=rows, note="reference")
    ends = (term["ci_lower"], term["ci_upper"])
    known = all(math.isfinite(end) for end in ends)
    between = f" ({number(ends[0])} to {number(ends[1])})" if known else ""
    more = f"{number(term['estimate'])}{between}, {rows}"
    return Bar(level["level"], term["estimate"], f"{level['rows']:,}", ends if known else None, more)


def grouped(tables: Mapping[str, pa.Table], terms: Iterable[dict[str, Any]]) -> list[Grouped]:
    """The features that have levels, in the order asked for; none where a run has no table `features`.

    Args:
        tables: The artifacts `features` and `levels`, as far as there are any.
        terms: The rows of `parameters`.
    """
    if "features" not in tables:
        return []
    by_feature: dict[str, list[dict[str, Any]]] = {}
    for term in terms:
        by_feature.setdefault(term["feature"], []).append(term)
    by_category: dict[str, list[dict[str, Any]]] = {}
    for row in tables["levels"].to_pylist() if "levels" in tables else ():
        by_category.setdefault(row["feature"], []).append(row)
    return [
        Grouped(row, by_feature.get(row["feature"], []), by_category.get(row["feature"], []))
        for row in tables["features"].to_pylist()
        if row["levels"] is not None
    ]


def without_levels(terms: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The terms that are no levels: the intercept and numbers; all those of a run of an earlier version."""
    return [term for term in terms if term.get("level") is None]


def _is_number(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def short(label: str, longest: int = LONGEST_LABEL) -> str:
    """The label, or both ends of it where it is longer: levels often differ only in the last letters."""
    if len(label) <= longest:
        return label
    return f"{label[: longest // 2]}…{label[-((longest - 1) // 2) :]}"
