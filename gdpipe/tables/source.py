"""Parquet in: which files there are, and what their footers say."""

import dataclasses
import difflib
import functools
import hashlib
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gdpipe.config import Filters, filter_groups
from gdpipe.errors import ConfigError, DataError, SchemaError
from gdpipe.location import shown
from gdpipe.tables.columns import is_numeric, resolution
from gdpipe.tables.files import SUFFIXES, find_files, first_line, partitions_of, reading
from gdpipe.tables.kept import Kept
from gdpipe.tables.magnitudes import largest_in_file
from gdpipe.tables.source_file import SourceFile, listed
from gdpipe.tables.thrift import check_footer

if TYPE_CHECKING:
    import pyarrow.compute as pc  # takes as long to load as all else of Arrow


@dataclass(frozen=True, slots=True)
class Source:
    """All files of a source, in input order: sorted by path.

    Attributes:
        location: As the user gave it, without credentials.
        filesystem: Where the files are.
        files: At least one.
        schema: Of the first file, and the partition columns.
        filters: Rows to keep; None keeps all.
    """

    location: str
    filesystem: pafs.FileSystem
    files: tuple[SourceFile, ...]
    schema: pa.Schema
    filters: Filters | None

    @classmethod
    def open(cls, location: str, filters: Filters | None = None) -> "Source":
        """Find the files and read their footers.

        Raises:
            DataError: Nothing is there, nothing matches, or a file is not Parquet.
            ConfigError: The filters do not fit the columns.
        """
        where = shown(location)
        with reading(where):
            filesystem, base, paths = find_files(location)
            infos = filesystem.get_file_info(paths)
        if not paths:
            raise DataError(f"{where}: no Parquet file found (looked for {', '.join('*' + s for s in SUFFIXES)})")
        partitions = partitions_of([PurePosixPath(p).relative_to(base) for p in paths])
        files = [
            _read_footer(filesystem, info, str(PurePosixPath(info.path).relative_to(base)), partition)
            for info, partition in zip(infos, partitions, strict=True)
        ]
        schema = _with_partition(files[0].schema, partitions)
        source = cls(where, filesystem, tuple(files), schema, filters)
        return source if filters is None else source._pruned()

    @property
    def n_rows(self) -> int:
        """Rows in all files, before filters."""
        return sum(sum(f.group_rows) for f in self.files)

    def expression(self) -> "pc.Expression | None":
        """The filters as Arrow evaluates them."""
        return None if self.filters is None else pq.filters_to_expression(filter_groups(self.filters))

    def check_columns(self, names: Iterable[str], role: str) -> None:
        """See that columns are there, in every file, with types that agree.

        Raises:
            SchemaError: One is missing or differs.
        """
        for name in names:
            if name not in self.schema.names:
                near = difflib.get_close_matches(name, self.schema.names, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                there = ", ".join(self.schema.names)
                raise SchemaError(f"{self.location}: {role} column {name!r} is not there (there are: {there}){hint}")
            if self.schema.names.count(name) > 1:
                raise SchemaError(f"{self.location}: column {name!r} is there twice; rename one of them")
            self._check_types(name)

    def largest(self, names: Sequence[str], kept: Kept | None = None) -> NDArray[np.float64]:
        """The largest magnitude of each numeric column over all rows, filters or not; NaN does not count.

        From the footers; a column of which a footer says nothing is read. Shape (len(names),); infinite where an
        infinity is in the data.

        Args:
            names: The columns.
            kept: Where to look for what had to be read, and to keep it; None reads it each time.

        Raises:
            PublishError: It cannot be kept.
        """
        totals = np.zeros(len(names))
        for file in self.files:
            totals = np.maximum(totals, largest_in_file(self.filesystem, file, names, kept))
        return totals

    def is_as_listed(self, file: SourceFile) -> bool:
        """Whether a file still has the size and time of its fingerprint."""
        with reading(file.path):
            info = self.filesystem.get_file_info(file.path)
        return (info.size, info.mtime_ns or 0) == (file.size, file.modified_ns)

    def unified(self, name: str) -> pa.Field:
        """A column with a type that holds the values of every file: int32 and int64 give int64.

        Raises:
            SchemaError: There is no such type.
        """
        # the values of a partition column are the folder's, whatever the file has under that name
        schemas = [self.schema] if name in self.files[0].partition else self._schemas()
        fields = [_plain(s.field(name)) for s in schemas if name in s.names]
        try:
            return pa.unify_schemas([pa.schema([f]) for f in fields], promote_options="permissive").field(name)
        except pa.ArrowException as error:
            kinds = ", ".join(sorted({str(f.type) for f in fields}))
            raise SchemaError(f"{self.location}: column {name!r} is {kinds}; write all files with one type") from error

    def numeric_somewhere(self) -> set[str]:
        """Columns that are numbers in one file at least."""
        return {field.name for schema in self._schemas() for field in schema if is_numeric(field.type)}

    def _schemas(self) -> list[pa.Schema]:
        return [self.schema, *(file.schema for file in self.files)]

    def resolution(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The relative rounding that each column's values carry, shape (len(names),)."""
        return np.array([max(resolution(s.field(n).type) for s in self._schemas() if n in s.names) for n in names])

    def _check_types(self, name: str) -> None:
        first = self.schema.field(name).type
        for file in self.files:
            if name in file.partition:
                continue
            if name not in file.schema.names:
                raise SchemaError(f"{file.path}: column {name!r} is not there, but {self.files[0].path} has it")
            other = file.schema.field(name).type
            if other != first and not (is_numeric(first) and is_numeric(other)):
                raise SchemaError(
                    f"{file.path}: column {name!r} is {other}, but {first} in {self.files[0].path}; "
                    "write both files with one type"
                )

    def _unfit(self, error: Exception) -> ConfigError:
        return ConfigError(f"filters {self.filters!r} do not fit the columns: {first_line(error)}")

    def _pruned(self) -> "Source":
        """Only the row groups that can hold matching rows, by partition values and statistics."""
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        assert self.filters is not None
        conditions = [condition for group in filter_groups(self.filters) for condition in group]
        names = {column for column, _, _ in conditions}
        self.check_columns(names, "filter")
        try:
            matches: Any = self.expression()
        except (pa.ArrowException, OverflowError) as error:
            raise self._unfit(error) from error
        # a null is neither matched nor, as Arrow reasons, left out
        fails = functools.reduce(operator.or_, [pc.field(name).is_null() for name in sorted(names)], ~matches)
        files = []
        for file in self.files:
            known = [
                pc.field(name).is_null() if value is None else pc.field(name) == value
                for name, value in file.partition.items()
            ]
            partition = functools.reduce(operator.and_, known, pc.scalar(True))
            fragment = ds.ParquetFileFormat().make_fragment(file.path, self.filesystem, partition)
            try:
                wanted = _groups(fragment.subset(filter=matches, schema=self.schema))
                failing = _groups(fragment.subset(filter=fails, schema=self.schema))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
                raise self._unfit(error) from error
            # footers do not count NaN, which no minimum or maximum shows: it passes '!=' and fails the rest
            may_be_nan = {name for name in names if name not in file.partition and _has_nan(file.schema.field(name))}
            if any(column in may_be_nan and how in {"!=", "not in"} for column, how, _ in conditions):
                wanted = file.wanted_groups
            filtered = bool(may_be_nan or failing) or wanted != file.wanted_groups
            files.append(dataclasses.replace(file, wanted_groups=wanted, filtered=filtered))
        if not any(file.wanted_groups for file in files):
            raise DataError(f"{self.location}: filters {self.filters!r} match nothing")
        return dataclasses.replace(self, files=tuple(files))


def _groups(fragment: Any) -> tuple[int, ...]:
    """The row groups of a fragment that have rows."""
    return tuple(group.id for group in fragment.row_groups if group.num_rows)


def _has_nan(field: pa.Field) -> bool:
    return bool(pa.types.is_floating(_plain(field).type))


def list_files(location: str) -> list[dict[str, Any]]:
    """The fingerprints of a source's files, as far as they are known without opening one.

    Raises:
        DataError: There is no such place.
    """
    with reading(shown(location)):
        filesystem, _, paths = find_files(location)
        infos = filesystem.get_file_info(paths)
    return [listed(info.path, info.size, info.mtime_ns or 0) for info in infos]


def _with_partition(schema: pa.Schema, partitions: list[dict[str, Any]]) -> pa.Schema:
    for name in partitions[0]:
        integers = any(isinstance(row[name], int) for row in partitions)
        field = pa.field(name, pa.int64() if integers else pa.string())
        at = schema.get_field_index(name)
        schema = schema.append(field) if at < 0 else schema.set(at, field)
    return schema.remove_metadata()


def _read_footer(filesystem: pafs.FileSystem, info: pafs.FileInfo, name: str, partition: dict[str, Any]) -> SourceFile:
    with reading(info.path), filesystem.open_input_file(info.path) as handle:
        metadata = pq.read_metadata(handle)
        schema = metadata.schema.to_arrow_schema()
        handle.seek(max(info.size - 8, 0))
        length = int.from_bytes(handle.read(4), "little")
        handle.seek(max(info.size - 8 - length, 0))
        footer = handle.read()[:-8]
        check_footer(info.path, footer)
    groups = tuple(metadata.row_group(g).num_rows for g in range(metadata.num_row_groups))
    if any(rows < 0 for rows in groups):
        raise DataError(f"{info.path}: a damaged Parquet file (a row group of {min(groups)} rows)")
    if sum(groups) != metadata.num_rows:
        raise DataError(
            f"{info.path}: a damaged Parquet footer ({metadata.num_rows} rows, {sum(groups)} in row groups)"
        )
    return SourceFile(
        info.path,
        name,
        info.size,
        info.mtime_ns or 0,
        hashlib.sha256(footer).hexdigest(),
        schema,
        partition,
        groups,
        tuple(g for g, rows in enumerate(groups) if rows),
    )


def _plain(field: pa.Field) -> pa.Field:
    """A field without what only some readers know: dictionaries are written out."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return pa.field(field.name, kind)
