"""A scan: shards worked on by whoever is there, with progress; a worker's death is an error that names files."""

from collections.abc import Generator, Sequence
from concurrent.futures import Executor
from typing import Any, overload

from gdpipe.engine import readers_of
from gdpipe.errors import EngineError
from gdpipe.source.scan import Shard, decoded_bytes
from gdpipe.stages.progress import reported
from gdpipe.stages.scan.predict_shard import Part, PredictShard
from gdpipe.stages.scan.row_sums import Sums
from gdpipe.stages.scan.sum_shard import SumShard
from gdpipe.tally import Counted, Tally
from gdpipe.workers import Processes, WorkerDied

# the most files that the message names; each worker may have been reading one
FILES_NAMED = 3


@overload
def scanned(
    work: SumShard, shards: Sequence[Shard], executor: Executor, doing: str
) -> Generator[dict[int, Sums], None, None]: ...


@overload
def scanned(
    work: PredictShard, shards: Sequence[Shard], executor: Executor, doing: str
) -> Generator[Part, None, None]: ...


def scanned(
    work: SumShard | PredictShard, shards: Sequence[Shard], executor: Executor, doing: str
) -> Generator[Any, None, None]:
    """The results of shards, in order; `doing` is the verb of the progress.

    Raises:
        EngineError: A worker process died.
    """
    source = work.source
    readers = readers_of(executor, work.budget.readers, decoded_bytes(source, shards, len(work.columns.fitted)))
    try:
        tally = Tally(readers.rows_read) if isinstance(readers, Processes) else Tally()
        yield from reported(readers.map(Counted(work, tally), shards), source, shards, doing, tally.rows)
    except WorkerDied as died:
        paths = sorted({source.files[shard.file].path for (shard,) in died.calls})
        more = f" and {len(paths) - FILES_NAMED:,} more" if len(paths) > FILES_NAMED else ""
        raise EngineError(
            f"{', '.join(paths[:FILES_NAMED]) or source.location}{more}: a worker process died while it was at work "
            "there: perhaps the machine ran out of memory (fewer workers or less memory help), or a file crashes its "
            "reader; what was published before is untouched",
            transient=True,
        ) from died
