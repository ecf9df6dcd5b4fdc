"""The condition after WHERE in SQL, read into lists of conditions."""

from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import exp

# the most alternatives (ORs) that one condition may give
MOST_GROUPS = 1000
_IN, _NULL = ("in", "not in"), ("is null", "is not null")
# each comparison, its negation, and both again for exchanged sides
_COMPARISONS: dict[type[exp.Expr], tuple[str, str, str, str]] = {
    exp.EQ: ("=", "!=", "=", "!="),
    exp.NEQ: ("!=", "=", "!=", "="),
    exp.LT: ("<", ">=", ">", "<="),
    exp.GT: (">", "<=", "<", ">="),
    exp.LTE: ("<=", ">", ">=", "<"),
    exp.GTE: (">=", "<", "<=", ">"),
}


def read(text: str, number: Callable[[str], Any]) -> list[Any]:
    """A list of conditions that all must hold, or a list of such lists of which one must hold.

    Args:
        text: The condition.
        number: Makes a number from a decimal text.

    Raises:
        ValueError: The text is no condition, or one that does not compare columns with values; the message says what to
            write.
    """
    try:
        parsed = sqlglot.parse_one(text, dialect="duckdb", into=exp.Condition)
        groups = _Reader(number).groups(parsed, negated=False)
    except RecursionError:
        raise ValueError("is nested too deeply; write it with fewer parentheses and NOTs") from None
    except sqlglot.errors.SqlglotError:
        raise ValueError(
            "is no condition in SQL, such as month <= 6 AND carrier IN ('UA', 'AA'), nor a JSON list, such as "
            '[["month", "<=", 6]]'
        ) from None
    return groups[0] if len(groups) == 1 else groups


class _Reader:
    """Reader of SQL's tree into an OR of ANDs. Negations move inward: a null passes neither x > 1 nor NOT x > 1."""

    def __init__(self, number: Callable[[str], Any]) -> None:
        self._number = number

    def groups(self, node: exp.Expr, *, negated: bool) -> list[Any]:
        """The alternatives, each a list of conditions."""
        if isinstance(node, (exp.Paren, exp.Not)):
            return self.groups(node.this, negated=negated != isinstance(node, exp.Not))
        if isinstance(node, exp.Between) and not node.args.get("symmetric"):
            column, low, high = self._column(node.this), self._value(node.args["low"]), self._value(node.args["high"])
            if negated:
                return [[[column, "<", low]], [[column, ">", high]]]
            return [[[column, ">=", low], [column, "<=", high]]]
        if isinstance(node, (exp.And, exp.Or)):
            # flattened, since the tree of a long row of ANDs or ORs is deep
            sides = [self.groups(side, negated=negated) for side in node.flatten()]
            if isinstance(node, exp.Or) != negated:
                return [group for side in sides for group in side]
            joined: list[Any] = [[]]
            for side in sides:
                if len(joined) * len(side) > MOST_GROUPS:
                    raise ValueError(f"unfolds into more than {MOST_GROUPS:,} alternatives; write it with fewer ORs")
                joined = [a + b for a in joined for b in side]
            return joined
        return [[self._condition(node, negated=negated)]]

    def _condition(self, node: exp.Expr, *, negated: bool) -> list[Any]:
        if isinstance(node, exp.In) and not any(node.args.get(other) for other in ("query", "unnest", "field")):
            return [self._column(node.this), _IN[negated], [self._value(each) for each in node.expressions]]
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            return [self._column(node.this), _NULL[negated]]
        operators = _COMPARISONS.get(type(node))
        if operators is None:
            raise _unread(node)
        left, right = node.args["this"], node.args["expression"]
        if isinstance(right.unnest(), exp.Column) and not isinstance(left.unnest(), exp.Column):
            return [self._column(right), operators[2 + negated], self._value(left)]
        return [self._column(left), operators[negated], self._value(right)]

    def _column(self, node: exp.Expr) -> str:
        node = node.unnest()
        if not isinstance(node, exp.Column):
            raise _unread(node)
        if node.table:
            raise ValueError(f'a column with a dot in its name stands in double quotes: "{node.sql()}"')
        return node.name

    def _value(self, node: exp.Expr) -> Any:
        node = node.unnest()
        if isinstance(node, exp.Cast) and node.to.is_type(*exp.DataType.TEMPORAL_TYPES):
            node = node.this  # the text of DATE '2024-01-05': the column's type says how to read it
        if isinstance(node, exp.Boolean):
            return bool(node.this)
        if isinstance(node, exp.Null):
            raise ValueError("nothing is equal to NULL; write IS NULL or IS NOT NULL")
        if isinstance(node, exp.Literal):
            return node.this if node.is_string else self._number(node.this)
        if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
            return self._number(f"-{node.this.this}")
        if isinstance(node, exp.Column):
            raise ValueError(
                f"{node.sql()} is a column where a value is wanted; texts and dates stand in single quotes: "
                "carrier = 'UA'"
            )
        raise _unread(node)


def _unread(node: exp.Expr) -> ValueError:
    return ValueError(
        f"{node.sql('duckdb')!r} compares no column with a value; conditions are such as month <= 6, "
        "carrier IN ('UA', 'AA'), day BETWEEN 1 AND 7, tailnum IS NOT NULL, joined by AND, OR, NOT"
    )
