"""Executors for the shards: threads, worker processes or a cluster; the rest of the house does not know which."""

import contextlib
import itertools
import math
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from gdpipe.errors import ConfigError
from gdpipe.workers import Processes

THREADS = "threads"
Workers = int | Literal["auto"]

# shards on their way beyond those worked on: enough that no thread waits for the next, few enough that the sums which
# wait for their turn do not grow with the source
SHARDS_A_THREAD = 4
# the least that each worker process must have to read, decoded: its start takes as long as a third of that
BYTES_A_PROCESS = 128 * 2**20
# the least that there must be to read, decoded, times the processes: threads queue for Python's lock, and the more so
# the more there are. On two cores processes gain nothing at 840 MB (5 s), and 8 to 27 % at 3.4 GB (20 s)
BYTES_TIMES_PROCESSES = 2 * 2**30
# the CPU time that a container may use in a period, in microseconds, or "max"
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Cores that this process may use."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = map(int, QUOTA.read_text().split())
        found = min(found, max(1, math.ceil(quota / period)))
    return found


def worker_count(executor: Executor | None = None, workers: Workers = "auto") -> int:
    """The number of shards that are worked on at once within one `memory`.

    It is the threads of one worker on a cluster, else all processes or threads on this machine.
    """
    if threads := getattr(executor, "threads", None):
        return int(threads)
    return cores() if workers in ("auto", 1) else int(workers)


def processes_for(workers: Workers, readers: int, size: int) -> int:
    """The number of processes that are started to read `size` bytes, decoded; 0 where threads of this process read.

    Args:
        workers: The setting.
        readers: The most that may read at once.
        size: Bytes, decoded.
    """
    if workers == "auto":
        readers = min(readers, size // BYTES_A_PROCESS)
        if size * readers < BYTES_TIMES_PROCESSES:
            return 0
    # multiprocessing's own workers may have no children
    return 0 if workers == 1 or readers < 2 or multiprocessing.current_process().daemon else readers


def readers_of(executor: Executor, readers: int, size: int) -> Executor:
    """The executor that reads `size` bytes, decoded, with at most `readers` at once.

    A cluster's workers are left alone: each is a process of its own.
    """
    if isinstance(executor, _Local) and (count := processes_for(executor.workers, readers, size)):
        return executor.processes(count)
    return at_most(readers, executor)


def at_most(calls: int, executor: Executor) -> Executor:
    """The executor, limited to so many calls at once; a cluster stays as it is."""
    if calls >= worker_count(executor) or hasattr(executor, "threads"):
        return executor
    return _AtMost(calls, executor)


class _AtMost(Executor):
    def __init__(self, calls: int, executor: Executor) -> None:
        self._calls = calls
        self._executor = executor

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **options: Any) -> Iterator[Any]:
        """Results in order; a stretch of calls ends before the next begins."""
        calls = zip(*iterables, strict=False)
        while stretch := list(itertools.islice(calls, self._calls)):
            yield from self._executor.map(fn, *zip(*stretch, strict=True), **options)


class _Local(ThreadPoolExecutor):
    """A thread a core; and the worker processes, once a scan is worth them."""

    def __init__(self, workers: Workers) -> None:
        super().__init__(cores(), thread_name_prefix="gdpipe")
        self.workers = workers
        self._processes: Processes | None = None

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        """Results in order; a stretch of calls is on its way at any time, not all of them."""
        waiting: deque[Future[Any]] = deque()
        try:
            for arguments in zip(*iterables, strict=False):
                while len(waiting) >= SHARDS_A_THREAD * self._max_workers:
                    yield waiting.popleft().result()
                waiting.append(self.submit(fn, *arguments))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def processes(self, count: int) -> Processes:
        """Worker processes, `count` at least: those of the previous scan where they are enough and alive."""
        if self._processes is None or self._processes.count < count or self._processes.is_broken:
            self._end_processes()
            self._processes = Processes(count)
        return self._processes

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End threads and processes; with `cancel_futures` the processes are killed."""
        self._end_processes(kill=cancel_futures)
        super().shutdown(wait, cancel_futures=cancel_futures)

    def __exit__(self, kind: object, *error: object) -> None:
        """End them; where something broke, at once."""
        self.shutdown(cancel_futures=kind is not None)

    def _end_processes(self, *, kill: bool = False) -> None:
        if self._processes is not None:
            self._processes.shutdown(cancel_futures=kill)
            self._processes = None


def open_executor(engine: str = THREADS, workers: Workers = "auto") -> Executor:
    """A thread a core, and worker processes where there is much to read; or the workers of the scheduler at an address.

    Raises:
        ConfigError: Dask is not installed.
        EngineError: No scheduler answers.
    """
    if engine == THREADS:
        return _Local(workers)
    try:
        from gdpipe.cluster import DaskExecutor
    except ImportError as error:
        raise ConfigError(f"engine {engine!r}: needs Dask; pip install 'gdpipe[dask]' ({error})") from error
    return DaskExecutor(engine)
