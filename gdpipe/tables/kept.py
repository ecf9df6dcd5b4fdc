"""What is kept between runs, in `OUTPUT/moments/`: small tables, each under a key that says all it depends on.

An entry is one Parquet file, named by its key and by the sha256 of its bytes. So one rename makes it whole; what is
torn, damaged or not ours is known before Parquet's reader, which a flipped bit in a footer can abort, sees a byte of
it; and two runs that keep the same thing at once write the same file. Nothing is ever changed in place, and the
folder may be emptied at any time: it costs one full read.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gdpipe.tables.files import first_line
from gdpipe.tables.writer import output_errors

logger = logging.getLogger(__name__)

FOLDER = "moments"
SUFFIX = ".parquet"
# written under the folder's lock and then renamed: what lies there otherwise, a dead run has left
UNFINISHED = ".unfinished"


def key_of(description: Any) -> str:
    """The key of what is described: equal where the description is, plain values nested as one likes."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


class Kept:
    """The entries of one output folder.

    Args:
        output: The folder that holds all runs.
    """

    def __init__(self, output: str | os.PathLike[str]) -> None:
        self._folder = Path(output) / FOLDER
        self._names: dict[str, list[str]] = {}
        with contextlib.suppress(OSError):
            for path in sorted(self._folder.glob(f"*-*{SUFFIX}")):
                self._names.setdefault(path.name.partition("-")[0], []).append(path.name)
        # a folder that cannot be tidied may still be read
        with contextlib.suppress(OSError), _one_at_a_time(self._folder):
            (self._folder / UNFINISHED).unlink(missing_ok=True)

    def load(self, key: str) -> pa.Table | None:
        """The table kept under a key; None where there is none that is whole."""
        for name in self._names.get(key, []):
            path = self._folder / name
            try:
                content = path.read_bytes()
                if name != _name(key, content):
                    raise ValueError("its sha256 is not the one in its name")
                # a thread would take longer to wake than a table this small to read
                return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
            except FileNotFoundError:
                continue  # emptied meanwhile
            except (OSError, ValueError, pa.ArrowException) as error:
                self._remove(name, f"damaged ({first_line(error)})")
        return None

    def discard(self, key: str, complaint: str) -> None:
        """Say why a key's entries cannot be used, and remove them if that is allowed."""
        for name in self._names.pop(key, []):
            self._remove(name, complaint)

    def _remove(self, name: str, complaint: str) -> None:
        logger.warning("%s: %s; it is not used, and made anew", self._folder / name, complaint)
        with contextlib.suppress(OSError):
            (self._folder / name).unlink()

    def store(self, key: str, table: pa.Table) -> None:
        """Keep a table.

        Raises:
            PublishError: It cannot be written. Only the next run would be slower for it; but a folder that takes no
                30 KB will not take the run's tables either, and one that is never written to makes every night read
                everything, unseen.
        """
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        content = sink.getvalue().to_pybytes()
        name = _name(key, content)
        with output_errors(f"cannot write to {self._folder}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            with _one_at_a_time(self._folder) as descriptor:
                unfinished = self._folder / UNFINISHED
                try:
                    with unfinished.open("wb") as handle:
                        handle.write(content)
                        handle.flush()
                        os.fsync(handle.fileno())
                    os.replace(unfinished, self._folder / name)
                finally:
                    unfinished.unlink(missing_ok=True)
                os.fsync(descriptor)


def _name(key: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()}{SUFFIX}"


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[int]:
    """Nobody else writes meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
