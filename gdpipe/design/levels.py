"""The levels of a category in order, and the level in which rare ones are joined."""

from collections.abc import Iterable

from gdpipe.design.features import Input

# the level of all rows whose own level is rare
OTHER = "(other)"


def ordered(labels: Iterable[str], of: Input) -> list[str]:
    """Labels in the order of their level: numbers by size, texts by their characters; `(other)` is the last."""
    return sorted(labels, key=lambda label: (label == OTHER, _size(label, of), label))


def _size(label: str, of: Input) -> float:
    return float(label) if of.levels == "number" and label != OTHER else 0.0
