"""What the footers of a source say of nulls, without reading a row."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq

from gdpipe.source.files import reading
from gdpipe.source.footer import open_as_listed
from gdpipe.source.source import Source


@dataclass(frozen=True, slots=True)
class Footers:
    """Counts over the row groups that the filters may match.

    Attributes:
        nulls: By column, where there are any.
        least_left_out: Rows that miss a value, at the least.
        silent: Columns without minimum and maximum somewhere.
    """

    nulls: dict[str, int]
    least_left_out: int
    silent: tuple[str, ...]


def read_footers(source: Source, names: Sequence[str]) -> Footers:
    """What the footers count. A row may miss several values: the most of any column, a row group, is proven.

    Raises:
        DataError: A footer cannot be read.
    """
    nulls, least, silent = dict.fromkeys(names, 0), 0, set()
    for file in filter(lambda file: file.wanted_groups, source.files):
        with reading(file.path), pq.ParquetFile(open_as_listed(source.filesystem, file)) as parquet:
            metadata = parquet.metadata
            leaves = [metadata.schema.column(i) for i in range(metadata.num_columns)]
            # a part of a nested column may be named like a plain one
            places = {leaf.path: i for i, leaf in enumerate(leaves) if leaf.max_definition_level <= 1}
            for g in file.wanted_groups:
                group, rows, most = metadata.row_group(g), file.group_rows[g], 0
                for name in names:
                    if name in file.partition:
                        missing = rows if file.partition[name] is None else 0
                    else:
                        known = group.column(places[name]).statistics
                        missing = known.null_count if known is not None and known.has_null_count else 0
                        if known is None or not (known.has_min_max or missing == rows):
                            silent.add(name)
                    nulls[name] += missing
                    most = max(most, missing)
                least += most
    return Footers({n: c for n, c in nulls.items() if c}, least, tuple(n for n in names if n in silent))
