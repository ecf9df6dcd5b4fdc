"""How far a run has come: stages tell it, a listener shows it.

Here as log lines; `gdpipe.cli.bar` draws it on a terminal, `flows.progress` shows it to Prefect.
"""

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from gdpipe.printable import logger_named
from gdpipe.source.scan import Shard
from gdpipe.source.source import Source

logger = logger_named(__name__)

# what is done sooner says nothing
SECONDS_BETWEEN_LINES = 5.0

Result = TypeVar("Result")


@dataclass(slots=True)
class Activity:
    """Something that takes a while. It changes as it goes on, and other threads may look at it.

    Attributes:
        doing: What is done to the units, such as `read`.
        total: How many there are, as far as is known.
        unit: What is counted: rows or steps.
        known: How the total is known: empty where it was counted, `forecast`, or `at most`.
        done: How many are done.
        note: A word more on where it stands.
        began: Seconds, of the monotonic clock.
        moved: When `done` last changed.
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

    def at(self, done: int, note: str = "") -> None:
        """Say that so many are done."""
        self.done, self.note, self.moved = done, note, time.monotonic()
        self.heard()

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1; a forecast may be passed."""
        return min(self.done / self.total, 1.0) if self.total else 1.0

    def __str__(self) -> str:
        of = f"of {self.known} " if self.known else "of "
        said = [f"{self.doing} {self.done:,} {of}{self.total:,} {self.unit}"]
        if self.done and self.moved > self.began:
            speed = self.done / (self.moved - self.began)
            left = (self.total - self.done) / speed - (time.monotonic() - self.moved)
            said += [f"{speed:,.0f} {self.unit}/s", f"{timedelta(seconds=round(max(left, 0.0)))} left"]
        return ", ".join([*said, self.note] if self.note else said)


# is entered when an activity begins and left when it ends, and gives what is called each time the activity has moved
Listener = Callable[[Activity], AbstractContextManager[Callable[[], None]]]


@contextlib.contextmanager
def log_lines(activity: Activity) -> Iterator[Callable[[], None]]:
    """A line in the log now and then, none for what is soon done."""
    said = activity.began

    def moved() -> None:
        nonlocal said
        if activity.moved - said >= SECONDS_BETWEEN_LINES and activity.share < 1:
            said = activity.moved
            logger.info(str(activity))  # now: the activity will have moved on when a handler looks

    yield moved


@contextlib.contextmanager
def silence(activity: Activity) -> Iterator[Callable[[], None]]:
    """Nothing."""
    yield lambda: None


# a variable of the context: each thread has its own, and Prefect's tasks have that of their flow
_listener: ContextVar[Listener] = ContextVar("listener", default=log_lines)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let a listener hear the activities of this block, and no other's."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextlib.contextmanager
def telling(activity: Activity) -> Iterator[Activity]:
    """Let the listener hear of an activity while this block lasts."""
    with _listener.get()(activity) as activity.heard:
        yield activity


def reported(
    results: Iterable[Result], source: Source, shards: Sequence[Shard], doing: str
) -> Generator[Result, None, None]:
    """Pass on the results of shards, in their order, and tell how many rows they were.

    Whole shards are counted, since that is all that is known of work in another process.

    Args:
        results: One a shard.
        source: Where the shards are.
        shards: In the order of the results.
        doing: What is done to the rows, such as `read`.
    """
    rows = [sum(source.files[shard.file].group_rows[g] for g in shard.row_groups) for shard in shards]
    with telling(Activity(doing, sum(rows), "rows")) as activity:
        for result, count in zip(results, rows, strict=False):
            activity.at(activity.done + count)
            yield result
