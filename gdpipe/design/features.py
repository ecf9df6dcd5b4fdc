"""Features, as a person asks for them: numbers, categories, and their products."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

# parts of a date or a timestamp, each a whole number but `days`, which are counted from 1970-01-01
PARTS = ("year", "month", "day", "weekday", "hour", "days")
FUNCTIONS = ("log", "sqrt", "abs")

# what the levels of a category are: texts, numbers, or false and true
LevelKind = Literal["text", "number", "boolean"]


@dataclass(frozen=True, slots=True)
class Input:
    """A source column in the form in which it is read.

    Attributes:
        column: The column's name.
        part: One of `PARTS`; None reads the column itself.
        levels: The kind of its levels, where it is read as a category; None reads numbers.
    """

    column: str
    part: str | None = None
    levels: LevelKind | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A factor that is a number in each row.

    Attributes:
        name: Its text in the names of terms, such as `log(x)`.
        input: The column it is made from.
        functions: What is applied to it, in order: names among `FUNCTIONS`, or a whole number, the exponent of a power.
    """

    # a product may have the name in backticks, and is still of the same number
    name: str = field(compare=False)
    input: Input
    functions: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Category:
    """A factor that has one of several levels in each row.

    Attributes:
        name: Its text in the names of terms, such as `carrier` or `C(hour)`.
        input: The column it is made from.
        reference: The label of the level to which the others are compared; None takes the first.
    """

    name: str = field(compare=False)
    input: Input
    reference: str | None = None


def made_of(factor: Number | Category) -> tuple[Input, tuple[str | int, ...]]:
    """The column of a factor and what is applied to it, whatever the reference of a category."""
    return factor.input, factor.functions if isinstance(factor, Number) else ()


def margin(factors: Iterable[Number | Category]) -> frozenset[tuple[Input, tuple[str | int, ...]]]:
    """The factors of a product, whatever the references of its categories."""
    return frozenset(map(made_of, factors))


@dataclass(frozen=True, slots=True)
class Feature:
    """What a person asks for: a factor, or the product of several.

    Attributes:
        factors: In the order of the text, each once.
    """

    factors: tuple[Number | Category, ...]

    @property
    def name(self) -> str:
        """The feature's text, such as `distance`, `C(hour)` or `distance:carrier`."""
        return ":".join(factor.name for factor in self.factors)

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The factors that are numbers."""
        return tuple(factor for factor in self.factors if isinstance(factor, Number))

    @property
    def categories(self) -> tuple[Category, ...]:
        """The factors that are categories."""
        return tuple(factor for factor in self.factors if isinstance(factor, Category))

    @property
    def columns(self) -> tuple[str, ...]:
        """The source columns, each once."""
        return tuple(dict.fromkeys(factor.input.column for factor in self.factors))


def factor_to_json(factor: Number | Category) -> dict[str, Any]:
    """The factor as plain values."""
    of = factor.input
    entry: dict[str, Any] = {"name": factor.name, "column": of.column}
    if of.part:
        entry["part"] = of.part
    if isinstance(factor, Category):
        entry |= {"levels": of.levels, "reference": factor.reference}
    elif factor.functions:
        entry["functions"] = list(factor.functions)
    return entry


def factor_from_json(entry: Mapping[str, Any]) -> Number | Category:
    """The factor that `factor_to_json` wrote.

    Raises:
        LookupError, TypeError, ValueError: It is damaged.
    """
    of = Input(str(entry["column"]), entry.get("part"), entry.get("levels"))
    if of.part not in (None, *PARTS) or of.levels not in (None, *get_args(LevelKind)):
        raise ValueError(f"column {of.column!r} is read as nothing that there is")
    if of.levels:
        return Category(str(entry["name"]), of, entry.get("reference"))
    return Number(str(entry["name"]), of, tuple(entry.get("functions", ())))
