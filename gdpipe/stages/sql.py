"""A published model as SQL, where a database finds the columns that are meant."""

import contextlib
from typing import Any

from gdpipe.errors import GdpipeError
from gdpipe.export.sql import expression, paths_in, select
from gdpipe.location import is_uri
from gdpipe.model import Model
from gdpipe.source.source import Source


def as_sql(model: Model, manifest: dict[str, Any], dialect: str, table: str | None) -> str:
    """The model as an expression, or as a query of a table.

    Args:
        model: A run's.
        manifest: That run's.
        dialect: One of sqlglot's.
        table: As it stands in a FROM clause of that dialect; None for the expression alone.

    Raises:
        ConfigError: The table is no table, has a column `prediction` itself, or two columns have the same name in that
            dialect.
    """
    if table is None:
        return expression(model, dialect)
    return select(model, dialect, table, _columns(table, dialect) or _trained_on(manifest))


def _columns(table: str, dialect: str) -> set[str]:
    """The columns of the Parquet on this machine that a FROM clause names; none where it names no such files."""
    names: set[str] = set()
    for path in paths_in(table, dialect):
        # what is no path, or not there, is the database's to find; and no object store is asked for a name
        with contextlib.suppress(GdpipeError):
            names.update([] if is_uri(path) else Source.open(path).schema.names)
    return names


def _trained_on(manifest: dict[str, Any]) -> list[str]:
    """The columns of the training's source; those that had a part, where an older version wrote the manifest."""
    settings = manifest["settings"]
    parts: list[str | None] = [
        *manifest["features"],
        manifest["target"],
        settings.get("weight"),
        *settings.get("key", ()),
    ]
    known: list[str] = manifest.get("columns", [name for name in parts if name])
    return known
