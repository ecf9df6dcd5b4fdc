"""The command line."""

from gdpipe.cli.commands import main

__all__ = ["main"]
