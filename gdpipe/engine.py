"""Who works on the shards: a standard `concurrent.futures.Executor`; nothing else in the house knows which."""

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager


def worker_count() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_executor() -> AbstractContextManager[Executor]:
    """A thread a core: NumPy and Arrow let go of the interpreter while they work."""
    return ThreadPoolExecutor(worker_count(), thread_name_prefix="gdpipe")
