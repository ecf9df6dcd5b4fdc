"""The largest magnitudes in a file: from its footer, and where that is silent from its rows."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gdpipe.source.budget import LARGEST_BATCH, STORE_READ_BYTES
from gdpipe.source.columns import numbers
from gdpipe.source.files import reading
from gdpipe.source.footer import open_as_listed
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
    filesystem: pafs.FileSystem, file: SourceFile, names: Sequence[str], kept: Cache | None
) -> NDArray[np.float64]:
    """The largest magnitude of each column of a file, shape (len(names),); what `Source.largest` puts together.

    Raises:
        DataError: The file cannot be read.
        PublishError: What had to be read cannot be kept.
    """
    largest = {name: abs(float(file.partition.get(name) or 0)) for name in names}
    # a column of type null has no value, and a file without rows may lack any
    there = {field.name for field in file.schema if not pa.types.is_null(field.type)}
    stored = [name for name in names if name not in file.partition and name in there]
    silent: dict[int, list[str]] = {}
    with (
        reading(file.path),
        pq.ParquetFile(open_as_listed(filesystem, file), pre_buffer=False, buffer_size=STORE_READ_BYTES) as parquet,
    ):
        places = dict(zip(parquet.schema_arrow.names, first_leaves(parquet.schema_arrow), strict=True))
        for g in range(parquet.metadata.num_row_groups):
            group = parquet.metadata.row_group(g)
            for name in stored if group.num_rows else []:
                ends = _ends(group.column(places[name]).statistics, group.num_rows)
                if ends is None:
                    silent.setdefault(g, []).append(name)
                else:
                    largest[name] = max(largest[name], *ends)
        if silent:
            for name, size in _largest_read(parquet, file, silent, kept).items():
                largest[name] = max(largest[name], size)
    return np.array([largest[name] for name in names])


def _largest_read(
    parquet: pq.ParquetFile, file: SourceFile, silent: dict[int, list[str]], kept: Cache | None
) -> dict[str, float]:
    """The largest magnitudes in those row groups and columns that the footer says nothing about."""
    of = {"largest": VERSION, "file": file.fingerprint, "silent": sorted(silent.items())}
    largest = _kept(kept, of, set().union(*silent.values())) if kept else {}
    if largest:
        return largest
    for g, names in silent.items():
        for name in names:  # one by one: what is held is a page and a batch, however many there are
            with reading(file.path, g):
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


def _ends(statistics: pq.Statistics | None, rows: int) -> list[float] | None:
    """Magnitudes of the least and the largest value, as a footer has them; None where it says nothing of use."""
    if statistics is None:
        return None
    if not statistics.has_min_max:
        return [0.0] if statistics.null_count == rows else None
    try:
        ends = [abs(float(statistics.min)), abs(float(statistics.max))]
    except (TypeError, ValueError):  # float16 comes as bytes
        return None
    return None if any(map(math.isnan, ends)) else ends


def first_leaves(schema: pa.Schema) -> list[int]:
    """The index of each column's first leaf: nested columns have several, and may be named like others."""
    leaves = [_leaves(field.type) for field in schema]
    return [sum(leaves[:i]) for i in range(len(leaves))]


def _leaves(kind: pa.DataType) -> int:
    if pa.types.is_dictionary(kind) or not kind.num_fields:
        return 1
    return sum(_leaves(kind.field(i).type) for i in range(kind.num_fields))
