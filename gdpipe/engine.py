"""Who works on the shards: a standard `concurrent.futures.Executor`; nothing else in the house knows which."""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from gdpipe.errors import ConfigError

THREADS = "threads"


# shards on their way beyond those worked on: enough that no thread waits for the next, few enough that the sums which
# wait for their turn do not grow with the source
SHARDS_A_THREAD = 4


def worker_count(executor: Executor | None = None) -> int:
    """Shards that one process works on at once, in its share of memory: a Dask worker's threads, else a core each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return getattr(executor, "threads", None) or cores


def at_most(calls: int, executor: Executor) -> Executor:
    """The same executor, of which no more than so many threads work at once.

    A cluster's workers are left alone: each is a process of its own.
    """
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


class _Threads(ThreadPoolExecutor):
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


def open_executor(engine: str = THREADS) -> AbstractContextManager[Executor]:
    """A thread a core, since NumPy and Arrow let go of the interpreter; or the workers of the scheduler at an address.

    Raises:
        ConfigError: Dask is not installed.
        EngineError: No scheduler answers.
    """
    if engine == THREADS:
        return _Threads(worker_count(), thread_name_prefix="gdpipe")
    try:
        from gdpipe.cluster import DaskExecutor
    except ImportError as error:
        raise ConfigError(f"engine {engine!r}: needs Dask; pip install 'gdpipe[dask]' ({error})") from error
    return DaskExecutor(engine)
