"""Reading of a run's tables."""

import pyarrow as pa

from gdpipe.errors import DataError, PublishError
from gdpipe.source.files import first_line, is_transient
from gdpipe.source.footer import open_parquet
from gdpipe.store import catalog
from gdpipe.store.place import Place

# artifacts with one row
ONE_ROW = (catalog.CONVERGENCE, catalog.METRICS)
REMEDY = "restore the run's folder from a copy, or train again"


def read_artifact(place: Place, path: str) -> pa.Table:
    """The table at a path in a run's folder, with every page checked against its checksum and every text for UTF-8.

    Raises:
        PublishError: The table is not there, is damaged, or is not as the catalog says; the message names the column.
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
    """The first thing in a table that is not as the catalog says, in words; additional columns are allowed."""
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
