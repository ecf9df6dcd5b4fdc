"""Budget of memory for reading a source."""

from dataclasses import dataclass

BYTES_PER_NUMBER = 8
# copies of a batch that exist at once: Arrow, float64, digits
BATCH_COPIES = 4
# a page of a column, decompressed, by the default of Parquet writers
PAGE_BYTES = 2**20
# bytes of a column that one read takes; larger on object stores, where each read is a request
DISK_READ_BYTES, STORE_READ_BYTES = 2**16, 2**20
# rows of a batch: larger batches are no faster, smaller ones are mostly overhead
LARGEST_BATCH, SMALLEST_BATCH = 32_768, 1024


def batch_rows(memory_bytes: int, workers: int, n_columns: int) -> int:
    """The rows of a batch such that the batches of all workers take at most half of the memory; pages take the rest."""
    rows = memory_bytes // 2 // workers // (max(n_columns, 1) * BYTES_PER_NUMBER * BATCH_COPIES)
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, rows))


def column_needs(chunk_bytes: int, *, has_dictionary: bool) -> int:
    """The bytes that a read of a column chunk holds: a page, and a dictionary as it was stored and as values.

    Args:
        chunk_bytes: Those of the chunk, decompressed; 0 where the footer does not say.
        has_dictionary: Whether it has a dictionary, which is a page of its own.
    """
    page = min(chunk_bytes, PAGE_BYTES) if chunk_bytes > 0 else PAGE_BYTES
    return page * (3 if has_dictionary else 1)


def read_needs(
    n_columns: int, batch_rows: int, group_rows: int, column_bytes: int = PAGE_BYTES, read_bytes: int = DISK_READ_BYTES
) -> int:
    """The bytes that a read of row groups takes: pages and a read buffer of each column, and a batch.

    Args:
        n_columns: How many are read.
        batch_rows: The most rows of a batch.
        group_rows: Rows of the largest row group.
        column_bytes: The most that one of its columns holds, as `column_needs` says.
        read_bytes: Of a column that one read takes.
    """
    batch = min(batch_rows, group_rows) * BATCH_COPIES * BYTES_PER_NUMBER
    return n_columns * (column_bytes + min(column_bytes, read_bytes) + batch)


@dataclass(frozen=True, slots=True)
class Budget:
    """The part of a source that a process may have in memory.

    Attributes:
        batch_rows: The most rows that a read decodes at once.
        readers: The number of reads at once; at least one, which cannot take less than a page of each column.
        needed: The most bytes that one read takes.
        ahead: Whether a read decodes the next batch while the last one is worked on; true where there are fewer readers
            than workers, as for one giant row group or very wide rows.
    """

    batch_rows: int
    readers: int = 1
    needed: int = 0
    ahead: bool = False

    @classmethod
    def of(cls, memory_bytes: int, workers: int, shards: int, rows: int, needed: int) -> "Budget":
        """The budget for these numbers of workers, shards and rows of a batch, where a read takes `needed` bytes."""
        readers = max(1, min(workers, shards, memory_bytes // max(needed, 1)))
        return cls(rows, readers, needed, readers < workers)
