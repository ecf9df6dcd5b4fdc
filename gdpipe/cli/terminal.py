"""Output that all commands share: log lines or a bar, summaries that fit the terminal, JSON."""

import contextlib
import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import click

from gdpipe.errors import PublishError
from gdpipe.exits import tell
from gdpipe.printable import escape
from gdpipe.run import Run, summary
from gdpipe.stages.progress import Activity
from gdpipe.store import catalog

# characters; fewer where the terminal is too narrow for bar and text
BAR_WIDTH = 20
REDRAWN_PER_SECOND = 10.0


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


def can_draw() -> bool:
    """Whether stderr is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


@contextlib.contextmanager
def bar(activity: Activity) -> Iterator[Callable[[], None]]:
    """Listener that draws a bar on stderr with the text of the log lines, and removes it at the end.

    A thread of its own reads the activity and draws, so that the work does not wait.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True)

    def drawn() -> Table:
        line, words = Table.grid(padding=(0, 1)), str(activity)
        width = max(1, min(BAR_WIDTH, console.width - len(words) - 1))
        length = ProgressBar(total=1.0, completed=activity.share, width=width, pulse=not activity.done)
        line.add_row(length, Text(words, no_wrap=True, overflow="ellipsis"))
        return line

    with Live(
        console=console,
        get_renderable=drawn,
        refresh_per_second=REDRAWN_PER_SECOND,
        transient=True,
        redirect_stdout=False,  # otherwise stdout would go to stderr
    ):
        yield lambda: None


def _keep_stdout_clean(context: click.Context, option: click.Parameter, wanted: bool) -> bool:
    if wanted:
        log_to(sys.stderr)
    return wanted


# the option --json, which a command gets as its argument in_json
json_option = click.option(
    "--json",
    "in_json",
    is_flag=True,
    callback=_keep_stdout_clean,
    help="Print one JSON document; log lines go to stderr.",
)


def answer(run: Run, in_json: bool) -> None:
    """Print a run or scores: the summary in a dozen lines, no wider than the terminal, or a document for a program."""
    if in_json:
        print_json(document(run))
    else:
        say(summary(run, terminal_width()))


def terminal_width() -> int | None:
    """The characters of a line on stdout; None where it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def document(run: Run) -> dict[str, Any]:
    """The document of `--json`: of a run with names, numbers and units of its files; of scores their manifest."""
    manifest = run.manifest
    if manifest["kind"] != "training":
        return manifest
    names = (catalog.PARAMETERS, catalog.CONVERGENCE, catalog.METRICS)
    parameters, convergence, metrics = (run.table(name).to_pylist() for name in names)
    of_categories = [name for name in (catalog.FEATURES, catalog.LEVELS) if run.has(name)]
    return {
        "run_id": manifest["run_id"],
        "folder": run.location,
        "verdict": {**manifest["verdict"], **convergence[0]},
        **{name: manifest[name] for name in ("gate", "drift") if name in manifest},
        "rows": manifest["rows"],
        "notices": manifest["notices"],
        "metrics": metrics[0],
        "parameters": parameters,
        **{name: run.table(name).to_pylist() for name in of_categories},
    }


def print_json(value: dict[str, Any]) -> None:
    """Print a document as JSON, which has neither NaN nor infinity: null stands for both."""
    print_text(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str) -> None:
    """Print lines for a person, unless --quiet was given."""
    if not click.get_current_context().find_root().params["quiet"]:
        print_text(text)


def print_text(text: str, *, exact: bool = False) -> None:
    """Print on stdout, with --quiet too, as `gdpipe.exits.tell` does.

    Raises:
        PublishError: The text cannot be printed, as where the disk is full.
    """
    try:
        tell(text, exact=exact)
    except OSError as error:
        raise PublishError(f"standard output: cannot be written ({error.strerror}); send it elsewhere") from error
