"""A published model as SQL, with the names of the table's columns."""

import contextlib
from typing import Any

from gdpipe.errors import GdpipeError
from gdpipe.export import expression, paths_in, select
from gdpipe.location import is_uri
from gdpipe.model import Model
from gdpipe.source.source import Source


def as_sql(model: Model, manifest: dict[str, Any], dialect: str, table: str | None) -> str:
    """The model of a run as an expression or, where the text of a FROM clause is given, as a query of that table.

    Raises:
        ConfigError: `table` is no table, the table has a column `prediction` itself, or two columns have the same name
            in that dialect.
    """
    if table is None:
        return expression(model, dialect)
    return select(model, dialect, table, _columns(table, dialect) or _trained_on(manifest))


def _columns(table: str, dialect: str) -> set[str]:
    """The columns of the Parquet files on this machine in a FROM clause; empty where there are no such files."""
    names: set[str] = set()
    for path in paths_in(table, dialect):
        # other names are left to the database, and no object store is asked for them
        with contextlib.suppress(GdpipeError):
            names.update([] if is_uri(path) else Source.open(path).schema.names)
    return names


def _trained_on(manifest: dict[str, Any]) -> list[str]:
    """The columns of the training's source; in manifests of older versions only the columns that were used."""
    settings = manifest["settings"]
    used = [*manifest["features"], manifest["target"], settings.get("weight"), *settings.get("key", ())]
    known: list[str] = manifest.get("columns", [name for name in used if name])
    return known
