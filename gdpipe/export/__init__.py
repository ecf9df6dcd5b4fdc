"""A model in other languages than Python."""

from gdpipe.export.sql import as_sql

__all__ = ["as_sql"]
