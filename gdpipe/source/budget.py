"""How much of a source is in memory at once."""

from dataclasses import dataclass

BYTES_PER_NUMBER = 8
# a batch exists so many times over: Arrow, float64, digits
BATCH_COPIES = 4
# a page of a column, decompressed: what Parquet writers make unless told otherwise
PAGE_BYTES = 2**20
# read at once of a column: a disk has the next bytes at hand, an object store takes a request for them
DISK_READ_BYTES, STORE_READ_BYTES = 2**16, 2**20
# rows of a batch: more at once are no faster, fewer are all overhead
LARGEST_BATCH, SMALLEST_BATCH = 32_768, 1024


def batch_rows(memory_bytes: int, workers: int, n_columns: int) -> int:
    """Batches take half of the memory at most, shared among the workers; pages what remains."""
    rows = memory_bytes // 2 // workers // (max(n_columns, 1) * BYTES_PER_NUMBER * BATCH_COPIES)
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, rows))


def read_needs(n_columns: int, batch_rows: int, group_rows: int, read_bytes: int = DISK_READ_BYTES) -> int:
    """Bytes that a read of row groups of up to so many rows holds: a page of each column, and a batch."""
    page = min(PAGE_BYTES + read_bytes, 2 * group_rows * BYTES_PER_NUMBER)
    batch = min(batch_rows, group_rows) * BATCH_COPIES * BYTES_PER_NUMBER
    return n_columns * (page + batch)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a process may hold of a source.

    Attributes:
        batch_rows: The most rows that a read decodes at once.
        readers: How many read at once. One always does: it cannot need less than a page of each column.
        needed: What one read holds at most, in bytes.
        ahead: Whether a read decodes a batch while the one before is worked on: where fewer can read than could work,
            such as one giant row group, or very wide rows.
    """

    batch_rows: int
    readers: int = 1
    needed: int = 0
    ahead: bool = False

    @classmethod
    def of(cls, memory_bytes: int, workers: int, shards: int, rows: int, needed: int) -> "Budget":
        """For so many workers on so many shards, in batches of so many rows, if a read holds so many bytes."""
        readers = max(1, min(workers, shards, memory_bytes // max(needed, 1)))
        return cls(rows, readers, needed, readers < workers)
