"""The options of a command, from the declaration of its settings."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import click

from gdpipe.config import Settings, described
from gdpipe.errors import ConfigError
from gdpipe.kinds import checked

Command = Callable[..., None]


def options_of(declared: type[Settings]) -> Callable[[Command], Command]:
    """Give a command an argument `source`, and an option for each of the other settings."""

    def give(command: Command) -> Command:
        for item in reversed(dataclasses.fields(declared)):
            if item.name != "source":
                command = _option(item)(command)
        return click.argument("source")(command)

    return give


def _option(item: "dataclasses.Field[Any]") -> Callable[[Command], Command]:
    name = item.name.replace("_", "-")
    more: dict[str, Any] = {"help": described(item)}
    if item.default is dataclasses.MISSING:
        more["required"] = True
    else:
        more["default"] = None if item.default == () else item.default
    if item.type is bool:
        return click.option(f"--{name}/--no-{name}", **more)
    if get_origin(item.type) is Literal:
        return click.option(f"--{name}", type=click.Choice(get_args(item.type)), **more)

    def read(context: click.Context, option: click.Parameter, given: Any) -> Any:
        try:
            return checked(item.name, item.type, given, of_text=True) if isinstance(given, str) else given
        except ConfigError as error:
            raise click.BadParameter(str(error), context, option) from error

    return click.option(f"--{name}", type=click.UNPROCESSED, metavar="VALUE", callback=read, **more)
