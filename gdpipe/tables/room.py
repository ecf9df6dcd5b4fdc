"""How much of a source is in memory at once: the reads of a process wait where they would be too much together."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

BYTES_PER_NUMBER = 8
# a batch exists so many times over: Arrow, float64, digits
BATCH_COPIES = 4
# a page of a column, decompressed: what Parquet writers make unless told otherwise
PAGE_BYTES = 2**20
# read at once of a column: a disk has the next bytes at hand, an object store takes a request for them
DISK_READ_BYTES, STORE_READ_BYTES = 2**18, 2**20
# rows of a batch: more at once are no faster, fewer are all overhead
LARGEST_BATCH, SMALLEST_BATCH = 16_384, 1024


def batch_rows(memory_bytes: int, workers: int, n_columns: int) -> int:
    """Batches take half of the memory at most, shared among the workers; pages what remains."""
    rows = memory_bytes // 2 // workers // (max(n_columns, 1) * BYTES_PER_NUMBER * BATCH_COPIES)
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, rows))


_change = threading.Condition()
_taken = 0


@dataclass(frozen=True, slots=True)
class Room:
    """What a process may hold of a source.

    Attributes:
        bytes: All its reads together. One read is let in however much it needs: it cannot be made smaller than a page
            of each column.
        batch_rows: The most rows that a read decodes at once.
        ahead: Whether a read decodes a batch while the one before is worked on.
    """

    bytes: int
    batch_rows: int
    ahead: bool = False

    def needed(self, n_columns: int, group_rows: int, read_bytes: int = DISK_READ_BYTES) -> int:
        """What a read of row groups of up to so many rows holds, in bytes: a page of each column, and a batch."""
        page = min(PAGE_BYTES + read_bytes, 2 * group_rows * BYTES_PER_NUMBER)
        batch = min(self.batch_rows, group_rows) * BATCH_COPIES * BYTES_PER_NUMBER
        return n_columns * (page + batch)

    def readers(self, workers: int, needed: int) -> int:
        """How many of these workers it has room for at once."""
        return max(1, min(workers, self.bytes // max(needed, 1)))

    @contextlib.contextmanager
    def taken(self, needed: int) -> Iterator[None]:
        """Wait until there is room for so many bytes beside what other threads took, and hold it."""
        global _taken  # noqa: PLW0603  # one memory, whoever reads: a process may work for several runs
        with _change:
            _change.wait_for(lambda: not _taken or _taken + needed <= self.bytes)
            _taken += needed
        try:
            yield
        finally:
            with _change:
                _taken -= needed
                _change.notify_all()
