"""Ends of a process other than by an error of gdpipe: exit code, last line, and where the traceback is."""

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

# EX_SOFTWARE in sysexits.h, and not Python's own 1 for a traceback: 1 means "rejected" here
UNFORESEEN = 70
INTERRUPTED = 128 + signal.SIGINT
LONGEST_MESSAGE = 300
UNWRITTEN = "its traceback could not be written: set TMPDIR to a folder that can be written, and run again"


def one_line(text: str) -> str:
    """A text of a library as one printable line: its line breaks become blanks."""
    return printable(" ".join(text.split()))


def unforeseen(error: BaseException, *, traceback_is: str | None = None, otherwise: str = UNWRITTEN) -> str:
    """One line about an unforeseen exception: what broke, where, and where the traceback is.

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
    """Send to nowhere what a stream still has to print: Python would complain about it once more at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())  # type: ignore[union-attr]  # None is the AttributeError


def tell(text: str, *, exact: bool = False) -> None:
    """Print on stdout; a closed pipe (`gdpipe show | head -1`) is no error.

    Args:
        text: The text without a line break at its end. Characters that the stream's encoding lacks are escaped.
        exact: Whether the text is written in UTF-8, unescaped, whatever the stream's encoding: for a database.

    Raises:
        OSError: The text cannot be printed for another reason, such as a full disk.
    """
    try:
        stream = sys.stdout
        if getattr(stream, "buffer", None) is None:  # closed, or the stream of a notebook
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
    """Print on stderr; where nobody can read it any more, nothing happens."""
    try:
        print(line, file=sys.stderr, flush=True)  # noqa: T201  # what a process says last
    except OSError:
        drop(sys.stderr)
