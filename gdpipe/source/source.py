"""Parquet in: which files there are, and what their footers say."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.errors import DataError, SchemaError
from gdpipe.filters import Filters, normalized
from gdpipe.location import shown
from gdpipe.source import schemas
from gdpipe.source.bounds import first_leaves
from gdpipe.source.columns import is_numeric, resolution
from gdpipe.source.files import partition_schema, partitions_of, reading
from gdpipe.source.formats import refuse_deletes
from gdpipe.source.listing import Listing, find_files, nothing_found
from gdpipe.source.magnitudes import Cache, largest_in_file
from gdpipe.source.open_files import OpenFiles
from gdpipe.source.source_file import SourceFile, pandas_index, stored_fields

if TYPE_CHECKING:
    from gdpipe.source.row_filter import RowFilter  # loads pyarrow.compute, as slow to load as all else of Arrow


@dataclass(frozen=True, slots=True)
class Source:
    """All files of a source, in input order: sorted by path.

    Attributes:
        location: As the user gave it, without credentials.
        opened: Access to the files.
        files: At least one; with filters some may be known by name only.
        schema: All columns of the files that rows are read of, each with a type that holds the values of all, and the
            partition columns.
        partitions: The partition columns.
        variants: The first of those files with each schema.
        filters: Rows to use, normalized; None uses all.
        passed_over: What lies among the files and is not read: names relative to the source.
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
        """Find the files, and read the footers of those that their partition values do not rule out.

        Args:
            location: A file, a folder, a glob or a URI.
            filters: Rows to use, as `gdpipe.filters.normalized` takes them.
            listing: The files, where they have just been looked for.

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
        of_folders = partition_schema(partitions)
        row_filter = _row_filter(filters, of_folders)
        opened = OpenFiles(listing.filesystem)
        listed = [
            SourceFile(info.path, str(name), info.size, info.mtime_ns or 0, partition)
            for info, name, partition in zip(listing.files, names, partitions, strict=True)
        ]
        files = _opened(opened, listed, row_filter)
        if row_filter is not None:
            row_filter.check(where, [file for file in files if file.is_opened])
        found = schemas.variants(files)
        schema = schemas.union(found, of_folders)
        return cls(where, opened, tuple(files), schema, of_folders, found, filters, listing.passed_over)

    @property
    def n_rows(self) -> int:
        """Rows in the files that were opened, before filters."""
        return sum(sum(f.group_rows) for f in self.files)

    def row_filter(self) -> "RowFilter | None":
        """The filters at work."""
        return _row_filter(self.filters, self.partitions)

    def check_columns(self, names: Iterable[str], role: str) -> None:
        """See that columns are there, in every file, with types that agree.

        Raises:
            SchemaError: One is missing or differs.
        """
        for name in names:
            self.check_there(name, role)
            if self.schema.names.count(name) > 1:
                raise SchemaError(f"{self.location}: column {name!r} is there twice; rename one of them")
            without = self.without(name)
            if without is not None:
                has = next(v.path for v in self.variants if name in v.schema.names)
                raise schemas.not_everywhere(without, name, role, has)
            if not all(is_numeric(kind) or pa.types.is_null(kind) for kind, _ in self._types(name)):
                self.unified(name)

    def check_there(self, name: str, role: str) -> None:
        """See that a file at least has a column.

        Raises:
            SchemaError: None has.
        """
        if name not in self.schema.names:
            raise schemas.not_there(self.location, name, role, self.schema.names)

    def without(self, name: str) -> str | None:
        """The first file, of those that rows are read of, that lacks a column; None where all have it."""
        if name in self.partitions.names:
            return None
        return next((v.path for v in self.variants if name not in v.schema.names), None)

    def largest(self, names: Sequence[str], kept: Cache | None = None) -> NDArray[np.float64]:
        """A bound on the magnitude of each numeric column over all rows of the files opened; NaN does not count.

        From the footers; a column of which a footer says nothing is read. Shape (len(names),); infinite where an
        infinity is in the data.

        Args:
            names: The columns.
            kept: Where to look for what had to be read, and to keep it; None reads it each time.

        Raises:
            PublishError: It cannot be kept.
        """
        totals = np.zeros(len(names))
        for file in filter(lambda file: file.is_opened, self.files):
            totals = np.maximum(totals, largest_in_file(self.opened, file, names, kept))
        return totals

    def check_as_listed(self, file: SourceFile) -> None:
        """See that a file that was read still has the size and time of its fingerprint.

        Raises:
            DataError: It was changed, or is gone.
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
        kind = schemas.one_type(name, self._types(name))
        return pa.field(name, kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind)

    def numeric_somewhere(self) -> set[str]:
        """Columns that are numbers in one file at least."""
        return {field.name for v in self.variants for field in v.schema if is_numeric(field.type)}

    def index_columns(self) -> set[str]:
        """Columns that pandas wrote of a table's index."""
        return {name for file in self.files for name in file.index}

    def resolution(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The relative rounding that each column's values carry, shape (len(names),)."""
        return np.array([max(resolution(kind) for kind, _ in self._types(name)) for name in names])

    def _types(self, name: str) -> list[tuple[pa.DataType, str]]:
        # the values of a partition column are the folder's, whatever the file has under that name
        if name in self.partitions.names:
            return [(self.partitions.field(name).type, self.location)]
        return schemas.types_of(self.variants, name)


def _row_filter(filters: Filters | None, partitions: pa.Schema) -> "RowFilter | None":
    if filters is None:
        return None
    from gdpipe.source.row_filter import RowFilter

    return RowFilter(filters, partitions)


def _opened(opened: OpenFiles, listed: Sequence[SourceFile], row_filter: "RowFilter | None") -> list[SourceFile]:
    """Each file with the row groups that can hold rows that pass; what its partition values rule out is not opened.

    A schema that many files have is kept once: there may be a hundred thousand. Where no file is left, files are opened
    until one has rows, whose columns are the source's.
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
    """A file, as its footer describes it."""
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
        wanted_groups=tuple(g for g, rows in enumerate(groups) if rows),
        filtered=False,
        index=pandas_index(written),
    )
