"""The ceiling: how large a batch, how many reads at once, and who waits for whom."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdpipe.errors import DataError
from gdpipe.tables.room import BATCH_COPIES, BYTES_PER_NUMBER, DISK_READ_BYTES, PAGE_BYTES, Room, batch_rows
from gdpipe.tables.scan import ROW, needed, read, room_for, shards
from gdpipe.tables.source import Source

MIB = 2**20


@pytest.mark.parametrize(
    ("memory", "workers", "columns", "expected"),
    [
        (512 * MIB, 2, 20, 16_384),
        (8 * MIB, 2, 20, 2 * MIB // (20 * 32)),
        (8 * MIB, 64, 200, 1024),
    ],
)
def test_rows_of_a_batch_follow_from_memory(memory: int, workers: int, columns: int, expected: int) -> None:
    assert batch_rows(memory, workers, columns) == expected
    size = expected * columns * BYTES_PER_NUMBER * BATCH_COPIES * workers
    assert size <= memory / 2 or expected == 1024


def test_a_read_holds_a_page_of_each_column_and_a_batch() -> None:
    room = Room(512 * MIB, 1000)
    assert room.needed(10, 10**6) == 10 * (PAGE_BYTES + DISK_READ_BYTES + 1000 * 32)
    assert room.needed(10, 100) == 10 * (2 * 800 + 100 * 32)  # a small row group is a small page


def test_fewer_read_at_once_the_wider_the_rows_but_always_one() -> None:
    room = Room(512 * MIB, 1024)
    assert [room.readers(4, room.needed(k, 10**6)) for k in (20, 100, 300, 10_000)] == [4, 3, 1, 1]


def test_who_finds_no_room_waits_until_there_is(tmp_path: Path) -> None:
    room, inside, most = Room(10, 1), 0, 0
    lock = threading.Lock()

    def hold(size: int) -> None:
        nonlocal inside, most
        with room.taken(size):
            with lock:
                inside += size
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= size

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(hold, [4, 5, 3, 7, 1, 10, 2, 6] * 3))
    assert 5 <= most <= 10


def test_one_that_needs_more_than_there_is_works_alone() -> None:
    room = Room(10, 1)
    beside = threading.Event()

    def other() -> None:
        with room.taken(1):
            beside.set()

    with ThreadPoolExecutor(1) as thread:
        with room.taken(1000):
            waiting = thread.submit(other)
            assert not beside.wait(0.05)
        waiting.result(10)
    assert beside.is_set()


def test_room_is_given_back_by_one_that_fails() -> None:
    room = Room(10, 1)
    with pytest.raises(ValueError, match="broken"), room.taken(10):
        raise ValueError("broken")
    with room.taken(10):
        pass  # or it would wait for ever


def one_group(path: Path, rows: int = 5000) -> Source:
    table = pa.table({"x": np.arange(rows), "y": np.arange(rows) * 2.0})
    pq.write_table(table, path, row_group_size=rows, compression="none", use_dictionary=False, write_page_checksum=True)
    return Source.open(str(path))


def test_decoding_ahead_gives_the_same_batches(tmp_path: Path) -> None:
    source = one_group(tmp_path / "a.parquet")
    [shard] = shards(source, 2)
    plain, ahead = (list(read(source, shard, ["x", "y"], Room(MIB, 700, ahead))) for ahead in (False, True))
    assert [b.num_rows for b in ahead] == [700] * 7 + [100]
    assert all(a.equals(b) for a, b in zip(plain, ahead, strict=True))
    assert [row for b in ahead for row in b.column(ROW).to_pylist()] == list(range(5000))
    assert needed(source, shard, 2, Room(MIB, 700)) == 2 * (2 * 5000 * 8 + 700 * 32)


def test_decoding_ahead_is_for_workers_that_would_have_nothing_to_read(tmp_path: Path) -> None:
    source = one_group(tmp_path / "a.parquet")
    [shard] = shards(source, 2)
    most = needed(source, shard, 2, room_for(source, [shard], 2, 512 * MIB, 2))
    assert room_for(source, [shard], 2, 512 * MIB, 2).ahead
    assert not room_for(source, [shard, shard], 2, 512 * MIB, 2).ahead
    assert room_for(source, [shard, shard], 2, most, 2).ahead


def test_a_reader_that_decodes_ahead_says_what_is_damaged_and_leaves_no_thread(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    one_group(path)
    content = bytearray(path.read_bytes())
    content[30_000] ^= 1
    path.write_bytes(content)
    source = Source.open(str(path))
    [shard] = shards(source, 2)
    with pytest.raises(DataError, match=r"a\.parquet: row group 0"):
        list(read(source, shard, ["x", "y"], Room(MIB, 700, ahead=True)))
    reader = read(source, shard, ["y"], Room(MIB, 700, ahead=True))
    next(reader)
    del reader  # whoever stops halfway
    assert not [t for t in threading.enumerate() if t.name.startswith("gdpipe-ahead")]
