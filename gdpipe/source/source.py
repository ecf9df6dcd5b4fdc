"""A source: its files, with what their footers say."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gdpipe.design import ColumnKind
from gdpipe.errors import DataError, SchemaError
from gdpipe.filters import Filters, normalized
from gdpipe.location import shown
from gdpipe.source import schemas
from gdpipe.source.bounds import first_leaves
from gdpipe.source.budget import column_needs
from gdpipe.source.columns import column_kind, is_numeric, resolution
from gdpipe.source.dates import check_zone
from gdpipe.source.files import partition_schema, partitions_of, reading
from gdpipe.source.formats import refuse_deletes
from gdpipe.source.listing import Listing, find_files, nothing_found
from gdpipe.source.magnitudes import Cache, largest_in_file
from gdpipe.source.open_files import OpenFiles
from gdpipe.source.source_file import SourceFile, pandas_index, stored_fields, times

if TYPE_CHECKING:
    from gdpipe.source.row_filter import RowFilter  # it loads pyarrow.compute, which takes as long as the rest of Arrow


@dataclass(frozen=True, slots=True)
class Source:
    """All files of a source, in input order: sorted by path.

    Attributes:
        location: The path or URI that the user gave, without credentials.
        opened: Access to the files.
        files: At least one; files that the filters rule out are known by name only.
        schema: All columns of the opened files, each with a type that holds the values of all, and the partition
            columns.
        partitions: The partition columns.
        variants: The first of the opened files with each schema.
        filters: Rows to use, normalized; None uses all.
        passed_over: Other files and folders among them, which are not read: names relative to the source.
    """

    location: str
    opened: OpenFiles = field(compare=False, repr=False)
    files: tuple[SourceFile, ...]
    schema: pa.Schema
    partitions: pa.Schema
    variants: tuple[SourceFile, ...]
    filters: Filters | None
    passed_over: tuple[str, ...] = ()

    @classmethod
    def open(cls, location: str, filters: Any = None, listing: Listing | None = None) -> "Source":
        """The source at a location; footers are read of the files that their partition values do not rule out.

        Args:
            location: A file, a folder, a glob or a URI.
            filters: Rows to use, as `gdpipe.filters.normalized` takes them.
            listing: The files, where they have just been listed.

        Raises:
            DataError: Nothing is there, or a file is not Parquet.
            SchemaError: A column of the filters is not there.
            ConfigError: The filters do not fit the columns.
        """
        where = shown(location)
        filters = normalized(filters)
        listing = listing or find_files(location)
        if not listing.files:
            raise nothing_found(where, listing)
        names = [PurePosixPath(info.path).relative_to(listing.base) for info in listing.files]
        partitions = partitions_of(names)
        partition_columns = partition_schema(partitions)
        row_filter = _row_filter(filters, partition_columns)
        opened = OpenFiles(listing.filesystem)
        listed = [
            SourceFile(info.path, str(name), info.size, info.mtime_ns or 0, partition)
            for info, name, partition in zip(listing.files, names, partitions, strict=True)
        ]
        files = _opened(opened, listed, row_filter)
        if row_filter is not None:
            row_filter.check(where, [file for file in files if file.is_opened])
        found = schemas.variants(files)
        schema = schemas.union(found, partition_columns)
        return cls(where, opened, tuple(files), schema, partition_columns, found, filters, listing.passed_over)

    @property
    def n_rows(self) -> int:
        """Rows in the files that were opened, before filters."""
        return sum(sum(f.group_rows) for f in self.files)

    def row_filter(self) -> "RowFilter | None":
        """The filters as they are applied; None where there are none."""
        return _row_filter(self.filters, self.partitions)

    def filter_of(self, filters: Filters, setting: str) -> "RowFilter":
        """Other filters, the value of a setting, as they are applied."""
        found = _row_filter(filters, self.partitions, setting)
        assert found is not None
        return found

    def check_columns(self, names: Iterable[str], role: str) -> None:
        """Check that every file has these columns, with types that agree.

        Raises:
            SchemaError: A column is missing, or its types differ.
        """
        for name in names:
            self.check_there(name, role)
            if times(self.schema, name) > 1:
                raise SchemaError(f"{self.location}: column {name!r} is there twice; rename one of them")
            without = self.without(name)
            if without is not None:
                has = next(v.path for v in self.variants if times(v.schema, name))
                raise schemas.not_everywhere(without, name, role, has)
            if not all(is_numeric(kind) or pa.types.is_null(kind) for kind, _ in self.types(name)):
                self.unified(name)

    def kind_of(self, name: str) -> ColumnKind:
        """What a column can become in a feature: the same in every file; booleans beside numbers are numbers.

        Raises:
            SchemaError: The types of the files do not agree, in the time zone either, or this machine does not know it.
        """
        kinds = [kind for kind, _ in self.types(name) if not pa.types.is_null(kind)]
        found = {column_kind(kind) for kind in kinds}
        if found == {"boolean", "number"}:
            return "number"
        kind: ColumnKind = column_kind(self.unified(name).type) if len(found) > 1 else next(iter(found), "other")
        if kind == "time":
            check_zone(self.location, name, kinds)
        return kind

    def check_there(self, name: str, role: str) -> None:
        """Check that at least one file has a column.

        Raises:
            SchemaError: No file has it.
        """
        if not times(self.schema, name):
            raise schemas.not_there(self.location, name, role, self.schema.names)

    def without(self, name: str) -> str | None:
        """The first of `variants` that lacks a column; None where all have it."""
        if times(self.partitions, name):
            return None
        return next((v.path for v in self.variants if not times(v.schema, name)), None)

    def largest(self, names: Sequence[str], cache: Cache | None = None) -> NDArray[np.float64]:
        """A bound on the magnitude of each numeric column in all rows of the opened files, shape (len(names),).

        The bounds come from the footers, and from the rows where a footer has no statistics. NaN does not count; a
        bound is infinite where an infinity is in the data.

        Args:
            names: The columns.
            cache: The cache for magnitudes that come from rows; None reads the rows each time.

        Raises:
            PublishError: The cache cannot be written.
        """
        totals = np.zeros(len(names))
        for file in filter(lambda file: file.is_opened, self.files):
            totals = np.maximum(totals, largest_in_file(self.opened, file, names, cache))
        return totals

    def check_as_listed(self, file: SourceFile) -> None:
        """Check that a file that was read still has the size and time of its fingerprint.

        Raises:
            DataError: The file was changed, or is gone.
        """
        self.opened.close(file)
        with reading(file.path):
            info = self.opened.filesystem.get_file_info(file.path)
        if (info.size, info.mtime_ns or 0) != (file.size, file.modified_ns):
            raise DataError(f"{file.path}: changed while this run read it; train again when nobody writes to it")

    def unified(self, name: str) -> pa.Field:
        """A column with a type that holds the values of every file: int32 and int64 give int64.

        Raises:
            SchemaError: There is no such type.
        """
        kind = schemas.one_type(name, self.types(name))
        return pa.field(name, kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind)

    def usable_somewhere(self) -> set[str]:
        """The columns that can be in a feature in at least one file, or are partition columns."""
        stored = {field.name for v in self.variants for field in v.schema if column_kind(field.type) != "other"}
        return stored | set(self.partitions.names)

    def index_columns(self) -> set[str]:
        """The columns that pandas wrote for the index of a table."""
        return {name for file in self.files for name in file.index}

    def resolution(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The relative rounding error of each column's values, shape (len(names),)."""
        return np.array([max(resolution(kind) for kind, _ in self.types(name)) for name in names])

    def types(self, name: str) -> list[tuple[pa.DataType, str]]:
        """The types of a column in the opened files, each with the first file that has it."""
        # a partition column has the folder's values, even if the file has a column of that name
        if times(self.partitions, name):
            return [(self.partitions.field(name).type, self.location)]
        return schemas.types_of(self.variants, name)


