"""A progress bar on stderr, where it is a terminal; output on stdout is not touched."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from gdpipe.stages.progress import Activity

# characters; fewer where the terminal is too narrow for bar and text
BAR_WIDTH = 20
REDRAWN_PER_SECOND = 10.0


def can_draw() -> bool:
    """Whether stderr is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


@contextlib.contextmanager
def bar(activity: Activity) -> Iterator[Callable[[], None]]:
    """Listener that draws a bar with the text of the log lines ten times a second, and removes it at the end.

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
