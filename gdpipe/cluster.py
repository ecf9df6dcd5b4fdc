"""A Dask cluster as an executor, for shards that are too many for one machine.

The function of a scan, with its list of files, is sent to the cluster once, as a task of its own. Each worker fetches
it once, and Dask runs the task again where the result was lost. The task of a shard then needs only the shard, and only
sums come back.

Dask's own parts do less. Its executor (`Client.get_executor`) sends all calls at once, and may wait for ever for a
result that was lost with the last worker. `Client.get_versions(check=True)` only warns, and does not check workers that
join later. `no-workers-timeout` belongs to the scheduler, and is off by default.
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

# its reports, which have tracebacks, are raised here as EngineError
logging.getLogger("distributed.client").setLevel(logging.CRITICAL)

# shards that are sent for each thread of the workers: enough that a repeated shard delays no others, and so few that
# the scheduler's tasks and the waiting sums do not grow with the source
SHARDS_A_THREAD = 4
# seconds between two checks that there are workers, during a wait
SECONDS_BETWEEN_LOOKS = 1.0
# how long a cluster may be without workers, by Dask's setting, or else as long as Dask waits for a silent worker
NO_WORKERS_SETTING = "distributed.scheduler.no-workers-timeout"
NO_WORKERS_TIMEOUT = "5 minutes"
# packages that must be the same on both sides, as their objects are sent
PACKAGES = ("gdpipe", "numpy", "pyarrow")


class DaskExecutor(Executor):
    """Executor on a Dask cluster, with `map` only; a context manager that leaves the cluster as it was.

    Raises:
        EngineError: No scheduler answers at the address, within Dask's `distributed.comm.timeouts.connect`.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = self._connect()
        self._threads: list[int] = []
        self._looked = self._seen = time.monotonic()

    @property
    def threads(self) -> int | None:
        """The most shards that one worker works on at once; None while there is no worker."""
        with self._lost_is_our_error():
            self._reconnect()
            self._look()
        return max(self._threads, default=None)

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        """The results in the order of the arguments; a limited number of calls is at the cluster at once.

        Raises:
            EngineError: The scheduler or all workers are gone.
        """
        with self._lost_is_our_error():
            self._reconnect()
            packed = zlib.compress(pickle.dumps(fn))
            work = self._client.submit(_unpack, packed, _versions(), pure=False)
            # Dask's own futures, since Dask cancels a task once its future is deleted
            waiting: deque[Future[Any]] = deque()
            for arguments in zip(*iterables, strict=False):
                while waiting and len(waiting) >= SHARDS_A_THREAD * sum(self._threads):
                    yield self._result(waiting.popleft())
                waiting.append(self._client.submit(_call, work, *arguments, pure=False))
            while waiting:
                yield self._result(waiting.popleft())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which cancels the tasks of this client."""
        self._client.close()

    def _reconnect(self) -> None:
        """Connect again where the connection was lost, as for a stage that is retried."""
        if self._client.status != "running":
            self._client.close()
            self._client = self._connect()
        self._seen = time.monotonic()

    def _connect(self) -> Client:
        # Dask would try nevertheless, and leave a client that never ends
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
        # a result may be lost with its worker, and a wait for it would never end
        loop: Any = self._client.loop  # tornado's, without types
        coming = asyncio.run_coroutine_threadsafe(self._client.gather(future, asynchronous=True), loop.asyncio_loop)
        while not wait([coming], SECONDS_BETWEEN_LOOKS).done:
            self._look()
        if time.monotonic() - self._looked > SECONDS_BETWEEN_LOOKS:
            self._look()
        return coming.result()

    def _look(self) -> None:
        """Count the workers' threads; an EngineError where there has been no worker for too long."""
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
    """The function of a scan, in a worker; an EngineError where the worker has other versions than the client."""
    other = [f"{name} {here}, not {versions[name]}" for name, here in _versions().items() if here != versions[name]]
    if other:
        raise EngineError(f"worker {get_worker().address}: has {'; '.join(other)}; install the same everywhere")
    return pickle.loads(zlib.decompress(packed))  # noqa: S301  # from the client, as every Dask task is


def _call(work: Callable[..., Any], *arguments: Any) -> Any:
    _one_blas_thread()
    return work(*arguments)


@functools.cache
def _one_blas_thread() -> None:
    """Limit BLAS to one thread for good, as shards run in parallel and one must not end the limit for others."""
    threadpool_limits(1, user_api="blas")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
