"""The values of columns in SQL: numbers, parts of dates and times, and what is made of them."""

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlglot import exp

from gdpipe.design import Design, Input, Number
from gdpipe.errors import ConfigError

# dialects that cast a boolean to an integer, but not to a double
BOOLEANS_ARE_INTEGERS = ("bigquery", "postgres")
FUNCTIONS: dict[str, Callable[..., exp.Expression]] = {"log": exp.Ln, "sqrt": exp.Sqrt, "abs": exp.Abs}
DAY_MICROSECONDS = 86_400_000_000
# whole numbers from this size on are written as doubles: not every dialect has such integers
INTEGERS = 2**63


def double(value: float) -> exp.Expression:
    """A literal, cast from text: 0.1 alone is a decimal in three of four dialects, and may be rounded twice."""
    text = "NaN" if value != value else repr(float(value))  # noqa: PLR0124  # only NaN differs from itself
    return as_double(exp.Literal.string(text))


def as_double(value: exp.Expression) -> exp.Expression:
    """A value cast to a double."""
    return exp.Cast(this=value, to=exp.DataType.build("double"))


def level_value(label: str, of: Input) -> exp.Expression:
    """The value of a level.

    Raises:
        ConfigError: No SQL has such a text.
    """
    if of.levels == "boolean":
        return exp.Boolean(this=label == "true")
    if of.levels == "number":
        whole = not label.strip("-0123456789") and abs(int(label)) < INTEGERS
        return exp.Literal.number(label) if whole else double(float(label))
    if "\0" in label:
        raise ConfigError(
            f"level {label!r} of {of.column}: SQL cannot hold a text with a NUL; correct it in the data and train again"
        )
    return exp.Literal.string(label)


@dataclass(frozen=True, slots=True)
class ColumnValues:
    """The values of a design's columns in one dialect.

    Every method raises ConfigError where the dialect cannot take a part of a column in its time zone.
    """

    design: Design
    dialect: str

    def product(self, factors: Iterable[Number]) -> exp.Expression:
        """A product of numbers, multiplied in the order of `Design.number_values`."""
        return functools.reduce(lambda left, right: exp.Mul(this=left, expression=right), map(self._number, factors))

    def _number(self, factor: Number) -> exp.Expression:
        value: exp.Expression = self.of(factor.input)
        if factor.input.column in self.design.booleans and self.dialect in BOOLEANS_ARE_INTEGERS:
            value = exp.Cast(this=value, to=exp.DataType.build("int"))
        value = as_double(value)
        for function in factor.functions:
            if isinstance(function, int):
                power = value
                for _ in range(function - 1):
                    power = exp.Mul(this=power, expression=value.copy())
                # in parentheses, so that it is multiplied first wherever it stands
                value = exp.Paren(this=power)
            else:
                value = FUNCTIONS[function](this=value)
        return value

    def of(self, read: Input) -> exp.Expression:
        """A column, or a part of it."""
        column: exp.Expression = exp.column(read.column, quoted=True)
        if read.part is None:
            return column
        moment = self._moment(read, column)
        if read.part == "days":
            midnight = exp.Cast(this=moment.copy(), to=exp.DataType.build("date"))
            rest = exp.Div(this=as_double(self._microseconds(moment, midnight)), expression=double(DAY_MICROSECONDS))
            return exp.Paren(this=exp.Add(this=as_double(self._days(midnight.copy())), expression=rest))
        if read.part == "weekday":
            return self._weekday(moment)
        return exp.Extract(this=exp.var(read.part.upper()), expression=moment)

    def is_missing(self, category: Input) -> exp.Expression:
        """Whether a category is missing: null, or a number that is NaN."""
        value = self.of(category)
        null = exp.Is(this=value, expression=exp.null())
        if category.levels != "number" or category.part is not None:
            return null
        if self.dialect == "bigquery":  # in which NaN = NaN is false
            return exp.Or(this=null, expression=exp.IsNan(this=as_double(value.copy())))
        return exp.Or(this=null, expression=exp.EQ(this=as_double(value.copy()), expression=double(float("nan"))))

    def _moment(self, read: Input, column: exp.Expression) -> exp.Expression:
        """A date or a timestamp as a timestamp without a zone: what clocks show in the column's own zone."""
        zone = self.design.zones.get(read.column)
        if zone is None:
            return exp.Cast(this=column, to=exp.DataType.build("timestampntz"))
        what = f"{read.part}({read.column}): the column has the time zone {zone}"
        if self.dialect == "spark":
            raise ConfigError(f"{what}, and spark knows that of its session only; train on a column without a zone")
        if re.fullmatch(r"[+-]\d\d:?\d\d", zone):
            # DuckDB has no such zones, and in PostgreSQL +01:00 lies west of Greenwich
            raise ConfigError(f"{what}, and SQL has zones with names only; train on a column in UTC or Europe/Paris")
        in_zone = exp.Literal.string(zone)
        if self.dialect == "bigquery":
            return exp.Anonymous(this="DATETIME", expressions=[column, in_zone])
        return exp.Paren(this=exp.AtTimeZone(this=column, zone=in_zone))

    def _weekday(self, moment: exp.Expression) -> exp.Expression:
        """The day of the week, Monday 0."""
        if self.dialect == "spark":
            return exp.Anonymous(this="WEEKDAY", expressions=[moment])
        if self.dialect == "bigquery":  # in which Sunday is 1
            sunday_1 = exp.Extract(this=exp.var("DAYOFWEEK"), expression=moment)
            monday_7 = exp.Add(this=sunday_1, expression=exp.Literal.number(5))
            return exp.Mod(this=exp.Paren(this=monday_7), expression=exp.Literal.number(7))
        monday_1 = exp.Extract(this=exp.var("ISODOW"), expression=moment)
        return exp.Paren(this=exp.Sub(this=monday_1, expression=exp.Literal.number(1)))

    def _days(self, date: exp.Expression) -> exp.Expression:
        """Whole days since 1970."""
        start = exp.Cast(this=exp.Literal.string("1970-01-01"), to=exp.DataType.build("date"))
        if self.dialect in {"duckdb", "postgres"}:
            return exp.Sub(this=date, expression=start)
        return exp.DateDiff(this=date, expression=start, unit=exp.var("DAY"))

    def _microseconds(self, moment: exp.Expression, date: exp.Expression) -> exp.Expression:
        """Microseconds since midnight: a whole number, so that nothing is rounded but the division."""
        midnight = exp.Cast(this=date, to=exp.DataType.build("timestampntz"))
        if self.dialect == "duckdb":
            return exp.Anonymous(this="DATE_DIFF", expressions=[exp.Literal.string("us"), midnight, moment])
        if self.dialect == "postgres":
            seconds = exp.Extract(this=exp.var("EPOCH"), expression=exp.Sub(this=moment, expression=midnight))
            return exp.Mul(this=seconds, expression=exp.Literal.number(1_000_000))
        unit = exp.var("MICROSECOND")
        if self.dialect == "bigquery":
            return exp.Anonymous(this="DATETIME_DIFF", expressions=[moment, midnight, unit])
        return exp.Anonymous(this="TIMESTAMPDIFF", expressions=[unit, midnight, moment])
