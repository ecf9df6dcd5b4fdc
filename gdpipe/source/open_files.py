"""The files of a source as this process has them open: footers that it has parsed, and readers that wait for rows."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow.fs as pafs
import pyarrow.parquet as pq

from gdpipe.errors import DataError
from gdpipe.source.bounds import Bounds, bounds, first_leaves
from gdpipe.source.budget import DISK_READ_BYTES, STORE_READ_BYTES
from gdpipe.source.files import reading
from gdpipe.source.footer import check_footer, parsed, read_footer
from gdpipe.source.source_file import SourceFile

# of footers, as they lie in their files, that stay parsed: ten times as much in memory. Some 1,500 files of 6 columns,
# or one of 1,000 row groups of 20: where there are more, a parse is nothing beside the rows
KEPT_BYTES = 2 * 2**20
# a thread asks for the next shard, mostly of the same file, as soon as it has done one: few readers ever wait
IDLE_READERS = 4


class OpenFiles:
    """Access to the files of one source; may be shared among threads.

    A footer is parsed when its file is first opened, and kept as long as there is room; beyond that the one parsed last
    is kept, and others are parsed again when they are asked for. A process that this is sent to parses its own.

    Attributes:
        filesystem: Where the files are.
        read_bytes: Read at once of a column.
        kept_bytes: Of the footers that are kept, as they lie in their files.
    """

    def __init__(self, filesystem: pafs.FileSystem) -> None:
        self.filesystem = filesystem
        self.read_bytes = DISK_READ_BYTES if filesystem.type_name == "local" else STORE_READ_BYTES
        self._lock = threading.Lock()
        self._kept: dict[str | None, pq.FileMetaData] = {}
        self.kept_bytes = 0
        self._idle: list[tuple[str, pq.ParquetFile]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenFiles, (self.filesystem,)

    def footer(self, path: str) -> tuple[str, pq.FileMetaData]:
        """The sha256 of a file's footer as it is now, and what it says.

        Raises:
            DataError: The file is not Parquet, damaged or encrypted.
            OSError: It cannot be read.
        """
        with self.filesystem.open_input_file(path) as handle:
            footer = read_footer(path, handle)
        sha256 = hashlib.sha256(footer).hexdigest()
        metadata = self._parsed(sha256, footer)
        check_footer(path, footer)  # what does not even parse is said better by Arrow
        return sha256, metadata

    def bounds(self, file: SourceFile, names: Sequence[str]) -> Iterator[tuple[int, dict[str, Bounds]]]:
        """What the footer says of columns, for each row group that has rows: its index, and bounds by name.

        Columns that the file itself has not, or twice, or whose values its folder gives, are left out.

        Raises:
            DataError: The file cannot be read, or has changed.
        """
        with reading(file.path):
            metadata = self._kept.get(file.footer_sha256) or self._as_listed(file)[1]
            leaves = dict(zip(file.schema.names, first_leaves(file.schema), strict=True))
            columns = [
                (name, leaves[name], metadata.schema.column(leaves[name]).physical_type, file.schema.field(name).type)
                for name in names
                if name not in file.partition and file.schema.get_field_index(name) >= 0
            ]
            for g, rows in enumerate(file.group_rows):
                group = metadata.row_group(g)
                if rows:
                    yield g, {n: bounds(group.column(at).statistics, how, kind, rows) for n, at, how, kind in columns}

    @contextlib.contextmanager
    def reader(self, file: SourceFile) -> Iterator[pq.ParquetFile]:
        """A file's rows, for one thread at a time: opened anew only where no reader of the file waits.

        Raises:
            DataError: The file cannot be read, or has changed.
        """
        with self._lock:
            at = next((i for i, (path, _) in enumerate(self._idle) if path == file.path), None)
            parquet = None if at is None else self._idle.pop(at)[1]
        if parquet is None:
            with reading(file.path):
                handle, metadata = self._as_listed(file)
                # pages are read as they are decoded: a row group is never in memory whole, however large it is
                parquet = pq.ParquetFile(
                    handle,
                    metadata=metadata,
                    page_checksum_verification=True,
                    pre_buffer=False,
                    buffer_size=self.read_bytes,
                    coerce_int96_timestamp_unit="us",
                )
        yield parquet  # one that has failed does not come back
        with self._lock:
            self._idle = [*self._idle, (file.path, parquet)][-IDLE_READERS:]

    def close(self, file: SourceFile) -> None:
        """Let go of a file's readers: who reads it again opens it, and finds out whether it has changed."""
        with self._lock:
            self._idle = [(path, parquet) for path, parquet in self._idle if path != file.path]

    def _as_listed(self, file: SourceFile) -> tuple[Any, pq.FileMetaData]:
        """A file, opened, with the footer that it had when it was listed.

        Another footer may give a column another type, or end the process.
        """
        handle = self.filesystem.open_input_file(file.path)
        footer = read_footer(file.path, handle)
        if hashlib.sha256(footer).hexdigest() != file.footer_sha256:
            raise DataError(f"{file.path}: was changed while it was read; run again when nobody writes to it")
        return handle, self._parsed(file.footer_sha256, footer)

    def _parsed(self, sha256: str, footer: bytes) -> pq.FileMetaData:
        with self._lock:
            if sha256 not in self._kept:
                if self.kept_bytes > KEPT_BYTES:  # the last one makes room: those before it stay
                    self.kept_bytes -= self._kept.popitem()[1].serialized_size
                self._kept[sha256] = parsed(footer)
                self.kept_bytes += self._kept[sha256].serialized_size
            return self._kept[sha256]
