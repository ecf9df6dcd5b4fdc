"""Dask's workers as an executor: where shards are worked on when one machine is not enough.

What a scan does, with its list of files, goes to the cluster once, as a task of its own: each worker fetches it once,
and Dask makes it again where it was lost. A shard's task then holds nothing but the shard. Only sums come back.

Dask's own do less: its executor (`Client.get_executor`) sends all calls at once and may wait for ever
for a result that was lost with the last worker; `Client.get_versions(check=True)` warns only, and of the workers of one
moment, not of those that join; `no-workers-timeout` is the scheduler's and off unless somebody sets it there.
"""

import asyncio
import contextlib
import functools
import logging
import pickle
import platform
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, wait
from importlib.metadata import version
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client, Future, KilledWorker, get_worker
from distributed.comm.core import CommClosedError
from distributed.scheduler import NoValidWorkerError, NoWorkerError
from distributed.security import Security
from threadpoolctl import threadpool_limits

from gdpipe.errors import EngineError

# what it reports, with a traceback, is raised here as an error of ours
logging.getLogger("distributed.client").setLevel(logging.CRITICAL)

# shards sent beyond those worked on: enough that one that must be repeated holds up nobody, few enough that
# neither the scheduler's tasks nor the sums that wait for their turn grow with the source
SHARDS_A_THREAD = 4
# how often a wait looks whether there are workers still
SECONDS_BETWEEN_LOOKS = 1.0
# how long a cluster may be without any, unless Dask's own setting says so: as long as Dask waits for a silent one
NO_WORKERS_SETTING = "distributed.scheduler.no-workers-timeout"
NO_WORKERS_TIMEOUT = "5 minutes"
# what must be the same on both sides: what is sent are these packages' objects
PACKAGES = ("gdpipe", "numpy", "pyarrow")


class DaskExecutor(Executor):
    """Works on a Dask cluster, through `map` only; a context manager that leaves the cluster as it was.

    Raises:
        EngineError: Nobody answers at the address, within Dask's `distributed.comm.timeouts.connect`.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = self._connect()
        self._threads: list[int] = []
        self._looked = self._seen = time.monotonic()

    @property
    def threads(self) -> int | None:
        """The most shards that one worker works on at once; None as long as there is no worker."""
        with self._lost_is_our_error():
            self._reconnect()
            self._look()
        return max(self._threads, default=None)

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        """Results in the order of the arguments; a stretch of calls is on its way at any time, not all of them.

        Raises:
            EngineError: The scheduler, or every worker, is gone.
        """
        with self._lost_is_our_error():
            self._reconnect()
            packed = zlib.compress(pickle.dumps(fn))
            work = self._client.submit(_unpack, packed, _versions(), pure=False)
            # Dask's own futures: a task is cancelled when nobody holds its future any more
            waiting: deque[Future[Any]] = deque()
            for arguments in zip(*iterables, strict=False):
                while waiting and len(waiting) >= SHARDS_A_THREAD * sum(self._threads):
                    yield self._result(waiting.popleft())
                waiting.append(self._client.submit(_call, work, *arguments, pure=False))
            while waiting:
                yield self._result(waiting.popleft())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; what it still does for this client is cancelled."""
        self._client.close()

    def _reconnect(self) -> None:
        """A stage that is tried again finds the scheduler that came back."""
        if self._client.status != "running":
            self._client.close()
            self._client = self._connect()
        self._seen = time.monotonic()

    def _connect(self) -> Client:
        # Dask would begin, and leave a client behind that never ends
        if self._address.startswith("tls:") and Security().get_connection_args("client")["ssl_context"] is None:
            raise EngineError(
                f"engine {self._address!r}: no certificate; set Dask's distributed.comm.tls settings; nothing was read"
            )
        try:
            return Client(self._address, set_as_default=False)
        except (OSError, ValueError) as error:
            raise EngineError(
                f"engine {self._address!r}: no Dask scheduler answers there ({_first_line(error)}); start one "
                "(`dask scheduler`) or correct the address; nothing was read",
                transient=isinstance(error, OSError),
            ) from error

    def _result(self, future: Future[Any]) -> Any:
        # a result may be lost on its way, with its worker, and be waited for again: that has no end of its own
        loop: Any = self._client.loop  # tornado's, without types
        coming = asyncio.run_coroutine_threadsafe(self._client.gather(future, asynchronous=True), loop.asyncio_loop)
        while not wait([coming], SECONDS_BETWEEN_LOOKS).done:
            self._look()
        if time.monotonic() - self._looked > SECONDS_BETWEEN_LOOKS:
            self._look()
        return coming.result()

    def _look(self) -> None:
        """Count the workers' threads; a wait for the first or the next worker ends some time, with an EngineError."""
        timeout = dask.config.get("distributed.comm.timeouts.connect")
        if self._client.scheduler is None:
            raise CommClosedError("the connection was closed")
        found = self._client.sync(self._client.scheduler.ncores, callback_timeout=timeout)
        self._threads = list(found.values())
        self._looked = time.monotonic()
        if self._threads:
            self._seen = self._looked
        patience = parse_timedelta(dask.config.get(NO_WORKERS_SETTING, None) or NO_WORKERS_TIMEOUT)
        if self._looked - self._seen > patience:
            raise EngineError(
                f"engine {self._address!r}: no worker for {patience:g} s; start one "
                f"(`dask worker {self._address}`); what was published before is untouched",
                transient=True,
            )

    @contextlib.contextmanager
    def _lost_is_our_error(self) -> Iterator[None]:
        untouched = "what was published before is untouched"
        try:
            yield
        except (CancelledError, CommClosedError, TimeoutError) as error:
            raise EngineError(
                f"engine {self._address!r}: the scheduler is gone ({_first_line(error)}); {untouched}", transient=True
            ) from error
        except (NoValidWorkerError, NoWorkerError) as error:
            raise EngineError(f"engine {self._address!r}: no worker ({error}); {untouched}", transient=True) from error
        except KilledWorker as error:
            raise EngineError(
                f"engine {self._address!r}: {error.allowed_failures + 1} workers died over one shard, the last at "
                f"{error.last_worker.address}; it may need more memory than they have; {untouched}"
            ) from error


def _versions() -> dict[str, str]:
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, **{name: version(name) for name in PACKAGES}}


def _unpack(packed: bytes, versions: dict[str, str]) -> Any:
    """What a scan does, in a worker; an EngineError where the worker has other versions than the client."""
    other = [f"{name} {here}, not {versions[name]}" for name, here in _versions().items() if here != versions[name]]
    if other:
        raise EngineError(f"worker {get_worker().address}: has {'; '.join(other)}; install the same everywhere")
    return pickle.loads(zlib.decompress(packed))  # noqa: S301  # from the client, as every Dask task is


def _call(work: Callable[..., Any], *arguments: Any) -> Any:
    _one_blas_thread()
    return work(*arguments)


@functools.cache
def _one_blas_thread() -> None:
    """For good: shards run beside each other in a worker, too, and one must not give back what another needs."""
    threadpool_limits(1, user_api="blas")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
