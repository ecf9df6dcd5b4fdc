"""A fitted line as SQL: the same numbers in the same order, wherever the rows are."""

from collections.abc import Sequence

import numpy as np
import sqlglot
from numpy.typing import NDArray
from sqlglot import exp

from gdpipe.errors import ConfigError

PREDICTION = "prediction"


def expression(features: Sequence[str], coef: NDArray[np.float64], intercept: float, dialect: str) -> str:
    """Intercept + Σ coefⱼ·xⱼ, added feature by feature in order, as `gdpipe.numerics.linear.predict` does.

    Null where a feature is null or NaN.

    Args:
        features: Names of columns.
        coef: Shape (p,), target units per feature unit.
        intercept: In target units.
        dialect: One of sqlglot's.
    """
    return _prediction(features, coef, intercept, dialect).sql(dialect)


def select(features: Sequence[str], coef: NDArray[np.float64], intercept: float, dialect: str, table: str) -> str:
    """A query for every column of a table and the prediction beside them.

    Args:
        features: Names of columns.
        coef: Shape (p,), target units per feature unit.
        intercept: In target units.
        dialect: One of sqlglot's.
        table: As it stands in a FROM clause of that dialect.

    Raises:
        ConfigError: The table is no table.
    """
    try:
        source = sqlglot.parse_one(table, into=exp.Table, dialect=dialect)
    except sqlglot.errors.SqlglotError as error:
        raise ConfigError(f"table {table!r}: is no table in {dialect}; quote a name with odd characters") from error
    predicted = exp.alias_(_prediction(features, coef, intercept, dialect), PREDICTION, copy=False)
    return exp.select(exp.Star(), predicted, copy=False).from_(source, copy=False).sql(dialect)


def _prediction(features: Sequence[str], coef: NDArray[np.float64], intercept: float, dialect: str) -> exp.Expression:
    total: exp.Expression = _double(intercept)
    for name, weight in zip(features, coef.tolist(), strict=True):
        column = exp.Cast(this=exp.column(name, quoted=True), to=exp.DataType.build("double"))
        total = exp.Add(this=total, expression=exp.Mul(this=column, expression=_double(weight)))
    if dialect == "bigquery":  # where NaN = NaN is false
        return exp.If(this=exp.IsNan(this=total), true=exp.null(), false=total.copy())
    return exp.Nullif(this=total, expression=_double(float("nan")))


def _double(value: float) -> exp.Expression:
    """A literal: as text, since a bare 0.1 is a decimal in three of four dialects, and may be rounded twice."""
    text = "NaN" if value != value else repr(float(value))  # noqa: PLR0124  # only NaN differs from itself
    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build("double"))
