"""Rows read so far, counted by the threads and worker processes that read them, while they are at it."""

import contextlib
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

_COUNT = struct.Struct("q")
# bytes of a pipe that are read at once
_READ_BYTES = 65_536

_reading: ContextVar[Callable[[int], None] | None] = ContextVar("reading", default=None)


def counter() -> Callable[[int], None]:
    """The function that whoever reads calls with the rows of each batch; it does nothing where nobody counts."""
    return _reading.get() or (lambda rows: None)


class Tally:
    """The rows that were read since it was made, in this process and in its worker processes.

    Pickled, as into a worker process, it is that process's own, which sends what it counts through a pipe.
    """

    def __init__(self, received: Callable[[], int] = lambda: 0) -> None:
        self._lock = threading.Lock()
        self._here = 0
        self._received = received
        self._before = received()

    def __reduce__(self) -> tuple[Any, ...]:
        """The parts for pickle: those of another process are its own."""
        return _of_this_worker, ()

    def add(self, rows: int) -> None:
        """Count the rows of a batch."""
        with self._lock:
            self._here += rows

    def rows(self) -> int:
        """The rows so far."""
        return self._here + self._received() - self._before

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """A block whose reads are counted here."""
        token = _reading.set(self.add)
        try:
            yield
        finally:
            _reading.reset(token)


class Counted:
    """The work on a shard, whose reads are counted."""

    def __init__(self, work: Callable[..., Any], tally: Tally) -> None:
        self.work = work
        self.tally = tally

    def __call__(self, *arguments: Any) -> Any:
        """The result of the work."""
        with self.tally.counting():
            return self.work(*arguments)


class Receiver:
    """The end of a pipe where the counts of worker processes arrive."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._rows = 0
        os.set_blocking(pipe.fileno(), False)

    def rows(self) -> int:
        """The rows that the workers have counted so far."""
        with self._lock, contextlib.suppress(OSError):  # nothing new, or closed
            while content := os.read(self._pipe.fileno(), _READ_BYTES):
                # a write of so few bytes is whole or not there, and the pipe's size is a multiple of them
                self._rows += sum(rows for (rows,) in _COUNT.iter_unpack(content))
        return self._rows

    def close(self) -> None:
        """Give the pipe back."""
        with self._lock:
            self._pipe.close()


class _Sender(Tally):
    """The tally of a worker process."""

    def __init__(self, pipe: Any) -> None:
        super().__init__()
        self._pipe = pipe
        # where nobody looks at the counts the pipe is full, and the work goes on
        os.set_blocking(pipe.fileno(), False)

    def add(self, rows: int) -> None:
        """Send the rows of a batch, and those that could not be sent before."""
        super().add(rows)
        with self._lock, contextlib.suppress(OSError):
            os.write(self._pipe.fileno(), _COUNT.pack(self._here))
            self._here = 0


# the pipe of a worker process
_pipes: list[Any] = []


def send_through(pipe: Any) -> None:
    """Make this process a worker, which sends its counts through the pipe."""
    _pipes[:] = [pipe]


def _of_this_worker() -> Tally:
    """A new tally for a new scan; what could not be sent of the last one is forgotten."""
    return _Sender(_pipes[0]) if _pipes else Tally()
