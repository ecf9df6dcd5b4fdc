"""Access to the files of a source in one process: parsed footers, and readers that are open."""

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

# bytes (in their files) of the footers that stay parsed; parsed, they take ten times as much. That is some 1,500 files
# of 6 columns, or one of 1,000 row groups of 20 columns; with more, parsing takes little time beside reading the rows
KEPT_BYTES = 2 * 2**20
# readers that stay open; few are idle, as a thread goes on with the next shard at once, mostly of the same file
IDLE_READERS = 4


class OpenFiles:
    """Access to the files of one source; may be shared among threads.

    A footer is parsed when its file is first opened, and stays in memory up to a limit. Beyond the limit only the
    footer that was parsed last stays, and the others are parsed again when they are needed. The object is sent to other
    processes without its footers.

    Attributes:
        filesystem: Where the files are.
        read_bytes: The bytes of a column that one read takes.
        kept_bytes: The bytes (in their files) of the footers that stay parsed.
    """

    def __init__(self, filesystem: pafs.FileSystem) -> None:
        self.filesystem = filesystem
        self.read_bytes = DISK_READ_BYTES if filesystem.type_name == "local" else STORE_READ_BYTES
        self._lock = threading.Lock()
        self._footers: dict[str | None, pq.FileMetaData] = {}
        self.kept_bytes = 0
        self._idle: list[tuple[tuple[str, frozenset[str]], pq.ParquetFile]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenFiles, (self.filesystem,)

    def footer(self, path: str) -> tuple[str, pq.FileMetaData]:
        """The sha256 of a file's footer as it is now, and its metadata.

        Raises:
            DataError: The file is not Parquet, damaged or encrypted.
            OSError: The file cannot be read.
        """
        with self.filesystem.open_input_file(path) as handle:
            footer = read_footer(path, handle)
        sha256 = hashlib.sha256(footer).hexdigest()
        metadata = self._parsed(sha256, footer)
        check_footer(path, footer)  # after Arrow, whose message is better for a footer that cannot be parsed
        return sha256, metadata

    def bounds(self, file: SourceFile, names: Sequence[str]) -> Iterator[tuple[int, dict[str, Bounds]]]:
        """The index of each row group that has rows, and the bounds of columns in it by name, from the footer.

        Columns that the file lacks or has twice, and partition columns, are left out.

        Raises:
            DataError: The file cannot be read, or has changed.
        """
        with reading(file.path):
            metadata = self._footers.get(file.footer_sha256) or self._as_listed(file)[1]
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
    def reader(self, file: SourceFile, dictionaries: frozenset[str] = frozenset()) -> Iterator[pq.ParquetFile]:
        """A reader of a file, for one thread: an idle one, or else a new one.

        Args:
            file: The file.
            dictionaries: Columns of text that are read as dictionaries.

        Raises:
            DataError: The file cannot be read, or has changed.
        """
        with self._lock:
            of = (file.path, dictionaries)
            at = next((i for i, (idle, _) in enumerate(self._idle) if idle == of), None)
            parquet = None if at is None else self._idle.pop(at)[1]
        if parquet is None:
            with reading(file.path):
                handle, metadata = self._as_listed(file)
                # without pre_buffer pages are read as they are decoded, so that no large row group is in memory whole
                parquet = pq.ParquetFile(
                    handle,
                    metadata=metadata,
                    page_checksum_verification=True,
                    pre_buffer=False,
                    buffer_size=self.read_bytes,
                    coerce_int96_timestamp_unit="us",
                    read_dictionary=sorted(dictionaries),
                )
        yield parquet  # a reader that has failed is not used again
        with self._lock:
            self._idle = [*self._idle, (of, parquet)][-IDLE_READERS:]

    def close(self, file: SourceFile) -> None:
        """Drop a file's idle readers, so that the next read opens the file and notices a change."""
        with self._lock:
            self._idle = [(of, parquet) for of, parquet in self._idle if of[0] != file.path]

    def _as_listed(self, file: SourceFile) -> tuple[Any, pq.FileMetaData]:
        """A file, opened again, and its footer, which must be that of the listing.

        Another footer may give a column another type, or end the process.
        """
        handle = self.filesystem.open_input_file(file.path)
        footer = read_footer(file.path, handle)
        if hashlib.sha256(footer).hexdigest() != file.footer_sha256:
            raise DataError(f"{file.path}: was changed while it was read; run again when nobody writes to it")
        return handle, self._parsed(file.footer_sha256, footer)

    def _parsed(self, sha256: str, footer: bytes) -> pq.FileMetaData:
        with self._lock:
            if sha256 not in self._footers:
                if self.kept_bytes > KEPT_BYTES:  # only the last footer is replaced
                    self.kept_bytes -= self._footers.popitem()[1].serialized_size
                self._footers[sha256] = parsed(footer)
                self.kept_bytes += self._footers[sha256].serialized_size
            return self._footers[sha256]
