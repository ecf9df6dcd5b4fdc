"""A model as SQL, with the same numbers added in the same order."""

import contextlib
from typing import Any

import sqlglot
from sqlglot import exp

from gdpipe.errors import ConfigError, GdpipeError
from gdpipe.export.categories import coefficient
from gdpipe.export.values import ColumnValues, double
from gdpipe.location import is_uri, without_credentials
from gdpipe.model import Model
from gdpipe.source.source import Source

PREDICTION = "prediction"
# dialects that ignore the case of names, even of quoted ones; DuckDB ignores it in ASCII letters only
IGNORE_CASE = ("duckdb", "spark", "bigquery")


def as_sql(model: Model, manifest: dict[str, Any], dialect: str, table: str | None = None) -> str:
    """The model as an expression, or as a query of all columns of a table and the column `prediction`.

    The expression is intercept + Σ coefⱼ·xⱼ, added feature by feature as `Model.predict` adds it. A category is a CASE.
    It is null where a column is null or NaN, and where a level is unknown (if the model does not take the reference).

    Args:
        model: The model of a run.
        manifest: The manifest of that run; not needed where there is no table.
        dialect: A dialect of sqlglot.
        table: The text of a FROM clause in that dialect; None for the expression alone.

    Raises:
        ConfigError: `table` is not a table, the table has a column `prediction`, or two features or columns have the
            same name in that dialect; or the dialect cannot compute a feature.
    """
    if table is None:
        return _prediction(model, dialect).sql(dialect)
    source = _parsed(table, dialect)
    predicted = exp.alias_(_prediction(model, dialect), PREDICTION, copy=False)
    same: dict[str, list[str]] = {}
    for name in sorted(set(_columns(source) or _trained_on(manifest))):
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


def _columns(source: exp.Expression) -> set[str]:
    """The columns of the Parquet files on this machine in a FROM clause; empty where there are no such files."""
    names: set[str] = set()
    for node in source.find_all(exp.Literal, exp.Identifier):
        is_text = isinstance(node, exp.Literal) and node.is_string
        is_path = isinstance(node, exp.Identifier) and node.args["quoted"] and {"/", "."} & set(node.name)
        # other names are the database's; object stores are not read
        if (is_text or is_path) and not is_uri(node.name):
            with contextlib.suppress(GdpipeError):
                names.update(Source.open(node.name).schema.names)
    return names


def _trained_on(manifest: dict[str, Any]) -> list[str]:
    """The columns of the training's source; in manifests of earlier versions only those that were used."""
    settings = manifest["settings"]
    parts: list[str | None] = [
        *manifest["features"],
        manifest["target"],
        settings.get("weight"),
        *settings.get("key", ()),
    ]
    known: list[str] = manifest.get("columns", [name for name in parts if name])
    return known


def _parsed(table: str, dialect: str) -> exp.Expression:
    try:
        return sqlglot.parse_one(table, into=exp.Table, dialect=dialect)
    except sqlglot.errors.SqlglotError as error:
        raise ConfigError(
            f"table {without_credentials(table)!r}: is no table in {dialect}; quote a name with odd characters"
        ) from error


def _prediction(model: Model, dialect: str) -> exp.Expression:
    design, seen = model.design, dict[str, str]()
    total: exp.Expression = double(model.intercept)
    for name in model.features:
        other = seen.setdefault(_folded(name, dialect), name)
        if other != name:
            raise ConfigError(
                f"features {other!r} and {name!r} differ only in case, which {dialect} ignores: it would take one for "
                "the other; rename one of them in the data and train again"
            )

    values = ColumnValues(design, dialect)
    for at, (block, of_block) in enumerate(zip(design.blocks, design.slices, strict=True)):
        number = None if block.number is None else values.product(design.numbers[block.number])
        weight = coefficient(model, at, values) if block.key else double(float(model.coef[of_block][0]))
        term = weight if number is None else exp.Mul(this=number, expression=weight)
        total = exp.Add(this=total, expression=term)
    if dialect == "bigquery":  # in which NaN = NaN is false, so that NULLIF would not do
        return exp.If(this=exp.IsNan(this=total), true=exp.null(), false=total.copy())
    return exp.Nullif(this=total, expression=double(float("nan")))


def _folded(name: str, dialect: str) -> str:
    """A name in the form in which a dialect compares it."""
    if dialect not in IGNORE_CASE:
        return name
    return "".join(c.lower() if c.isascii() or dialect != "duckdb" else c for c in name)
