"""Parquet files whose footers are known to be sound before Arrow reads them; and an artifact as a table."""

import hashlib
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from gdpipe.errors import DataError, PublishError
from gdpipe.tables import catalog
from gdpipe.tables.files import first_line, is_transient
from gdpipe.tables.place import Place
from gdpipe.tables.source_file import SourceFile
from gdpipe.tables.thrift import check_footer

MAGIC = b"PAR1"
# after the footer: its length and the magic
TAIL_BYTES = 8
# artifacts of one row a run
ONE_ROW = (catalog.CONVERGENCE, catalog.METRICS)
REMEDY = "restore the run's folder from a copy, or train again"


def read_footer(path: str, handle: Any) -> bytes:
    """The footer of an open file, as it lies there.

    Args:
        path: As messages name it.
        handle: Arrow's, of the whole file.

    Raises:
        DataError: The file is not Parquet.
        OSError: It cannot be read.
    """
    size = handle.size()
    tail = handle.read_at(TAIL_BYTES, size - TAIL_BYTES) if size >= TAIL_BYTES else b""
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length > size - TAIL_BYTES:
        raise DataError(f"{path}: not Parquet, or not whole: it does not end with a footer")
    footer: bytes = handle.read_at(length, size - TAIL_BYTES - length)
    return footer


def open_as_listed(filesystem: pafs.FileSystem, file: SourceFile) -> Any:
    """A file of a source, opened, with the footer that it had when it was listed.

    Another footer may give a column another type, or end the process.

    Raises:
        DataError: It has another one.
        OSError: It cannot be read.
    """
    handle = filesystem.open_input_file(file.path)
    if hashlib.sha256(read_footer(file.path, handle)).hexdigest() != file.footer_sha256:
        raise DataError(f"{file.path}: was changed while it was read; run again when nobody writes to it")
    return handle


def open_parquet(path: str, handle: Any) -> pq.ParquetFile:
    """An open file of our own as Parquet, every page checked against its checksum when it is read.

    Raises:
        DataError: It is not Parquet, or its footer is damaged.
        OSError: It cannot be read.
    """
    check_footer(path, read_footer(path, handle))
    return pq.ParquetFile(handle, page_checksum_verification=True)


def read_artifact(place: Place, path: str) -> pa.Table:
    """A table of a run, every page against its checksum and every text valid.

    Args:
        place: The run's folder.
        path: Relative to it.

    Raises:
        PublishError: It is not there, damaged, or not such a table; the message names the column.
    """
    where = str(place.below(path))
    try:
        with place.open(path) as handle:
            table = open_parquet(where, handle).read()
        table.validate(full=True)
        _ = table.schema.names, table.schema.metadata  # UnicodeDecodeError where a name is not UTF-8
    except DataError as error:
        raise PublishError(f"{error}; {REMEDY}") from error
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        transient = isinstance(error, OSError) and is_transient(error)
        remedy = "" if transient else f"; {REMEDY}"
        raise PublishError(f"{where}: cannot be read ({first_line(error)}){remedy}", transient=transient) from error
    artifact = path.partition("/")[0].removesuffix(".parquet")
    if fault := _fault(artifact, table):
        raise PublishError(f"{where}: {fault}; {REMEDY}")
    return table


def _fault(artifact: str, table: pa.Table) -> str | None:
    """What of a table is not as the catalog says, in words; more columns than it has may be there."""
    known = artifact in catalog.ARTIFACTS
    optional = catalog.optional(artifact) if known else set()
    for field in catalog.schema(artifact, "") if known else ():
        times = table.schema.names.count(field.name)
        if not times and field.name in optional:
            continue
        if times != 1:
            return f"column {field.name!r} is {'there twice' if times else 'not there'}"
        column = table[field.name]
        if column.type != field.type:
            return f"column {field.name!r} is {column.type}, not {field.type}"
        if artifact != catalog.PREDICTIONS and field.name not in optional and column.null_count:
            return f"column {field.name!r} is null in row {column.is_null().to_pylist().index(True)}"
    if artifact in ONE_ROW and table.num_rows != 1:
        return f"{table.num_rows:,} rows, not one"
    if artifact == catalog.PARAMETERS and not table.num_rows:
        return "no rows"
    return None
