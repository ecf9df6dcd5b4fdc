"""Folders that are more than Parquet files: tables of Delta Lake, Iceberg and Hudi, and runs of gdpipe.

The files of such a table have deleted and replaced rows, too. The table's log says which rows are current, and only the
table's own library can read it.
"""

import itertools
import json
import re
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.fs as pafs

from gdpipe.errors import DataError
from gdpipe.layout import LATEST, MANIFEST, MOMENTS, REJECTED, RUNS

# names that mark a folder as a table; for Iceberg, a name in its folder `metadata` must match, too
OWNERS = {
    "_delta_log": "a Delta Lake table",
    ".hoodie": "a Hudi table",
    ".hoodie_partition_metadata": "part of a Hudi table",
}
ICEBERG = "metadata"
ICEBERG_TABLE = re.compile(r".*\.metadata\.json(\.gz)?")
# a key in the footer of Iceberg's delete files, and the ids of the columns of position deletes
ICEBERG_DELETES, ICEBERG_POSITIONS = b"delete-type", {b"2147483546", b"2147483545"}
ASKED_AT_ONCE = 16

OF_A_RUN = {MANIFEST, "parameters.parquet", "loss_history.parquet", "convergence.parquet"}
OUTPUT_NAMES = frozenset({LATEST, RUNS, REJECTED, MOMENTS})
# the cache of sums, which was Parquet in earlier versions
CACHED_SUMS = re.compile(r"[0-9a-f]{64}-[0-9a-f]{64}\.(json|parquet)")


def table_format(names: Collection[str], metadata: Iterable[str]) -> str | None:
    """The kind of table by the names in a folder and in its folder `metadata`; None where it is a plain folder."""
    for marker, owner in OWNERS.items():
        if marker in names:
            return f"{owner} ({marker})"
    found = next((name for name in metadata if ICEBERG_TABLE.fullmatch(name)), None)
    return f"an Iceberg table ({ICEBERG}/{found})" if found else None


def refusal(where: str, what: str) -> DataError:
    """The error for a source that is, has in it or is part of such a table."""
    return DataError(
        f"{where}: {what}, whose files hold deleted and replaced rows, too; "
        "write its current rows as plain Parquet with its own library, outside of the table's folder, and read those"
    )


def refuse_tables_above(filesystem: pafs.FileSystem, folders: Iterable[str]) -> None:
    """Check that neither the folders nor those above them are tables of another system.

    Raises:
        DataError: A folder is.
    """
    above = {str(f) for folder in folders for f in (PurePosixPath(folder), *PurePosixPath(folder).parents)} - {"."}
    asked = [(folder, marker) for folder in sorted(above) for marker in (*OWNERS, ICEBERG)]

    def is_there(question: tuple[str, str]) -> bool:
        try:
            return bool(filesystem.get_file_info("/".join(question)).type != pafs.FileType.NotFound)
        except OSError as error:
            if isinstance(error, PermissionError) or "ACCESS_DENIED" in str(error):
                return False  # reading a folder may be allowed, and looking above it forbidden
            raise

    if filesystem.type_name == "local":
        there = [is_there(question) for question in asked]
    else:
        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            there = list(pool.map(is_there, asked))
    present = list(itertools.compress(asked, there))
    for folder in sorted({folder for folder, _ in present}):
        names = {marker for parent, marker in present if parent == folder}
        selector = pafs.FileSelector(f"{folder}/{ICEBERG}", allow_not_found=True)
        metadata = [i.base_name for i in filesystem.get_file_info(selector)] if ICEBERG in names else []
        if found := table_format(names, metadata):
            raise refusal(folder, found)


def refuse_deletes(path: str, metadata: dict[bytes, bytes] | None, schema: pa.Schema) -> None:
    """Check by metadata and columns that a Parquet file is not a list of deleted rows of an Iceberg table.

    Raises:
        DataError: The file is such a list.
    """
    ids = {(field.metadata or {}).get(b"PARQUET:field_id") for field in schema}
    if ICEBERG_DELETES in (metadata or {}) or ids >= ICEBERG_POSITIONS:
        raise refusal(path, "a list of deleted rows, of an Iceberg table")


def is_run(names: Collection[str]) -> bool:
    """Whether a folder is a run of gdpipe, or its cache of sums."""
    return set(names) >= OF_A_RUN or (bool(names) and all(CACHED_SUMS.fullmatch(name) for name in names))


def is_output(filesystem: pafs.FileSystem, folder: str, names: Collection[str]) -> bool:
    """Whether gdpipe has published runs in a folder."""
    if not {LATEST, RUNS} <= set(names):
        return False
    with filesystem.open_input_stream(f"{folder}/{LATEST}") as stream:
        try:
            pointer = json.loads(stream.read())
            return str(pointer["path"]) == f"{RUNS}/{pointer['run_id']}"
        except (ValueError, LookupError, TypeError):
            return False
