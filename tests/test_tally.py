"""Rows are counted while shards are read, in threads and in worker processes."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gdpipe.stages.progress import Activity
from gdpipe.tally import Counted, Tally, counter
from gdpipe.workers import Processes
from tests.waiting import until


def half_read(folder: Path) -> int:
    """Read five rows, and wait for leave to read two more."""
    count = counter()
    count(5)
    until((folder / "go").exists)
    count(2)
    return 7


def counts_often(times: int) -> int:
    """Count more often than a pipe holds counts."""
    count = counter()
    for _ in range(times):
        count(1)
    return times


def test_rows_of_an_unfinished_shard_in_another_process_are_known(tmp_path: Path) -> None:
    processes = Processes(2)
    try:
        tally = Tally(processes.rows_read)
        with ThreadPoolExecutor(1) as thread:
            results = thread.submit(lambda: list(processes.map(Counted(half_read, tally), [tmp_path])))
            until(lambda: tally.rows() == 5)
            assert not results.done()
            assert str(Activity("read", 10, "row", on_the_way=tally.rows)).startswith("read 5 of 10 rows, ")
            (tmp_path / "go").touch()
            assert results.result() == [7]
        assert tally.rows() == 7
        # the next scan begins at nothing
        assert Tally(processes.rows_read).rows() == 0
    finally:
        processes.shutdown()


def test_counts_that_nobody_looks_at_hold_nothing_up() -> None:
    processes = Processes(2)
    try:
        tally = Tally(processes.rows_read)
        assert sum(processes.map(Counted(counts_often, tally), [40_000, 40_000])) == 80_000
        assert 0 < tally.rows() <= 80_000
    finally:
        processes.shutdown()


def test_threads_count_in_this_process() -> None:
    first, second = Tally(), Tally()
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(Counted(counts_often, first), [10] * 100)) == 1000
        assert sum(pool.map(Counted(counts_often, second), [1] * 10)) == 10
    assert (first.rows(), second.rows()) == (1000, 10)
    counter()(5)  # outside of a count nothing happens
    assert (first.rows(), second.rows()) == (1000, 10)


def test_a_tally_in_a_process_that_has_no_pipe_counts_for_itself() -> None:
    tally = Tally()
    pickle.loads(pickle.dumps(tally)).add(3)  # noqa: S301  # our own
    assert tally.rows() == 0


def test_an_activity_never_goes_back_or_beyond_its_end() -> None:
    read = 0
    activity = Activity("read", 100, "row", on_the_way=lambda: read, began=time.monotonic() - 1)
    assert (activity.reached, activity.share) == (0, 0.0)
    read = 30
    assert (activity.reached, activity.share) == (30, 0.3)
    activity.at(50)
    assert activity.reached == 50
    read = 120
    assert (activity.reached, activity.share) == (100, 1.0)
