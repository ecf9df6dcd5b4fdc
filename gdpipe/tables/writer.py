"""Parquet out: one file of a run, flushed to the disk, read back and checked."""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gdpipe.errors import PublishError


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of a run, as the manifest lists it.

    Attributes:
        path: Relative to the run's folder, with forward slashes.
        rows: None where the file is not a table.
        bytes: Its size.
        sha256: Of its content, in hexadecimal.
    """

    path: str
    rows: int | None
    bytes: int
    sha256: str


@contextlib.contextmanager
def output_errors(doing: str) -> Iterator[None]:
    """Say what could not be written, and where.

    Raises:
        PublishError: In place of any OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise PublishError(
            f"{doing}: {reason}; what was published before is untouched", transient=isinstance(error, InterruptedError)
        ) from error


class TableWriter:
    """Writes one Parquet file of a run, batch by batch, and tells its record when closed.

    Args:
        folder: The run's folder.
        path: Relative to it.
        schema: Columns and metadata.
    """

    def __init__(self, folder: Path, path: str, schema: pa.Schema) -> None:
        self._file = folder / path
        # a shard may be worked on twice, even at once: each writes a file of its own, and the whole takes the name
        self._beside = self._file.with_name(f".{self._file.name}.{uuid.uuid4().hex}")
        self._path = path
        self._schema = schema
        self._rows = 0
        with output_errors(f"cannot write {self._file}"):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
            self._writer = pq.ParquetWriter(
                self._beside, schema, compression="zstd", use_dictionary=texts, write_page_checksum=True
            )

    def write(self, table: pa.Table) -> None:
        """Append rows as one row group."""
        with output_errors(f"cannot write {self._file}"):
            self._writer.write_table(table)
        self._rows += table.num_rows

    def abandon(self) -> None:
        """Close without a record: the run will not be published."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._beside.unlink()

    def close(self) -> WrittenFile:
        """Flush to the disk, read back, check.

        Raises:
            PublishError: The file cannot be written, or does not read back as it was written.
        """
        with output_errors(f"cannot write {self._file}"):
            self._writer.close()
            record = sync_and_hash(self._beside, self._path, self._rows)
        try:
            metadata = pq.read_metadata(self._beside)
        except (pa.ArrowException, OSError) as error:
            raise PublishError(f"{self._file} does not read back: {error}") from error
        if metadata.num_rows != self._rows or not metadata.schema.to_arrow_schema().equals(self._schema):
            raise PublishError(f"{self._file} does not read back as it was written")
        with output_errors(f"cannot write {self._file}"):
            self._beside.rename(self._file)
        return record


def write_table(folder: Path, path: str, table: pa.Table) -> WrittenFile:
    """Write a whole table as one file of a run."""
    writer = TableWriter(folder, path, table.schema)
    writer.write(table)
    return writer.close()


def write_text(folder: Path, path: str, text: str) -> WrittenFile:
    """Write a text as one file of a run."""
    file = folder / path
    with output_errors(f"cannot write {file}"):
        file.write_text(text, encoding="utf-8")
        return sync_and_hash(file, path, None)


def sync_and_hash(file: Path, path: str, rows: int | None) -> WrittenFile:
    """Force a file to the disk and record it as read back."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        return WrittenFile(path, rows, handle.tell(), digest)
