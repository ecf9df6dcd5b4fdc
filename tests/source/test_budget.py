"""The ceiling: how large a batch, how many reads at once, and who decodes ahead."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdpipe.engine import SHARDS_A_THREAD, at_most, open_executor, worker_count
from gdpipe.errors import DataError
from gdpipe.source.budget import (
    BATCH_COPIES,
    BYTES_PER_NUMBER,
    DISK_READ_BYTES,
    PAGE_BYTES,
    Budget,
    batch_rows,
    column_needs,
    read_needs,
)
from gdpipe.source.scan import ROW, budget_for, read, shards
from gdpipe.source.source import Source

MIB = 2**20


@pytest.mark.parametrize(
    ("memory", "workers", "columns", "expected"),
    [(512 * MIB, 2, 20, 32_768), (8 * MIB, 2, 20, 2 * MIB // (20 * 32)), (8 * MIB, 64, 200, 1024)],
)
def test_rows_of_a_batch_follow_from_memory(memory: int, workers: int, columns: int, expected: int) -> None:
    assert batch_rows(memory, workers, columns) == expected
    size = expected * columns * BYTES_PER_NUMBER * BATCH_COPIES * workers
    assert size <= memory / 2 or expected == 1024


def test_a_read_holds_a_page_of_each_column_and_a_batch() -> None:
    assert read_needs(10, 1000, 10**6) == 10 * (PAGE_BYTES + DISK_READ_BYTES + 1000 * 32)
    assert read_needs(10, 1000, 100, 800) == 10 * (2 * 800 + 100 * 32)  # a small row group is a small page


def test_a_column_holds_a_page_and_its_dictionary_twice() -> None:
    assert column_needs(10**9, has_dictionary=False) == PAGE_BYTES
    assert column_needs(10**9, has_dictionary=True) == 3 * PAGE_BYTES
    assert column_needs(800, has_dictionary=True) == 3 * 800
    assert column_needs(0, has_dictionary=False) == PAGE_BYTES  # a footer that does not say


@pytest.mark.parametrize("use_dictionary", [True, False])
def test_a_read_takes_no_more_than_it_is_said_to_need(tmp_path: Path, use_dictionary: bool) -> None:
    names, rows = [f"x{j}" for j in range(4)], 200_000
    values = np.random.default_rng(0).normal(size=(len(names), rows))
    table = pa.table(dict(zip(names, values, strict=True)))
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=rows, use_dictionary=use_dictionary)
    del table
    source = Source.open(str(tmp_path / "a.parquet"))
    found = shards(source, len(names))
    budget = budget_for(source, found, names, MIB, 1)
    assert budget.batch_rows == 4096
    before = pa.total_allocated_bytes()
    held = max(pa.total_allocated_bytes() for _ in read(source, found[0], names, budget)) - before
    assert 0 < held <= budget.needed


def test_fewer_read_at_once_the_wider_the_rows_but_always_one() -> None:
    rooms = [Budget.of(512 * MIB, 4, 9, 1024, read_needs(k, 1024, 10**6)) for k in (20, 120, 300, 10_000)]
    assert [budget.readers for budget in rooms] == [4, 3, 1, 1]
    assert [budget.ahead for budget in rooms] == [False, True, True, True]


def test_no_more_work_at_once_than_there_is_room_for() -> None:
    working, most, lock = 0, 0, threading.Lock()

    def work(a: int, b: int) -> int:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.005)
        with lock:
            working -= 1
        return a - b

    with ThreadPoolExecutor(4) as four:
        assert list(at_most(1, four).map(work, range(20), [1] * 20)) == [a - 1 for a in range(20)]
        assert most == 1
        assert at_most(worker_count(), four) is four


def test_what_has_not_begun_when_something_breaks_is_not_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise ValueError("broken")

    with ThreadPoolExecutor(4) as four, pytest.raises(ValueError, match="broken"):
        list(at_most(1, four).map(work, range(20)))
    assert begun == [0]


def test_results_that_wait_for_their_turn_do_not_grow_with_the_calls() -> None:
    begun: list[int] = []
    with open_executor() as threads:
        results = threads.map(begun.append, range(1000))
        for _ in range(3):
            next(iter(results))
        threads.submit(int).result()  # calls are begun in order: when this one is done, all before it have begun
        assert begun[:3] == [0, 1, 2]
        assert len(begun) <= 3 + SHARDS_A_THREAD * worker_count()
        assert list(results) == [None] * 997
        assert sorted(begun) == list(range(1000))


def one_group(path: Path, rows: int = 5000) -> Source:
    table = pa.table({"x": np.arange(rows), "y": np.arange(rows) * 2.0})
    pq.write_table(table, path, row_group_size=rows, compression="none", use_dictionary=False, write_page_checksum=True)
    return Source.open(str(path))


def test_decoding_ahead_gives_the_same_batches(tmp_path: Path) -> None:
    source = one_group(tmp_path / "a.parquet")
    [shard] = shards(source, 2)
    plain, ahead = (list(read(source, shard, ["x", "y"], Budget(700, ahead=ahead))) for ahead in (False, True))
    assert [b.num_rows for b in ahead] == [700] * 7 + [100]
    assert all(a.equals(b) for a, b in zip(plain, ahead, strict=True))
    assert [row for b in ahead for row in b.column(ROW).to_pylist()] == list(range(5000))


def test_decoding_ahead_is_for_workers_that_would_have_nothing_to_read(tmp_path: Path) -> None:
    source = one_group(tmp_path / "a.parquet")
    [shard] = shards(source, 2)
    one = budget_for(source, [shard], ["x", "y"], 512 * MIB, 2)
    assert (one.readers, one.ahead) == (1, True)
    assert one.needed == read_needs(2, 5000, 5000, source.files[0].column_bytes)
    two = budget_for(source, [shard, shard], ["x", "y", "x"], 512 * MIB, 2)
    assert (two.readers, two.ahead, two.needed) == (2, False, one.needed)
    assert budget_for(source, [shard, shard], ["x", "y"], one.needed, 2).readers == 1


def test_a_reader_that_decodes_ahead_says_what_is_damaged_and_leaves_no_thread(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    one_group(path)
    content = bytearray(path.read_bytes())
    content[30_000] ^= 1
    path.write_bytes(content)
    source = Source.open(str(path))
    [shard] = shards(source, 2)
    with pytest.raises(DataError, match=r"a\.parquet: row group 0"):
        list(read(source, shard, ["x", "y"], Budget(700, ahead=True)))
    reader = read(source, shard, ["y"], Budget(700, ahead=True))
    next(reader)
    del reader  # whoever stops halfway
    assert not [t for t in threading.enumerate() if t.name.startswith("gdpipe-ahead")]
