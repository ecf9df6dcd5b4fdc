"""The text of a feature, such as `C(hour)` or `log(x):carrier`, as a `Feature`.

The grammar is R's and patsy's for one term, without operators that stand for several terms. formulaic reads such texts,
too, but would bring pandas and SciPy into every run for it; Python's own parser reads a factor as well.
"""

import ast
import dataclasses
import difflib
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gdpipe.design.features import FUNCTIONS, PARTS, Category, Feature, Input, LevelKind, Number, made_of, margin
from gdpipe.design.functions import ELSEWHERE, applied_name
from gdpipe.design.names import number_label, quoted, typed
from gdpipe.errors import ConfigError
from gdpipe.kinds import pieces

# what a column can become: `time` is a timestamp; `other` can be no feature
ColumnKind = Literal["number", "text", "boolean", "time", "date", "other"]

LEAST_POWER, LARGEST_POWER = 2, 10
_IN_WORDS: dict[ColumnKind, str] = {
    "number": "a number",
    "text": "a category (text)",
    "boolean": "a category (true or false)",
    "time": "a timestamp",
    "date": "a date",
    "other": "of a type that is neither number, text, true or false, date nor timestamp",
}
_EXAMPLES = "x, log(x), x**2, month(t), C(x), x:z"
# quoted texts are matched so that backticks in them are left alone
_BACKTICKS = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`((?:[^`]|``)+)`""")


def features_of(
    texts: Iterable[str], names: Collection[str], kind_of: Callable[[str], ColumnKind], roles: Mapping[str, str]
) -> tuple[Feature, ...]:
    """The features of a regression, in order.

    A reference that one feature names for a category is that of all features with the category.

    Args:
        texts: One feature each.
        names: The columns that there are; one whose name is the whole text, or a whole factor of a product, is meant.
        kind_of: What a column can become; it raises an error for a column that cannot be used or is not there.
        roles: The columns that cannot be used in a feature, and what they are, such as `target`.

    Raises:
        ConfigError: A text is no feature, two are the same feature, or one uses the target or the weight.
    """
    found: dict[frozenset[Any], tuple[str, Feature]] = {}
    references: dict[Input, str] = {}
    for text in texts:
        feature = feature_of(text, names, kind_of)
        for column in feature.columns:
            if column in roles:
                raise ConfigError(f"features: {text!r} uses {column!r}, which is the {roles[column]}; leave it out")
        same = margin(feature.factors)
        if same in found:
            raise ConfigError(f"features: {text!r} is the same as {found[same][0]!r}; name it once")
        found[same] = text, feature
        for category in feature.categories:
            if category.reference is not None:
                known = references.setdefault(category.input, category.reference)
                if known != category.reference:
                    raise ConfigError(
                        f"features: {category.name} has the references {known!r} and {category.reference!r}; name one"
                    )

    def referring(factor: Number | Category) -> Number | Category:
        if isinstance(factor, Category) and factor.input in references:
            return dataclasses.replace(factor, reference=references[factor.input])
        return factor

    return tuple(Feature(tuple(map(referring, feature.factors))) for _, feature in found.values())


def feature_of(text: str, names: Collection[str], kind_of: Callable[[str], ColumnKind]) -> Feature:
    """The feature that a text stands for; arguments and errors as in `features_of`."""
    parser = _Parser(text, names, kind_of)
    if text in names:
        return Feature((parser.column(text, text),))
    parts = pieces(text, ":")
    if len(parts) == 1:
        return Feature((parser.factor(parts[0], alone=True),))
    factors = tuple(parser.factor(part, alone=False) for part in parts)
    for place, factor in enumerate(factors):
        if made_of(factor) in map(made_of, factors[:place]):
            hint = "; write its power, such as x**2" if isinstance(factor, Number) else ""
            raise parser.error(f"{factor.name} is in the product twice{hint}")
    return Feature(factors)


@dataclass(frozen=True, slots=True)
class _Parser:
    text: str
    names: Collection[str]
    kind_of: Callable[[str], ColumnKind]

    def error(self, reason: str) -> ConfigError:
        return ConfigError(f"features: {self.text!r}: {reason}")

    def factor(self, text: str, *, alone: bool) -> Number | Category:
        """A factor; the name of a plain column needs no backticks where it stands alone."""
        if text in self.names:
            return self.column(text, text if alone else quoted(text))
        hidden: dict[str, str] = {}

        def hide(found: re.Match[str]) -> str:
            if found[1]:
                return found[1]
            hidden[name := f"__column_{len(hidden)}__"] = found[2].replace("``", "`")
            return name

        source = _BACKTICKS.sub(hide, text)
        if "#" in _BACKTICKS.sub("", text):  # Python would take the rest for a comment
            raise self.neither(text)
        try:
            with warnings.catch_warnings(action="ignore"):  # of escapes that Python does not know
                node = ast.parse(source, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self.neither(text) from None
        factor = _Expression(self, source, hidden).read(node)
        plain = alone and factor.name == quoted(factor.input.column)
        return dataclasses.replace(factor, name=factor.input.column) if plain else factor

    def neither(self, text: str) -> ConfigError:
        near = difflib.get_close_matches(text, self.names, n=1)
        meant = f"; did you mean {typed(near[0])!r}?" if near else ""
        return self.error(
            f"{text!r} is neither a column nor a feature such as {_EXAMPLES} (names with blanks or signs in them stand "
            f"in backticks){meant}"
        )

    def column(self, column: str, name: str) -> Number | Category:
        """A plain column: a number, or a category."""
        kind = self.kind_of(column)
        if kind == "number":
            return Number(name, Input(column))
        if kind in ("text", "boolean"):
            levels: LevelKind = "text" if kind == "text" else "boolean"
            return Category(name, Input(column, None, levels))
        raise self.error(f"column {column!r} is {_IN_WORDS[kind]}{self._dates(column, kind)}")

    def _dates(self, column: str, kind: ColumnKind) -> str:
        """What to do with a date or a timestamp."""
        if kind not in ("date", "time"):
            return "; leave it out, or write it into the source as one of these"
        named = quoted(column)
        return f"; write days({named}), or a part of it, such as month({named}) or C(weekday({named}))"


@dataclass(frozen=True, slots=True)
class _Expression:
    """A factor's text, in which `hidden` has the columns that stood in backticks."""

    parser: _Parser
    source: str
    hidden: Mapping[str, str]

    def read(self, node: ast.expr) -> Number | Category:
        match node:
            case ast.Name():
                column = self._column(node)
                return self.parser.column(column, quoted(column))
            case ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=int(power))) if type(power) is int:
                if not LEAST_POWER <= power <= LARGEST_POWER:
                    raise self._operator(node)
                number = self._number(base, "a power")
                return Number(applied_name(power, number.name), number.input, (*number.functions, power))
            case ast.BinOp():
                raise self._operator(node)
            case ast.Call(func=ast.Name(id="C")):
                return self._category(node)
            case ast.Call(func=ast.Name(id=function), args=[argument], keywords=[]) if function in PARTS:
                of = self._part(function, argument)
                return Number(f"{function}({quoted(of.column)})", of)
            case ast.Call(func=ast.Name(id=function), args=[argument], keywords=[]) if function in FUNCTIONS:
                number = self._number(argument, function)
                return Number(applied_name(function, number.name), number.input, (*number.functions, function))
            case ast.Call(func=ast.Name(id=function)) if function in (*PARTS, *FUNCTIONS):
                raise self.parser.error(f"{function} takes one column, such as {function}(x)")
            case ast.Call(func=ast.Name() | ast.Attribute()):
                raise self._unknown(node)
        raise self.parser.neither(self._said(node))

    def _said(self, node: ast.expr) -> str:
        """The text of a part, as the user wrote it."""
        said = ast.get_source_segment(self.source, node) or ""
        for name, column in self.hidden.items():
            said = said.replace(name, quoted(column))
        return said

    def _column(self, node: ast.Name) -> str:
        # not node.id, in which Python has normalized the letters
        name = ast.get_source_segment(self.source, node) or node.id
        return self.hidden.get(name, name)

    def _number(self, node: ast.expr, wanted_by: str) -> Number:
        found = self.read(node)
        if isinstance(found, Category):
            raise self.parser.error(
                f"{found.name} is a category, and {wanted_by} needs a number; leave the function out"
            )
        return found

    def _part(self, part: str, argument: ast.expr) -> Input:
        if not isinstance(argument, ast.Name):
            raise self.parser.error(f"{part} takes a column, not {self._said(argument)}")
        column = self._column(argument)
        kind = self.parser.kind_of(column)
        if kind not in ("date", "time"):
            hint = "; write its dates into the source as dates" if kind == "text" else ""
            raise self.parser.error(f"{part} needs a date or a timestamp, and {column!r} is {_IN_WORDS[kind]}{hint}")
        if part == "hour" and kind == "date":
            raise self.parser.error(
                f"{column!r} is a date, which has no hour; parts of it are year, month, day, weekday and days"
            )
        return Input(column, part)

    def _category(self, node: ast.Call) -> Category:
        match node:
            case ast.Call(args=[argument], keywords=[]):
                reference = None
            case ast.Call(args=[argument], keywords=[ast.keyword(arg="ref", value=value)]):
                reference = value
            case _:
                raise self.parser.error('C takes a column and perhaps a reference, such as C(x, ref="a")')
        match argument:
            case ast.Name():
                of, name = self._levels(argument)
            case ast.Call(func=ast.Name(id=part), args=[column], keywords=[]) if part in PARTS:
                of = dataclasses.replace(self._part(part, column), levels="number")
                name = f"C({part}({quoted(of.column)}))"
            case _:
                raise self.parser.error(
                    f"C takes a column or a part of a date, such as C(hour) or C(month(t)), not {self._said(argument)}"
                )
        return Category(name, of, None if reference is None else self._reference(reference, of))

    def _levels(self, node: ast.Name) -> tuple[Input, str]:
        column = self._column(node)
        kind = self.parser.kind_of(column)
        if kind == "number":
            return Input(column, None, "number"), f"C({quoted(column)})"
        if kind == "date":
            return Input(column, None, "text"), f"C({quoted(column)})"
        if kind == "time":
            named = quoted(column)
            raise self.parser.error(
                f"{column!r} is a timestamp, of which nearly every value is another; write C(days({named})), "
                f"C(month({named})) or another part of it"
            )
        # text and booleans are categories without C(), too, and have one name
        return self.parser.column(column, quoted(column)).input, quoted(column)

    def _reference(self, node: ast.expr, of: Input) -> str:
        """The label of a reference: one level has one label, however it is written."""
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            value = None
        if of.levels == "text" and isinstance(value, str):
            return value
        if of.levels == "boolean" and str(value).lower() in ("true", "false"):
            return str(value).lower()
        if of.levels == "number" and type(value) in (int, float):
            return number_label(value)
        wanted = {"text": 'a text, such as ref="a"', "boolean": "ref=True or ref=False", "number": "a number"}
        raise self.parser.error(
            f"the reference of {of.column!r} must be {wanted[of.levels or 'text']}, not {self._said(node)}"
        )

    def _operator(self, node: ast.BinOp) -> ConfigError:
        left, right = self._said(node.left), self._said(node.right)
        if isinstance(node.op, ast.Mult):
            return self.parser.error(f"name each feature by itself: {left}, {right} and {left}:{right}")
        if isinstance(node.op, ast.Add):
            return self.parser.error(f"name each feature by itself: {left} and {right}")
        if isinstance(node.op, ast.Pow):
            return self.parser.error(f"powers are whole numbers from {LEAST_POWER} to {LARGEST_POWER}, not {right}")
        if isinstance(node.op, ast.BitXor):
            return self.parser.error(f"write a power as {left}**{right}")
        return self.parser.neither(self.parser.text)

    def _unknown(self, node: ast.Call) -> ConfigError:
        known = [*FUNCTIONS, *PARTS, "C"]
        said = self._said(node.func)
        name = said.rpartition(".")[2]
        if instead := ELSEWHERE.get(said):
            return self.parser.error(f"unknown function {said}; {instead}")
        near = [name] if name in known else difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        return self.parser.error(f"unknown function {said}; {hint}")
