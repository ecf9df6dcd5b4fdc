"""Folders that mean more than the Parquet in them: tables of Delta Lake, Iceberg and Hudi, and runs of gdpipe.

Such a table's files hold rows that were deleted or replaced since; which of them are live, its log says, and nobody but
its own library reads that.
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

# what lies in a folder, and whose it is; in Iceberg's folder another name must fit, too
OWNERS = {
    "_delta_log": "a Delta Lake table",
    ".hoodie": "a Hudi table",
    ".hoodie_partition_metadata": "part of a Hudi table",
}
ICEBERG = "metadata"
ICEBERG_TABLE = re.compile(r".*\.metadata\.json(\.gz)?")
# what the writers of Iceberg note in a delete file's footer, and the ids of the columns of position deletes
ICEBERG_DELETES, ICEBERG_POSITIONS = b"delete-type", {b"2147483546", b"2147483545"}
ASKED_AT_ONCE = 16

OF_A_RUN = {MANIFEST, "parameters.parquet", "loss_history.parquet", "convergence.parquet"}
OUTPUT_NAMES = frozenset({LATEST, RUNS, REJECTED, MOMENTS})
# those of earlier versions are Parquet
KEPT_SUMS = re.compile(r"[0-9a-f]{64}-[0-9a-f]{64}\.(json|parquet)")


def table_format(names: Collection[str], metadata: Iterable[str]) -> str | None:
    """Whose table a folder is, by what lies in it and in its folder `metadata`; None where it is a plain folder."""
    for marker, owner in OWNERS.items():
        if marker in names:
            return f"{owner} ({marker})"
    found = next((name for name in metadata if ICEBERG_TABLE.fullmatch(name)), None)
    return f"an Iceberg table ({ICEBERG}/{found})" if found else None


def refusal(where: str, what: str) -> DataError:
    """The error for a source that is, holds or is part of such a table."""
    return DataError(
        f"{where}: {what}, whose files hold deleted and replaced rows, too; "
        "write its current rows as plain Parquet with its own library, outside of the table's folder, and read those"
    )


def refuse_tables_above(filesystem: pafs.FileSystem, folders: Iterable[str]) -> None:
    """See that no folder, nor any above it, is a table of another system.

    Raises:
        DataError: One is.
    """
    above = {str(f) for folder in folders for f in (PurePosixPath(folder), *PurePosixPath(folder).parents)} - {"."}
    asked = [(folder, marker) for folder in sorted(above) for marker in (*OWNERS, ICEBERG)]

    def is_there(question: tuple[str, str]) -> bool:
        try:
            return bool(filesystem.get_file_info("/".join(question)).type != pafs.FileType.NotFound)
        except OSError as error:
            if isinstance(error, PermissionError) or "ACCESS_DENIED" in str(error):
                return False  # who may read a folder may not be allowed to look above it
            raise

    if filesystem.type_name == "local":
        there = [is_there(question) for question in asked]
    else:
        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            there = list(pool.map(is_there, asked))
    lying = list(itertools.compress(asked, there))
    for folder in sorted({folder for folder, _ in lying}):
        names = {marker for of, marker in lying if of == folder}
        selector = pafs.FileSelector(f"{folder}/{ICEBERG}", allow_not_found=True)
        metadata = [i.base_name for i in filesystem.get_file_info(selector)] if ICEBERG in names else []
        if found := table_format(names, metadata):
            raise refusal(folder, found)


def refuse_deletes(path: str, metadata: dict[bytes, bytes] | None, schema: pa.Schema) -> None:
    """See that a Parquet file of such metadata and columns is no list of deletions of an Iceberg table.

    Raises:
        DataError: It is one.
    """
    ids = {(field.metadata or {}).get(b"PARQUET:field_id") for field in schema}
    if ICEBERG_DELETES in (metadata or {}) or ids >= ICEBERG_POSITIONS:
        raise refusal(path, "a list of deleted rows, of an Iceberg table")


def is_run(names: Collection[str]) -> bool:
    """Whether a folder is a run that gdpipe has left, or the sums that it keeps for the next."""
    return set(names) >= OF_A_RUN or (bool(names) and all(KEPT_SUMS.fullmatch(name) for name in names))


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
