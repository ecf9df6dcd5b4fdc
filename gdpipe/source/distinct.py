"""Columns of text with many levels: what nobody named as a feature is better left out."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from gdpipe.design import Coded, Input
from gdpipe.source.columns import read_columns
from gdpipe.source.magnitudes import Cache
from gdpipe.source.scan import Shard, budget_for, read, shards
from gdpipe.source.source import Source

# version of the cache's entries; an entry with another meaning needs another
VERSION = 1
# levels that are counted at most: columns that name the rows are not read whole
MOST_COUNTED = 1000


def count_levels(
    source: Source, names: Sequence[str], memory_bytes: int, cache: Cache | None, most: int = MOST_COUNTED
) -> dict[str, int]:
    """The number of levels of each column of text in the rows that pass the filters; `most` + 1 stands for more.

    A column is read until it has more: any other is read whole, once for each file where there is a cache. The answer
    does not depend on how rows are spread over files.

    Args:
        source: The source.
        names: The columns.
        memory_bytes: What the reading may hold.
        cache: The cache of levels by file; None reads each time.
        most: The most levels that are counted.

    Raises:
        DataError: A file cannot be read, or text is not UTF-8.
        PublishError: The cache cannot be written.
    """
    found: dict[str, set[str]] = {name: set() for name in names}
    parts = shards(source, len(names))
    for f in sorted({shard.file for shard in parts}):
        left = [name for name, labels in found.items() if len(labels) <= most]
        if not left:
            break
        file = source.files[f]
        of = {
            "distinct": VERSION,
            "file": file.fingerprint,
            "filters": source.filters if file.filtered else None,
            "columns": left,
            "most": most,
        }
        labels = _cached(cache, of) if cache else None
        if labels is None:
            labels = _in_shards(source, [shard for shard in parts if shard.file == f], left, most, memory_bytes)
            if cache:
                cache.store(of, {"labels": {name: sorted(some) for name, some in labels.items()}})
        for name in left:
            found[name] |= labels[name]
    return {name: min(len(labels), most + 1) for name, labels in found.items()}


def _in_shards(
    source: Source, parts: Sequence[Shard], names: Sequence[str], most: int, memory_bytes: int
) -> dict[str, set[str]]:
    """The labels of each column in some shards; those of a column with too many are not all of them."""
    found: dict[str, set[str]] = {name: set() for name in names}
    groups = [Shard(shard.number, shard.file, (g,)) for shard in parts for g in shard.row_groups]
    for group in groups:
        asked = [Input(name, None, "text") for name, labels in found.items() if len(labels) <= most]
        if not asked:
            break
        budget = budget_for(source, [group], [of.column for of in asked], memory_bytes, 1)
        for batch in read(source, group, asked, budget):
            left = [j for j, of in enumerate(asked) if len(found[of.column]) <= most]
            block = read_columns(batch, [asked[j] for j in left])
            for i, (j, coded) in enumerate(zip(left, block.columns, strict=True)):
                assert isinstance(coded, Coded)
                codes = coded.codes if block.missing is None else coded.codes[~block.missing[i]]
                # a dictionary may hold levels that no row has
                used = np.flatnonzero(np.bincount(codes, minlength=len(coded.labels)))[: most + 1]
                found[asked[j].column].update(coded.labels[code] for code in used.tolist())
    return found


def _cached(cache: Cache, of: Any) -> dict[str, set[str]] | None:
    """The labels in the cache by column; None where it has none, or no such labels."""
    entry = cache.load(of)
    if entry is None:
        return None
    with contextlib.suppress(AttributeError, KeyError, TypeError):
        labels = entry["labels"]
        if labels.keys() == set(of["columns"]) and all(type(each) is str for some in labels.values() for each in some):
            return {name: set(some) for name, some in labels.items()}
    cache.discard(of, "damaged (no columns have such levels)")
    return None
