"""Output that all commands share: help by example, log lines, tables that fit the terminal, JSON."""

import logging
import shutil
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import click
import pyarrow as pa

from gdpipe.errors import PublishError
from gdpipe.exits import tell
from gdpipe.export import document as documents
from gdpipe.printable import escape
from gdpipe.report.summary import summarize, summarize_scores
from gdpipe.run import Run
from gdpipe.store import catalog

EXAMPLES = """Parquet in, a linear regression that can be trusted out.

\b
gdpipe simulate demo --weights 2,-3,0.5     # dummy data: 100,000 rows in 4 files
gdpipe plan demo --target y                 # what a run would find and cost
gdpipe train demo --target y                # into runs/
gdpipe show                                 # the latest run in runs/
gdpipe show --json                          # the same for a program
gdpipe verify                               # its files against their checksums
gdpipe predict demo                         # score with it, into scores/
"""
NOTES = """\b
Exit codes: 0 published; 1 rejected, the evidence is kept; 2 a setting is wrong;
3 the input cannot be used; 4 the output could not be written, or has no run;
70 an unforeseen error; 130 interrupted by Ctrl-C; 143 ended by SIGTERM.

\b
Completion, in ~/.bashrc: eval "$(_GDPIPE_COMPLETE=bash_source gdpipe)"
(zsh_source and fish_source for these shells)
"""
TRAIN_EXAMPLES = """\b
gdpipe train demo --target y --features x1,x2 --filters '[["x1", "<", 25]]' --no-latest
gdpipe train demo --target y --learning-rate 0.1 --method gd --run-id slow --no-latest
gdpipe train demo --target y --max-rmse-increase 5% --json
"""


class _Lines(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # its name in logging
        """Ignore a line that cannot be written (a closed pipe, a full disk): it must not end a run."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


def log_to(stream: TextIO) -> None:
    """Send log lines to a stream, the messages alone."""
    handler = _Lines(stream)
    handler.addFilter(escape)  # on the handler, so that it also covers loggers of libraries
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(handlers=[handler], force=True)


def _keep_stdout_clean(context: click.Context, option: click.Parameter, wanted: bool) -> bool:
    if wanted:
        log_to(sys.stderr)
    return wanted


# the option --json of a command, whose argument is in_json
json_option = click.option(
    "--json",
    "in_json",
    is_flag=True,
    callback=_keep_stdout_clean,
    help="Print one JSON document; log lines go to stderr.",
)


def summary(run: Run) -> str:
    """The summary of a run or of scores in a dozen lines, no wider than the terminal."""
    if run.manifest["kind"] != "training":
        return summarize_scores(run.location, run.manifest, width=_terminal_width())
    return summarize(run.location, run.manifest, *_tables(run), width=_terminal_width())


def document(run: Run) -> dict[str, Any]:
    """A run as a document for a program; for scores it is their manifest."""
    if run.manifest["kind"] != "training":
        return run.manifest
    return documents.document(run.location, run.manifest, *_tables(run))


def _tables(run: Run) -> Iterator[pa.Table]:
    return (run.table(name) for name in (catalog.PARAMETERS, catalog.CONVERGENCE, catalog.METRICS))


def _terminal_width() -> int | None:
    """The width of the terminal; None, for lines of any length, where stdout is a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_json(value: dict[str, Any]) -> None:
    """Print a JSON document, with --quiet too, as it is the answer."""
    say(documents.dumps(value))


def say(text: str, *, exact: bool = False) -> None:
    """Print on stdout; a closed pipe is no error.

    Args:
        text: Printable lines for a person, or text for a program.
        exact: Whether the text is for a program, and written in UTF-8 unchanged.

    Raises:
        PublishError: The text cannot be printed, as where the disk is full.
    """
    try:
        tell(text, exact=exact)
    except OSError as error:
        raise PublishError(f"standard output: cannot be written ({error.strerror}); send it elsewhere") from error
