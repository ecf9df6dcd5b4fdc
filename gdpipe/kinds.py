"""Types of settings, with bounds, for Python, the terminal, the flows' form and the docs.

pydantic has such types, too, but its import would take 0.1 s of the 0.6 s of a small run. So `flows/form.py` makes
pydantic's types from these.
"""

import contextlib
import functools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np

from gdpipe.errors import ConfigError
from gdpipe.filters import Filters, normalized
from gdpipe.location import shown, without_credentials

# a host has no ':' and no '@', unless it is in brackets
_ENGINE = r"threads|(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[^/\s@?:]+):[0-9]+"
_MEMORY = r"\s*(\d+(?:\.\d+)?)\s*([KkMmGg]?[Bb]|[KkMmGg][Ii][Bb])?\s*"
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
LEAST_MEMORY = 8 * 2**20
_IN_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds on the values of a type; gt, ge, le, min_length and examples are those of pydantic's `Field`.

    Attributes:
        pattern: A pattern of the whole text, without look-around, which pydantic does not support.
        further: A further condition, which a form cannot show.
        read: A function that makes the value from what the user wrote, and raises ValueError where it cannot.
        wanted: The bounds in words; None where `in_words` makes them of a number's limits.
    """

    gt: float | None = None
    ge: float | None = None
    le: float | None = None
    min_length: int | None = None
    pattern: str | None = None
    further: Callable[[Any], bool] | None = None
    examples: tuple[str, ...] | None = None
    read: Callable[[Any], Any] | None = None
    wanted: str | None = None

    def hold(self, value: Any) -> bool:
        """Whether a value of the type is within the bounds."""
        return (
            (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.le is None or value <= self.le)
            and (self.min_length is None or len(value) >= self.min_length)
            and (self.pattern is None or re.fullmatch(self.pattern, value) is not None)
            and (self.further is None or self.further(value))
        )


def _column_names(value: Any) -> tuple[str, ...]:
    """The names in a,b,c, in a JSON list (for names with a comma), or in any collection of texts."""
    if isinstance(value, str):
        value = json.loads(value) if value.startswith("[") else [name.strip() for name in value.split(",")]
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
        raise ValueError
    names = tuple(value)
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ValueError
    return tuple(map(str, names))  # NumPy's texts, as in some data frames, become plain


def pieces(text: str, separator: str) -> list[str]:
    """The parts of a text between separators, stripped; those in parentheses, quotes or backticks separate nothing.

    Quotes count inside parentheses only: elsewhere they are part of a name. Where something is left open, every
    separator counts, as in a text without such signs.
    """
    found, start, depth, inside, escaped = [], 0, 0, "", False
    for at, sign in enumerate(text):
        if escaped:
            escaped = False
        elif inside:
            escaped = sign == "\\" and inside != "`"  # as in Python's texts
            inside = "" if sign == inside else inside
        elif sign == "`" or (depth and sign in "\"'"):
            inside = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if depth < 0:
                break
        elif sign == separator and not depth:
            found.append(text[start:at])
            start = at + 1
    if depth or inside:
        return [piece.strip() for piece in text.split(separator)]
    return [piece.strip() for piece in (*found, text[start:])]


def _features(value: Any) -> tuple[str, ...]:
    """As `_column_names`, but a text is not split at commas inside a feature, such as C(carrier, ref="UA")."""
    if isinstance(value, str) and not value.startswith("["):
        value = pieces(value, ",")
    return _column_names(value)


class Percentage(float):
    """A fraction above 1, which was given as a percentage."""


def _fraction(value: Any) -> Any:
    """The number that is given as a number, a text or a percentage: 0.05, "0.05" and "5%" are the same."""
    if not isinstance(value, str):
        return value
    if not value.strip().endswith("%"):
        return float(value)
    share = float(value.strip()[:-1]) / 100
    return Percentage(share) if share > 1 else share


def bytes_of(memory: str) -> int:
    """The bytes of a size such as 512MiB."""
    found = re.fullmatch(_MEMORY, memory)
    assert found is not None  # the setting's pattern has been checked
    return int(float(found[1]) * _UNITS[(found[2] or "B").upper()])


Column = Annotated[str, Bounds(min_length=1, wanted="a column's name")]
Columns = Annotated[
    tuple[str, ...], Bounds(read=_column_names, wanted="a list of column names such as a,b, none named twice")
]
Features = Annotated[
    tuple[str, ...], Bounds(read=_features, wanted="a list of features such as a,log(b),C(c), none named twice")
]
RowFilter = Annotated[Filters, Bounds(read=normalized, wanted="a condition in SQL, or lists of conditions")]
Holdout = Annotated[
    Filters,
    Bounds(read=functools.partial(normalized, setting="holdout"), wanted="a condition in SQL, or lists of conditions"),
]
Location = Annotated[str, Bounds(min_length=1, wanted="a path or a URI")]
Positive = Annotated[float, Bounds(gt=0)]
# beyond these the squares of standardized coefficients are none that float64 holds
Alpha = Annotated[float, Bounds(ge=1e-30, le=1e30)] | Literal["auto", "auto_1se"]
Fraction = Annotated[
    float,
    Bounds(
        ge=0,
        # a 5 means 5 % more often than 500 %
        further=lambda value: value <= 1 or isinstance(value, Percentage),
        read=_fraction,
        wanted="a number from 0 to 1, or a percentage such as 5%",
    ),
]
Memory = Annotated[
    str,
    Bounds(
        pattern=_MEMORY,
        further=lambda memory: bytes_of(memory) >= LEAST_MEMORY,
        examples=("512MiB", "2GB"),
        wanted="a size from 8MiB, such as 512MiB or 2GB",
    ),
]
Engine = Annotated[
    str,
    Bounds(
        pattern=_ENGINE,
        examples=("threads", "tcp://127.0.0.1:8786"),
        wanted="threads, or a Dask scheduler's address such as tcp://10.0.0.5:8786, without user and password",
    ),
]
Workers = Annotated[int, Bounds(ge=1)] | Literal["auto"]
RunId = Annotated[
    str,
    Bounds(
        pattern="[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
        wanted="1 to 100 letters, digits, '-' or '_', the first a letter or digit",
    ),
]


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types in a union, or the one type."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def plain(kind: Any) -> Any:
    """A type without bounds, as Python shows it in a signature."""
    found = [parts(each)[0] for each in alternatives(kind)]
    return Union[tuple(found)] if len(found) > 1 else found[0]  # noqa: UP007  # the types are known at run time


def parts(kind: Any) -> tuple[Any, Bounds]:
    """A type without its bounds, and the bounds."""
    return get_args(kind) if get_origin(kind) is Annotated else (kind, Bounds())


def checked(name: str, kind: Any, value: Any, *, of_text: bool = False) -> Any:
    """The value of a setting as a plain Python value.

    Args:
        name: The setting.
        kind: Its type, with bounds.
        value: The value that the user gave; NumPy's numbers, paths and all that the type can read are accepted.
        of_text: Whether a number may be given as a text, as on a terminal.

    Raises:
        ConfigError: The value is of another type or out of bounds.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif isinstance(value, (np.number, np.bool_)):
        value = value.item()
    for each in alternatives(kind):
        with contextlib.suppress(ValueError):
            return _as(each, value, of_text=of_text)
    said = repr(shown(value)) if isinstance(value, str) else without_credentials(repr(value))
    raise ConfigError(f"{name} {said}: must be {in_words(kind)}")


def in_words(kind: Any) -> str:
    """The values of a type in words, without None."""
    return ", or ".join(_in_words(each) for each in alternatives(kind) if each is not NoneType)


def _in_words(kind: Any) -> str:
    base, bounds = parts(kind)
    if get_origin(base) is Literal:
        choices = get_args(base)
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    limits = (("above", bounds.gt), ("from", bounds.ge), ("up to", bounds.le))
    stated = (f" {word} {limit:,}" for word, limit in limits if limit is not None)
    return bounds.wanted or _IN_WORDS[base] + "".join(stated)


def _as(kind: Any, value: Any, *, of_text: bool) -> Any:
    """The value of one type; ValueError where it is not of the type."""
    base, bounds = parts(kind)
    if get_origin(base) is Literal:
        fits = isinstance(value, str) and value in get_args(base)
    else:
        read = bounds.read or (base if of_text and base in (int, float) else None)
        value = read(value) if read else value
        fits = _is(get_origin(base) or base, value) and bounds.hold(value)
    if not fits:
        raise ValueError
    return value


def _is(base: Any, value: Any) -> bool:
    if isinstance(value, bool):
        return base is bool
    if base is float:
        return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max  # false for NaN, too
    return isinstance(value, base)
