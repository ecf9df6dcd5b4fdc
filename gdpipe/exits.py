"""Ends of a process that no error of ours describes: its exit code, its last line, and where its traceback is."""

import contextlib
import os
import select
import signal
import sys
import tempfile
import traceback
from typing import TextIO

from gdpipe.location import without_credentials
from gdpipe.printable import printable, printable_lines

# EX_SOFTWARE in sysexits.h: 1 is "rejected", and Python's own 1 for a traceback would say so, too
UNFORESEEN = 70
INTERRUPTED = 128 + signal.SIGINT
LONGEST_MESSAGE = 300
UNWRITTEN = "its traceback could not be written: set TMPDIR to a folder that can be written, and run again"


def one_line(text: str) -> str:
    """Text of a library as one line that can be shown: its line breaks become blanks."""
    return printable(" ".join(text.split()))


def unforeseen(error: BaseException, *, traceback_is: str | None = None, otherwise: str = UNWRITTEN) -> str:
    """One line on an exception that nobody foresaw: what broke, where, and where the traceback is.

    Args:
        error: The exception, as it was caught.
        traceback_is: Where the traceback was printed; if not given, it is written to a temporary file.
        otherwise: How to get the traceback, where that file cannot be written.
    """
    message = one_line(without_credentials(str(error)))
    what = type(error).__name__ + (f": {message[:LONGEST_MESSAGE]}" if message else "")
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return f"unforeseen error {what}{where}; {traceback_is or _written(error) or otherwise}"


def _written(error: BaseException) -> str | None:
    text = printable_lines(without_credentials("".join(traceback.format_exception(error))))
    try:
        descriptor, path = tempfile.mkstemp(".txt", "gdpipe-traceback-")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return None
    return f"please report it with the traceback in {path}"


def is_unread(stream: TextIO | None) -> bool:
    """Whether a stream is a pipe whose reader is gone."""
    try:
        poll = select.poll()
        poll.register(stream, select.POLLOUT)  # type: ignore[arg-type]  # None is the TypeError below
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError, TypeError):  # no stream of the system's
        return False


def drop(stream: TextIO | None) -> None:
    """Send what is still to be printed to nowhere: Python would complain of it once more at its very end."""
    with contextlib.suppress(OSError, ValueError, AttributeError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())  # type: ignore[union-attr]  # None is the AttributeError


def tell(text: str, *, exact: bool = False) -> None:
    """Print on stdout; who has closed the pipe (`gdpipe show | head -1`) has read enough.

    Args:
        text: Without the line break at its end. What the stream's encoding lacks is escaped.
        exact: Whether the bytes are the text's in UTF-8, whatever the stream's encoding, as a database reads them.

    Raises:
        OSError: It cannot be printed for another reason, as where the disk is full.
    """
    try:
        stream = sys.stdout
        if getattr(stream, "buffer", None) is None:  # closed, or what a notebook has instead
            print(text, flush=True)  # noqa: T201  # the one place where a command prints
            return
        encoding, errors = ("utf-8", "surrogateescape") if exact else (stream.encoding, "backslashreplace")
        stream.flush()
        stream.buffer.write(f"{text}\n".encode(encoding, errors))
        stream.buffer.flush()
    except OSError as error:
        drop(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            raise


def complain(line: str) -> None:
    """Print on stderr, if anybody can still read it."""
    try:
        print(line, file=sys.stderr, flush=True)  # noqa: T201  # what a process says last
    except OSError:
        drop(sys.stderr)