def _row_filter(filters: Filters | None, partitions: pa.Schema, setting: str = "filters") -> "RowFilter | None":
    if filters is None:
        return None
    from gdpipe.source.row_filter import RowFilter

    return RowFilter(filters, partitions, setting)


def _opened(opened: OpenFiles, listed: Sequence[SourceFile], row_filter: "RowFilter | None") -> list[SourceFile]:
    """The files with their row groups that may have rows that pass; files that partition values rule out stay closed.

    Files of the same schema share one object, as there may be a hundred thousand files. Where all files are ruled out,
    files are opened until one has rows; its columns are the source's.
    """
    schemas_met: dict[pa.Schema, pa.Schema] = {}

    def described(file: SourceFile) -> SourceFile:
        file = _described(opened, file, schemas_met)
        return file if row_filter is None else row_filter.pruned(file, opened.bounds(file, row_filter.columns))

    files = [
        described(file) if row_filter is None or row_filter.alternatives(file.partition) else file for file in listed
    ]
    if not any(file.is_opened for file in files):
        for f, file in enumerate(listed):
            files[f] = described(file)
            if any(files[f].group_rows):
                break
    return files


def _described(opened: OpenFiles, file: SourceFile, schemas_met: dict[pa.Schema, pa.Schema]) -> SourceFile:
    """The file with what its footer says."""
    with reading(file.path):
        footer_sha256, metadata = opened.footer(file.path)
        written = metadata.schema.to_arrow_schema()
        refuse_deletes(file.path, metadata.metadata, written)
    groups = tuple(metadata.row_group(g).num_rows for g in range(metadata.num_row_groups))
    if any(rows < 0 for rows in groups):
        raise DataError(f"{file.path}: a damaged Parquet file (a row group of {min(groups)} rows)")
    # some writers leave the total at 0; the row groups count, as they do for PyArrow and DuckDB
    if metadata.num_rows and sum(groups) != metadata.num_rows:
        raise DataError(
            f"{file.path}: a damaged Parquet footer ({metadata.num_rows} rows, {sum(groups)} in row groups)"
        )
    leaves = zip(written.names, first_leaves(written), strict=True)
    int96 = {name for name, leaf in leaves if metadata.schema.column(leaf).physical_type == "INT96"}
    schema = pa.schema(stored_fields(written, int96))
    return dataclasses.replace(
        file,
        footer_sha256=footer_sha256,
        schema=schemas_met.setdefault(schema, schema),
        group_rows=groups,
        column_bytes=_column_bytes(metadata, groups),
        wanted_groups=tuple(g for g, rows in enumerate(groups) if rows),
        filtered=False,
        index=pandas_index(written),
    )


def _column_bytes(metadata: pq.FileMetaData, group_rows: Sequence[int]) -> int:
    """The most bytes that a read of one column holds, of the largest row group: looking at all would take long."""
    if not group_rows:
        return 0
    group = metadata.row_group(max(range(len(group_rows)), key=group_rows.__getitem__))
    chunks = [group.column(c) for c in range(group.num_columns)]
    needs = [
        column_needs(
            chunk.total_uncompressed_size,
            # not every writer says where the dictionary lies
            has_dictionary=any(encoding.endswith("_DICTIONARY") for encoding in chunk.encodings),
        )
        for chunk in chunks
    ]
    return max(needs, default=0)
