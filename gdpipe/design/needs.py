"""Kinds of values that a column must hold so that a fit can read it, in words."""

from gdpipe.design.features import Input, LevelKind
from gdpipe.design.formula import ColumnKind

# by the kind of levels, what an input can be read from, and that in words
_NUMBERS: tuple[set[ColumnKind], str] = ({"number", "boolean"}, "numbers: integers, floats, decimals or booleans")
_LEVELS: dict[LevelKind | None, tuple[set[ColumnKind], str]] = {
    None: _NUMBERS,
    "number": _NUMBERS,
    "text": ({"text", "date"}, "text or dates"),
    "boolean": ({"boolean"}, "booleans"),
}


def needed_instead(of: Input, zone: str | None, kind: ColumnKind, *, zoned: bool) -> str | None:
    """Kind of values that a fit needs in place of a column's, in words; None where the column can be read.

    Args:
        of: What the fit makes of it.
        zone: The time zone that it had in the fit, if it had one.
        kind: What the column can become.
        zoned: Whether it holds timestamps with a time zone.
    """
    if of.part is None:
        kinds, words = _LEVELS[of.levels]
        return None if kind in kinds else words
    if kind == "date" and of.part != "hour":
        return None
    if kind == "time" and zoned == (zone is not None):
        return None
    if kind == "time":
        return "timestamps without a time zone" if zone is None else f"timestamps with a time zone, such as {zone}"
    return "timestamps" if of.part == "hour" else "dates or timestamps"
