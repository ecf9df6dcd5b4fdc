"""Writing of a run's files: each is made safe, read back and checked."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from gdpipe.errors import PublishError
from gdpipe.source.files import first_line, is_connection_lost
from gdpipe.store.place import Place

READ_BYTES = 2**23


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of a run, as the manifest lists it."""

    path: str  # relative to the run's folder, with forward slashes
    rows: int | None  # None where the file is not a table
    bytes: int
    sha256: str  # in hexadecimal


@contextlib.contextmanager
def output_errors(doing: str) -> Iterator[None]:
    """A block whose OSErrors become an error that says what could not be written, and where.

    Raises:
        PublishError: In place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise PublishError(
            f"{doing}: {error.strerror or first_line(error)}; what was published before is untouched",
            transient=isinstance(error, InterruptedError) or is_connection_lost(error),
        ) from error


class TableWriter:
    """Writer of one Parquet file of a run, batch by batch; the path is relative to the run's folder."""

    def __init__(self, place: Place, path: str, schema: pa.Schema) -> None:
        self._place = place
        self._path = path
        self._doing = f"cannot write {place.below(path)}"
        self._schema = schema
        self._rows = 0
        with output_errors(self._doing):
            self._sink = place.create(path)
            texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
            try:
                self._writer = pq.ParquetWriter(
                    self._sink, schema, compression="zstd", use_dictionary=texts, write_page_checksum=True
                )
            except BaseException:
                self._sink.abandon()
                raise

    def write(self, table: pa.Table) -> None:
        """Append rows as one row group."""
        with output_errors(self._doing):
            self._writer.write_table(table)
        self._rows += table.num_rows

    def abandon(self) -> None:
        """Close without a record: the run will not be published."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._writer.is_open = False  # even after an error, so that Arrow does not try again
        self._sink.abandon()

    def close(self) -> WrittenFile:
        """Make the file safe, read it back and check it; return its record.

        Raises:
            PublishError: The file cannot be written, or does not read back as it was written.
        """
        try:
            with output_errors(self._doing):
                self._writer.close()
                self._sink.close()
                record = read_back(self._place, self._path, self._sink.sha256, self._rows)
                with self._place.open(self._path) as handle:
                    metadata = pq.read_metadata(handle)
        except pa.ArrowException as error:
            raise PublishError(f"{self._place.below(self._path)} does not read back: {first_line(error)}") from error
        finally:
            self.abandon()
        if metadata.num_rows != self._rows or not metadata.schema.to_arrow_schema().equals(self._schema):
            raise PublishError(f"{self._place.below(self._path)} does not read back as it was written")
        return record


def write_table(place: Place, path: str, table: pa.Table) -> WrittenFile:
    """Write a whole table as one file of a run."""
    writer = TableWriter(place, path, table.schema)
    try:
        writer.write(table)
    except PublishError:
        writer.abandon()
        raise
    return writer.close()


def write_text(place: Place, path: str, text: str) -> WrittenFile:
    """Write a text as one file of a run."""
    with output_errors(f"cannot write {place.below(path)}"):
        sink = place.create(path)
        try:
            sink.write(text.encode())
            sink.close()
        finally:
            sink.abandon()
        return read_back(place, path, sink.sha256, None)


def read_back(place: Place, path: str, sha256: str, rows: int | None) -> WrittenFile:
    """The record of a file, read back and compared with what was written.

    Raises:
        PublishError: The file has another checksum.
    """
    size, found = digest(place, path)
    if found != sha256:
        raise PublishError(f"{place.below(path)} does not read back as it was written")
    return WrittenFile(path, rows, size, found)


def digest(place: Place, path: str) -> tuple[int, str]:
    """The size and the sha256 of a file, which is read.

    Raises:
        OSError: The file cannot be read.
    """
    sha256, size = hashlib.sha256(), 0
    with place.open(path) as handle:
        while content := handle.read(READ_BYTES):
            sha256.update(content)
            size += len(content)
    return size, sha256.hexdigest()
