"""Worker processes of this machine as an executor: for scans that read enough to be worth their start.

They are loky's: it starts them without running the user's main module again, and says when one has died. What it
leaves to us: the work, with its list of files, is sent once a worker and not once a shard; a worker ends when its
parent is gone, however that ended; and signals sent to the whole group are for the parent alone to act on.
"""

import os
import pickle
import signal
import threading
import time
import uuid
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

from gdpipe.errors import EngineError
from gdpipe.tally import Receiver, send_through

# shards sent beyond those worked on, as many as for threads: no worker waits, and sums that wait do not grow
SHARDS_A_WORKER = 4
SECONDS_BETWEEN_LOOKS = 1.0
# shards run beside each other: one BLAS thread each. faulthandler, which loky switches on, would print a crash as many
# lines; who wants them sets PYTHONFAULTHANDLER
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONFAULTHANDLER": os.environ.get("PYTHONFAULTHANDLER", ""),
}


class _Unknown:
    """A worker's answer to a shard of work that it was never sent."""


# of a container without pgrep, in which it kills the workers all the same; and of a worker that it starts anew
warnings.filterwarnings("ignore", category=UserWarning, module="loky")


class WorkerDied(Exception):
    """A worker process ended in the middle of its work.

    Attributes:
        calls: The arguments of the calls that were being worked on, in order.
    """

    def __init__(self, calls: list[tuple[Any, ...]]) -> None:
        super().__init__("a worker process died")
        self.calls = calls


class Processes(Executor):
    """So many worker processes, through `map` only; they start with its first call.

    Attributes:
        count: How many.
        is_broken: Whether one of them died; the others were ended then.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.is_broken = False
        self._pool: Any = None  # loky's, without types
        self._receiver: Receiver | None = None
        # Ctrl-C interrupts the main thread, and would leave a pool there that is half started
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="gdpipe-start")

    def _start(self) -> None:
        if self._pool is None:
            from multiprocessing.resource_tracker import ensure_running

            from loky import ProcessPoolExecutor
            from loky.backend import get_context

            here, there = get_context("loky").Pipe(duplex=False)
            self._receiver = Receiver(here)
            self._pool = ProcessPoolExecutor(
                self.count, initializer=_begin, initargs=(os.getpid(), there), env=ENVIRONMENT
            )
            # now, as it unblocks signals when it starts, and loky would start it between two workers
            ensure_running()
            # signals that are blocked here are so in the workers, from their first instruction on: Ctrl-C and SIGTERM,
            # which a terminal or `docker stop` may send to all processes, are for the parent to act on
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            self._pool.submit(int)

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        """Results in the order of the arguments; a stretch of calls is on its way at any time, not all of them.

        Raises:
            WorkerDied: A worker did; this executor is of no more use.
            EngineError: The system lets no process start.
        """
        try:
            self._starter.submit(self._start).result()
        except (OSError, NotImplementedError) as error:
            raise EngineError(f"workers: no process can be started here ({error}); set workers to 1") from error
        key, packed = uuid.uuid4().hex, zlib.compress(pickle.dumps(fn), 1)
        at_once = SHARDS_A_WORKER * self.count
        waiting: deque[tuple[tuple[Any, ...], Future[Any]]] = deque()

        def result() -> Any:
            arguments, future = waiting[0]
            if (found := future.result()) is _Unknown:
                waiting[0] = arguments, self._pool.submit(_call, key, packed, arguments)
                found = waiting[0][1].result()
            waiting.popleft()
            return found

        try:
            for number, arguments in enumerate(zip(*iterables, strict=False)):
                while len(waiting) >= at_once:
                    yield result()
                # the first stretch takes the work to the workers; one that got nothing of it asks
                sent = packed if number < at_once else b""
                waiting.append((arguments, self._pool.submit(_call, key, sent, arguments)))
            while waiting:
                yield result()
        except BrokenExecutor as error:
            self.is_broken = True
            # the pool is first in, first out: of the calls without a result, one a worker was being worked on
            undone = [
                arguments
                for arguments, future in waiting
                if not future.done() or isinstance(future.exception(), BrokenExecutor)
            ]
            raise WorkerDied(undone[: self.count]) from error
        finally:
            for _arguments, future in waiting:
                future.cancel()

    def rows_read(self) -> int:
        """The rows that the workers have read so far, in all scans."""
        return self._receiver.rows() if self._receiver else 0

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers: at once where `cancel_futures` says that nobody waits for what they do."""
        self._starter.shutdown()
        if self._pool is not None:
            self._pool.shutdown(wait, kill_workers=cancel_futures)
        if self._receiver is not None:
            self._receiver.close()


def _begin(parent: int, pipe: Any) -> None:
    """Set up a worker process, which sends the number of rows that it reads through the pipe."""
    send_through(pipe)
    _end_with(parent)


def _end_with(parent: int) -> None:
    """See that this worker ends within seconds of its parent, were that killed with -9.

    The kernel's own way (PR_SET_PDEATHSIG) looks at the parent's thread, and a flow's thread ends before its process.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=watch, name="gdpipe-parent", daemon=True).start()


_work: dict[str, Callable[..., Any]] = {}


def _call(key: str, packed: bytes, arguments: tuple[Any, ...]) -> Any:
    """A call in a worker, which keeps the work of one scan."""
    if key not in _work:
        if not packed:
            return _Unknown
        _work.clear()
        _work[key] = pickle.loads(zlib.decompress(packed))  # noqa: S301  # from the parent, as all that loky sends
    return _work[key](*arguments)
