"""How far a scan has come, as log lines: on a terminal, and on a flow's run page."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from gdpipe.tables.scan import Shard
from gdpipe.tables.source import Source

logger = logging.getLogger(__name__)

# a scan that is done sooner says nothing
SECONDS_BETWEEN_LINES = 5.0

Result = TypeVar("Result")


def reported(results: Iterable[Result], source: Source, shards: Sequence[Shard], doing: str) -> Iterator[Result]:
    """Pass on the results of shards, in their order, and log now and then how many rows they were.

    Args:
        results: One a shard.
        source: Where the shards are.
        shards: In the order of the results.
        doing: What is done to the rows, such as `read`.
    """
    rows = [sum(source.files[shard.file].group_rows[g] for g in shard.row_groups) for shard in shards]
    total, done = sum(rows), 0
    start = said = time.monotonic()
    for result, count in zip(results, rows, strict=False):
        done += count
        now = time.monotonic()
        if now - said >= SECONDS_BETWEEN_LINES and done < total:
            said = now
            speed = done / (now - start)
            left = (total - done) / speed
            logger.info("%s %s of %s rows, %s rows/s, %.0f s left", doing, *map(_whole, (done, total, speed)), left)
        yield result


def _whole(number: float) -> str:
    return f"{number:,.0f}"
