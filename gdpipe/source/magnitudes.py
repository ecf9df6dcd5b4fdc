"""The largest magnitudes in a file: from its footer, or from its rows where the footer has no statistics."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.source.budget import LARGEST_BATCH
from gdpipe.source.columns import float64
from gdpipe.source.files import reading
from gdpipe.source.open_files import OpenFiles
from gdpipe.source.source_file import SourceFile

# version of the cache's entries; an entry with another meaning needs another
VERSION = 4


class Cache(Protocol):
    """A cache of plain values between runs, each entry under a description of all that it depends on."""

    def load(self, of: Any) -> dict[str, Any] | None:
        """The entry; None where there is none that is whole."""

    def store(self, of: Any, entry: dict[str, Any]) -> None:
        """Write an entry: plain values, by name."""

    def discard(self, of: Any, complaint: str) -> None:
        """Remove an entry that cannot be used."""


def largest_in_file(
    opened: OpenFiles, file: SourceFile, names: Sequence[str], cache: Cache | None
) -> NDArray[np.float64]:
    """The largest magnitude of each column of a file, shape (len(names),).

    Raises:
        DataError: The file cannot be read.
        PublishError: The cache cannot be written.
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
        for name, size in _largest_read(opened, file, silent, cache).items():
            largest[name] = max(largest[name], size)
    return np.array([largest[name] for name in names])


def _largest_read(
    opened: OpenFiles, file: SourceFile, silent: dict[int, list[str]], cache: Cache | None
) -> dict[str, float]:
    """The largest magnitudes in the row groups and columns for which the footer has no statistics."""
    of = {"largest": VERSION, "file": file.fingerprint, "silent": sorted(silent.items())}
    largest = _cached(cache, of, set().union(*silent.values())) if cache else {}
    if largest:
        return largest
    with opened.reader(file) as parquet:
        for g, name in ((g, name) for g, names in silent.items() for name in names):
            with reading(file.path, g):  # one column at a time, so that memory holds one page and one batch
                for batch in parquet.iter_batches(LARGEST_BATCH, row_groups=[g], columns=[name], use_threads=False):
                    size = float(np.abs(float64(batch.column(name))[0]).max(initial=0.0))
                    largest[name] = max(largest.get(name, 0.0), size)
    # neither the reader's pages nor the pool's free memory wait for the scan, which opens the file again
    del parquet
    opened.close(file)
    pa.default_memory_pool().release_unused()
    if cache:
        # JSON has no infinity
        cache.store(of, {"largest": {name: size if math.isfinite(size) else None for name, size in largest.items()}})
    return largest


def _cached(cache: Cache, of: Any, names: set[str]) -> dict[str, float]:
    """The magnitudes in the cache; empty where it has none, or none that these columns can have."""
    entry = cache.load(of)
    if entry is None:
        return {}
    with contextlib.suppress(AttributeError, KeyError, OverflowError, TypeError, ValueError):
        largest = {name: math.inf if size is None else float(size) for name, size in entry["largest"].items()}
        if largest.keys() == names and all(size >= 0 for size in largest.values()):
            return largest
    cache.discard(of, "damaged (no columns have such magnitudes)")
    return {}
