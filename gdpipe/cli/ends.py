"""Ends of the commands: whatever is wrong, one clear line and an exit code."""

import contextlib
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import click

from gdpipe.errors import ConfigError, DataError, GdpipeError, PublishError, RejectedError
from gdpipe.exits import INTERRUPTED, UNFORESEEN, complain, drop, is_unread, unforeseen
from gdpipe.location import without_credentials
from gdpipe.other_names import answer
from gdpipe.printable import printable, printable_lines

EXIT_CODES: dict[type[GdpipeError], int] = {RejectedError: 1, ConfigError: 2, DataError: 3, PublishError: 4}
# options of all commands, accepted before and after the command's name
EVERYWHERE = ("--debug", "--quiet")


@contextlib.contextmanager
def _ended(debug: bool) -> Iterator[None]:
    """A block whose errors end the process: a line on stderr and an exit code; with `debug`, the traceback first."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        complain(f"gdpipe: {_usage(error)} (see --help)")
        raise SystemExit(EXIT_CODES[ConfigError]) from error
    except (click.ClickException, click.exceptions.Exit):
        raise
    except GdpipeError as error:
        _show_traceback(debug)
        where = f" (evidence: {printable(error.evidence)})" if isinstance(error, RejectedError) else ""
        complain(f"gdpipe: {error}{where}")
        raise SystemExit(next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))) from error
    except (KeyboardInterrupt, click.Abort) as error:
        _show_traceback(debug)
        complain("gdpipe: interrupted")
        raise SystemExit(INTERRUPTED) from error
    except Exception as error:
        if isinstance(error, BrokenPipeError) and is_unread(sys.stdout):  # `gdpipe --help | head -1`
            drop(sys.stdout)
            raise SystemExit(0) from error
        _show_traceback(debug)
        printed = "please report it with the traceback above" if debug else None
        line = unforeseen(error, traceback_is=printed, otherwise="the same command with --debug prints the traceback")
        complain(f"gdpipe: {line}")
        raise SystemExit(UNFORESEEN) from error


def _usage(error: click.ClickException) -> str:
    """The message of click about a wrong argument, made safe to show, as it repeats the argument."""
    if isinstance(error, click.NoSuchOption) and error.ctx:
        options = {p.name: p.opts[0] for p in error.ctx.command.params if p.name}
        if instead := answer(error.option_name, {**options, "source": "SOURCE"} if "source" in options else options):
            return f"No such option '{printable(error.option_name)}': {instead}"
    return printable(without_credentials(error.format_message()))


def _show_traceback(debug: bool) -> None:
    if debug:
        complain(printable_lines(without_credentials(traceback.format_exc().rstrip())))


class Commands(click.Group):
    """The group of commands; errors become one clear line and an exit code."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Accept options of all commands after the command's name, too."""
        everywhere = [arg for arg in args if arg in EVERYWHERE]
        return super().parse_args(context, everywhere + [arg for arg in args if arg not in EVERYWHERE])

    def main(self, *args: Any, **more: Any) -> Any:
        """Run the program, and exit; by itself click would end a Ctrl-C with exit code 1, that of a rejected run."""
        try:
            with _ended(debug=False):  # for errors while click closes the command's context
                code = super().main(*args, **{**more, "standalone_mode": False})
        except click.ClickException as error:
            complain(_usage(error))
            code = error.exit_code
        raise SystemExit(code or 0)

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> click.Context:
        """The context of the arguments; a wrong one ends the process."""
        with _ended("--debug" in args):
            return super().make_context(info_name, args, *more, **extra)

    def invoke(self, context: click.Context) -> Any:
        """Run a command; where it fails, the exit code is that of the error's kind."""
        with _ended(bool(context.params.get("debug"))):
            return super().invoke(context)
