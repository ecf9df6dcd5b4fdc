"""Progress of a run: stages report it, a listener shows it.

The listener here writes log lines; `gdpipe.cli` draws a bar on a terminal, `flows.progress` shows it to Prefect.
"""

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from gdpipe.printable import counted, logger_named
from gdpipe.source.scan import Shard
from gdpipe.source.source import Source

logger = logger_named(__name__)

# a shorter activity has no log line
SECONDS_BETWEEN_LINES = 5.0

Result = TypeVar("Result")


@dataclass(slots=True)
class Activity:
    """A part of a run that takes a while; it changes as it goes on, and other threads may read it.

    Attributes:
        doing: The verb for the units done, such as `read`.
        total: The number of units, as far as it is known.
        unit: The unit: row or step.
        known: How the total is known: empty where it was counted, `forecast`, or `at most`.
        done: The number of units done.
        note: A remark about the present state.
        on_the_way: The number of units that are known to be done beyond that, as a function; rows of unfinished shards.
        began, moved: The start and the last change of `done`, in seconds of the monotonic clock.
        heard: Called after each change.
    """

    doing: str
    total: int
    unit: str
    known: str = ""
    done: int = 0
    note: str = ""
    began: float = field(default_factory=time.monotonic)
    moved: float = 0.0
    heard: Callable[[], None] = lambda: None
    on_the_way: Callable[[], int] = lambda: 0

    def at(self, done: int, note: str = "") -> None:
        """Report the number of units done."""
        self.done, self.note, self.moved = done, note, time.monotonic()
        self.heard()

    @property
    def reached(self) -> int:
        """The number of units done, with those on the way."""
        return max(self.done, min(self.on_the_way(), self.total))

    @property
    def share(self) -> float:
        """The share of units done, from 0 to 1; it stays 1 where a forecast is exceeded."""
        return min(self.reached / self.total, 1.0) if self.total else 1.0

    def __str__(self) -> str:
        return self.said(self.reached)

    def said(self, done: int) -> str:
        """The progress in words, at so many units done."""
        now = time.monotonic()
        moved = now if done > self.done else self.moved
        of = f"of {self.known} " if self.known else "of "
        parts = [f"{self.doing} {done:,} {of}{counted(self.total, self.unit)}"]
        if done and moved > self.began:
            speed = done / (moved - self.began)
            left = (self.total - done) / speed - (now - moved)
            parts += [f"{speed:,.0f} {self.unit}s/s", f"{timedelta(seconds=round(max(left, 0.0)))} left"]
        return ", ".join([*parts, self.note] if self.note else parts)


# a context manager around an activity; its value is a function that is called after each change of the activity
Listener = Callable[[Activity], AbstractContextManager[Callable[[], None]]]


@contextlib.contextmanager
def log_lines(activity: Activity) -> Iterator[Callable[[], None]]:
    """Listener that logs a line every few seconds, none for a short activity."""
    logged = activity.began

    def moved() -> None:
        nonlocal logged
        if activity.moved - logged >= SECONDS_BETWEEN_LINES and activity.done < activity.total:
            logged = activity.moved
            logger.info(activity.said(activity.done))  # as text, since the activity changes before a handler formats it

    yield moved


@contextlib.contextmanager
def silence(activity: Activity) -> Iterator[Callable[[], None]]:
    """Listener that shows nothing."""
    yield lambda: None


# a context variable: each thread has its own, and Prefect's tasks have that of their flow
_listener: ContextVar[Listener] = ContextVar("listener", default=log_lines)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """A block whose activities, and no others, are shown by the listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextlib.contextmanager
def telling(activity: Activity) -> Iterator[Activity]:
    """A block during which the listener shows the activity."""
    with _listener.get()(activity) as activity.heard:
        yield activity


def reported(
    results: Iterable[Result],
    source: Source,
    shards: Sequence[Shard],
    doing: str,
    on_the_way: Callable[[], int] = lambda: 0,
) -> Generator[Result, None, None]:
    """The results of shards, unchanged and in order; the rows of each are reported as progress.

    `on_the_way` is the number of rows read so far, those of unfinished shards among them; 0 where nobody knows, as of a
    cluster.
    """
    rows = [sum(source.files[shard.file].group_rows[g] for g in shard.row_groups) for shard in shards]
    with telling(Activity(doing, sum(rows), "row", on_the_way=on_the_way)) as activity:
        for result, count in zip(results, rows, strict=False):
            activity.at(activity.done + count)
            yield result
