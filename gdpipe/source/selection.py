"""What the filters leave of each file of a source: by its partition values without opening it, by its footer else."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gdpipe.errors import SchemaError
from gdpipe.filters import Filters, filter_columns
from gdpipe.source.bounds import Bounds
from gdpipe.source.source_file import SourceFile

if TYPE_CHECKING:
    from gdpipe.source.row_filter import RowFilter  # loads pyarrow.compute, as slow to load as all else of Arrow


class Selection:
    """Filters at work on one file after the other; nothing is kept of a file but the names of its columns.

    Args:
        where: The source, as messages name it.
        partitions: The partition columns.
        filters: Rows to use, normalized; None uses all.

    Raises:
        ConfigError: A value cannot be compared with a partition column.
    """

    def __init__(self, where: str, partitions: pa.Schema, filters: Filters | None) -> None:
        self.columns = filter_columns(filters)
        self._where, self._partitions = where, partitions
        self._filter = None if filters is None else row_filter(filters)
        self._of_folders = [] if self._filter is None else self._filter.of_folders(partitions)
        self._having: dict[str, str] = {}
        self._lacking: tuple[str, str] | None = None

    def rules_out(self, partition: dict[str, Any]) -> bool:
        """Whether no row of a file in such a folder can pass."""
        return self._filter is not None and not self._filter.may_match(partition, self._partitions, self._of_folders)

    def pruned(self, file: SourceFile, known: Iterable[tuple[int, Mapping[str, Bounds]]]) -> SourceFile:
        """The file, told which of its row groups can hold rows that pass.

        Args:
            file: As its footer describes it.
            known: Of each row group that has rows, its index and the bounds of `columns`; asked when it is needed.

        Raises:
            ConfigError: A value cannot be compared with a column.
            SchemaError: A column is there twice.
        """
        if self._filter is None:
            return file
        for name in file.schema.names:
            self._having.setdefault(name, file.path)
        for name in self.columns:
            if name not in file.partition and file.schema.names.count(name) > 1:
                raise SchemaError(f"{file.path}: filter column {name!r} is there twice; rename one of them")
        needed = self._filter.needs(file, self._partitions) if any(file.group_rows) else []
        lacking = next((name for name in needed if name not in file.schema.names), None)
        if lacking is not None:  # which `check` will say, when it is known whether another file has it
            self._lacking = self._lacking or (file.path, lacking)
            return file
        return self._filter.pruned(file, self._partitions, known)

    def check(self) -> None:
        """See, after the last file, that the columns of the filters are there.

        Raises:
            SchemaError: One is missing in all files, or in one.
        """
        names = list(dict.fromkeys([*self._having, *self._partitions.names]))
        for name in self.columns:
            if name not in names:
                raise not_there(self._where, name, "filter", names)
        if self._lacking:
            path, name = self._lacking
            raise SchemaError(
                f"{path}: filter column {name!r} is not there, but {self._having[name]} has it; "
                "leave one of them out of the source, or write all files with the column"
            )


def row_filter(filters: Filters) -> "RowFilter":
    """Normalized filters, ready for rows."""
    from gdpipe.source.row_filter import RowFilter

    return RowFilter(filters)


def not_there(where: str, name: str, role: str, names: Sequence[str]) -> SchemaError:
    """The error for a column that no file has."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return SchemaError(f"{where}: {role} column {name!r} is not there (there are: {', '.join(names)}){hint}")
