"""How the commands end: in one clear line and an exit code, whatever is wrong."""

import contextlib
import traceback
from collections.abc import Iterator
from typing import Any

import click

from gdpipe.errors import ConfigError, DataError, GdpipeError, PublishError, RejectedError

EXIT_CODES: dict[type[GdpipeError], int] = {RejectedError: 1, ConfigError: 2, DataError: 3, PublishError: 4}
# of every command: they hold wherever they stand
EVERYWHERE = ("--debug", "--quiet")


@contextlib.contextmanager
def _one_line_of_usage() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        click.echo(f"gdpipe: {_one_line(error.format_message())} (see --help)", err=True)
        raise SystemExit(EXIT_CODES[ConfigError]) from error


class Commands(click.Group):
    """The group that turns our errors into one clear line and an exit code."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """What holds for every command may stand behind it, too."""
        everywhere = [arg for arg in args if arg in EVERYWHERE]
        return super().parse_args(context, everywhere + [arg for arg in args if arg not in EVERYWHERE])

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Read the arguments.

        Raises:
            SystemExit: They are wrong.
        """
        with _one_line_of_usage():
            return super().make_context(*args, **more)

    def invoke(self, context: click.Context) -> Any:
        """Run a command.

        Raises:
            SystemExit: With the exit code of the error's kind.
        """
        try:
            with _one_line_of_usage():
                return super().invoke(context)
        except GdpipeError as error:
            if context.params.get("debug"):
                traceback.print_exc()
            where = f" (evidence: {error.evidence})" if isinstance(error, RejectedError) else ""
            click.echo(f"gdpipe: {_one_line(str(error))}{where}", err=True)
            raise SystemExit(next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))) from error


def _one_line(text: str) -> str:
    return " ".join(text.split())
