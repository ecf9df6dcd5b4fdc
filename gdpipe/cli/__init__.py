"""gdpipe on a terminal."""

from gdpipe.cli.commands import main

__all__ = ["main"]
