"""The largest magnitudes in a file: from its footer, and where that is silent from its rows."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gdpipe.source.budget import LARGEST_BATCH
from gdpipe.source.columns import numbers
from gdpipe.source.files import reading
from gdpipe.source.open_files import OpenFiles
from gdpipe.source.source_file import SourceFile

# of an entry that is kept: another meaning is another version
VERSION = 4


class Cache(Protocol):
    """Where plain values are kept between runs, under a description of all that they depend on."""

    def load(self, of: Any) -> dict[str, Any] | None:
        """What was kept; None where there is nothing that is whole."""

    def store(self, of: Any, entry: dict[str, Any]) -> None:
        """Keep plain values, by name."""

    def discard(self, of: Any, complaint: str) -> None:
        """Remove what cannot be used."""


def largest_in_file(
    opened: OpenFiles, file: SourceFile, names: Sequence[str], kept: Cache | None
) -> NDArray[np.float64]:
    """The largest magnitude of each column of a file, shape (len(names),); what `Source.largest` puts together.

    Raises:
        DataError: The file cannot be read.
        PublishError: What had to be read cannot be kept.
    """
    largest = {name: abs(float(file.partition.get(name) or 0)) for name in names}
    silent: dict[int, list[str]] = {}
    for g, known in opened.bounds(file, names):
        for name, bounds in known.items():
            magnitude = bounds.magnitude(file.schema.field(name).type)
            if magnitude is None:
                silent.setdefault(g, []).append(name)
            else:
                largest[name] = max(largest[name], magnitude)
    if silent:
        for name, size in _largest_read(opened, file, silent, kept).items():
            largest[name] = max(largest[name], size)
    return np.array([largest[name] for name in names])


def _largest_read(
    opened: OpenFiles, file: SourceFile, silent: dict[int, list[str]], kept: Cache | None
) -> dict[str, float]:
    """The largest magnitudes in those row groups and columns that the footer says nothing about."""
    of = {"largest": VERSION, "file": file.fingerprint, "silent": sorted(silent.items())}
    largest = _kept(kept, of, set().union(*silent.values())) if kept else {}
    if largest:
        return largest
    with opened.reader(file) as parquet:
        for g, name in ((g, name) for g, names in silent.items() for name in names):
            with reading(file.path, g):  # one by one: what is held is a page and a batch, however many there are
                for batch in parquet.iter_batches(LARGEST_BATCH, row_groups=[g], columns=[name], use_threads=False):
                    size = float(np.abs(numbers(batch, [name]).columns[0]).max(initial=0.0))
                    largest[name] = max(largest.get(name, 0.0), size)
    if kept:
        # JSON has no infinity
        kept.store(of, {"largest": {name: size if math.isfinite(size) else None for name, size in largest.items()}})
    return largest


def _kept(kept: Cache, of: Any, names: set[str]) -> dict[str, float]:
    """The magnitudes kept of it; none where they are not there, or cannot be those of these columns."""
    entry = kept.load(of)
    if entry is None:
        return {}
    with contextlib.suppress(AttributeError, KeyError, OverflowError, TypeError, ValueError):
        largest = {name: math.inf if size is None else float(size) for name, size in entry["largest"].items()}
        if largest.keys() == names and all(size >= 0 for size in largest.values()):
            return largest
    kept.discard(of, "damaged (no columns have such magnitudes)")
    return {}
