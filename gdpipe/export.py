"""A fitted line as SQL: the same numbers in the same order, wherever the rows are."""

from collections.abc import Iterable

import sqlglot
from sqlglot import exp

from gdpipe.errors import ConfigError
from gdpipe.location import without_credentials
from gdpipe.model import Model

PREDICTION = "prediction"
# whose names are the same in capitals and in small letters, also where they are quoted; DuckDB takes ASCII so alone
IGNORE_CASE = ("duckdb", "spark", "bigquery")
# where a boolean cannot be cast to a double, but to an integer
BOOLEANS_ARE_INTEGERS = ("bigquery", "postgres")


def expression(model: Model, dialect: str) -> str:
    """Intercept + Σ coefⱼ·xⱼ, added feature by feature in order, as `gdpipe.numerics.rows.linear.predict` does.

    Null where a feature is null or NaN.

    Args:
        model: The model.
        dialect: One of sqlglot's.

    Raises:
        ConfigError: Two features have the same name in that dialect.
    """
    return _prediction(model, dialect).sql(dialect)


def select(model: Model, dialect: str, table: str, columns: Iterable[str] = ()) -> str:
    """A query for every column of a table and the prediction beside them, in a column `prediction`.

    Args:
        model: The model.
        dialect: One of sqlglot's.
        table: As it stands in a FROM clause of that dialect.
        columns: Its columns, as far as they are known.

    Raises:
        ConfigError: The table is no table, has a column `prediction` itself, or two columns have the same name in that
            dialect.
    """
    source = _parsed(table, dialect)
    predicted = exp.alias_(_prediction(model, dialect), PREDICTION, copy=False)
    same: dict[str, list[str]] = {}
    for name in sorted(set(columns)):
        same.setdefault(_folded(name, dialect), []).append(name)
    if own := same.get(_folded(PREDICTION, dialect)):
        raise ConfigError(
            f"table {without_credentials(table)!r}: has a column {own[0]!r} itself, and the query would give two "
            "of that name; rename it in the table, or print the expression (without --table) and name it yourself"
        )
    for feature in model.features:
        names = same.get(_folded(feature, dialect), [])
        if len(names) > 1:
            which = " and ".join(map(repr, names))
            raise ConfigError(
                f"feature {feature!r}: the columns {which} differ only in case, which {dialect} ignores: it may take "
                "one for the other; rename all but one in the table, or print the expression (without --table) for a "
                "view that has only one"
            )
    return exp.select(exp.Star(), predicted, copy=False).from_(source, copy=False).sql(dialect)


def paths_in(table: str, dialect: str) -> list[str]:
    """What may be files in a FROM clause: its text literals, and quoted names with a slash or a dot.

    Raises:
        ConfigError: It is no table.
    """
    found = _parsed(table, dialect).find_all(exp.Literal, exp.Identifier)
    return [
        node.name
        for node in found
        if (node.is_string if isinstance(node, exp.Literal) else node.args["quoted"] and {"/", "."} & set(node.name))
    ]


def _parsed(table: str, dialect: str) -> exp.Expression:
    try:
        return sqlglot.parse_one(table, into=exp.Table, dialect=dialect)
    except sqlglot.errors.SqlglotError as error:
        raise ConfigError(
            f"table {without_credentials(table)!r}: is no table in {dialect}; quote a name with odd characters"
        ) from error


def _prediction(model: Model, dialect: str) -> exp.Expression:
    seen: dict[str, str] = {}
    total: exp.Expression = _double(model.intercept)
    for name in model.features:
        other = seen.setdefault(_folded(name, dialect), name)
        if other != name:
            raise ConfigError(
                f"features {other!r} and {name!r} differ only in case, which {dialect} ignores: it would take one for "
                "the other; rename one of them in the data and train again"
            )

    def column(name: str) -> exp.Expression:
        found: exp.Expression = exp.column(name, quoted=True)
        if name in model.design.booleans and dialect in BOOLEANS_ARE_INTEGERS:
            found = exp.Cast(this=found, to=exp.DataType.build("int"))
        return exp.Cast(this=found, to=exp.DataType.build("double"))

    for term, weight in zip(model.design.terms, model.coef.tolist(), strict=True):
        total = exp.Add(this=total, expression=exp.Mul(this=term.of(column), expression=_double(weight)))
    if dialect == "bigquery":  # where NaN = NaN is false
        return exp.If(this=exp.IsNan(this=total), true=exp.null(), false=total.copy())
    return exp.Nullif(this=total, expression=_double(float("nan")))


def _folded(name: str, dialect: str) -> str:
    """A name as a dialect compares it with others."""
    if dialect not in IGNORE_CASE:
        return name
    return "".join(c.lower() if c.isascii() or dialect != "duckdb" else c for c in name)


def _double(value: float) -> exp.Expression:
    """A literal: as text, since a bare 0.1 is a decimal in three of four dialects, and may be rounded twice."""
    text = "NaN" if value != value else repr(float(value))  # noqa: PLR0124  # only NaN differs from itself
    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build("double"))
