"""What a setting may be: types with bounds, for Python, the terminal, the flows' form and the docs alike.

pydantic has such types, too, but its import takes 0.1 s, and a small run 0.6 s in all: so `flows/form.py` makes its
fields from these.
"""

import contextlib
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

# a host has no ':' and no '@' in it, or it stands in brackets
_ENGINE = r"threads|(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[^/\s@?:]+):[0-9]+"
_MEMORY = r"\s*(\d+(?:\.\d+)?)\s*([KkMmGg]?[Bb]|[KkMmGg][Ii][Bb])?\s*"
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
LEAST_MEMORY = 8 * 2**20
_IN_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a value of a type must be besides; gt, ge, le, min_length and examples are those of pydantic's `Field`.

    Attributes:
        pattern: Of the whole text; pydantic's regular expressions do not look around.
        further: A condition that no form can show.
        read: Makes the value from what a person wrote; ValueError where it cannot.
        wanted: The bounds in words; those of a number make themselves.
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
        """Whether a value of the type is within them."""
        return (
            (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.le is None or value <= self.le)
            and (self.min_length is None or len(value) >= self.min_length)
            and (self.pattern is None or re.fullmatch(self.pattern, value) is not None)
            and (self.further is None or self.further(value))
        )


def _column_names(value: Any) -> tuple[str, ...]:
    """Names as a,b,c, as a JSON list (where a name holds a comma), or as any collection of texts."""
    if isinstance(value, str):
        value = json.loads(value) if value.startswith("[") else [name.strip() for name in value.split(",")]
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
        raise ValueError
    names = tuple(value)
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ValueError
    return tuple(map(str, names))  # NumPy's texts, such as some of a data frame's columns, among them


def _fraction(value: Any) -> Any:
    """A number, or a text that is one or a percentage: 0.05, "0.05" and "5%" are the same."""
    if not isinstance(value, str):
        return value
    return float(value[:-1]) / 100 if value.endswith("%") else float(value)


def bytes_of(memory: str) -> int:
    """A size such as 512MiB in bytes."""
    found = re.fullmatch(_MEMORY, memory)
    assert found is not None  # a setting's pattern
    return int(float(found[1]) * _UNITS[(found[2] or "B").upper()])


Column = Annotated[str, Bounds(min_length=1, wanted="a column's name")]
Columns = Annotated[
    tuple[str, ...], Bounds(read=_column_names, wanted="a list of column names such as a,b, none named twice")
]
RowFilter = Annotated[Filters, Bounds(read=normalized, wanted="a condition in SQL, or lists of conditions")]
Location = Annotated[str, Bounds(min_length=1, wanted="a path or a URI")]
Positive = Annotated[float, Bounds(gt=0)]
Fraction = Annotated[float, Bounds(ge=0, read=_fraction, wanted="a number from 0, or a percentage such as 5%")]
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
RunId = Annotated[
    str,
    Bounds(
        pattern="[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
        wanted="1 to 100 letters, digits, '-' or '_', the first a letter or digit",
    ),
]


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types of which a value may be: those of a union, or the one."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def parts(kind: Any) -> tuple[Any, Bounds]:
    """A type without its bounds, and them."""
    return get_args(kind) if get_origin(kind) is Annotated else (kind, Bounds())


def checked(name: str, kind: Any, value: Any, *, of_text: bool = False) -> Any:
    """A setting's value as plain Python has it.

    Args:
        name: The setting.
        kind: Its type, with bounds.
        value: As a person gave it: NumPy's numbers, paths and whatever the type reads are taken.
        of_text: Whether a text may stand for a number, as on a terminal.

    Raises:
        ConfigError: It is of another type or out of bounds.
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
    """What a value must be; that it may be left out is not said."""
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
    """A value of one type; ValueError where it is none."""
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
        return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max  # so that NaN is none
    return isinstance(value, base)
