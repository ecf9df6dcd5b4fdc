"""Credentials for object storage: from a Prefect block into the environment of the run's own process, nowhere else."""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from prefect.blocks.system import Secret

from gdpipe.errors import ConfigError

ALLOWED = re.compile(r"(AWS|GOOGLE|AZURE)_[A-Z0-9_]+")


@contextlib.contextmanager
def credentials_of(block: str | None) -> Iterator[None]:
    """A block of code with the variables of a Secret block in its environment.

    The Secret block holds JSON such as {"AWS_ACCESS_KEY_ID": "...", "AWS_SECRET_ACCESS_KEY": "..."}. A run's
    parameters, log, manifest and artifacts have the Secret block's name only. None leaves the environment as it is.

    Raises:
        ConfigError: There is no such Secret block, or it does not hold such variables.
    """
    if block is None:
        yield
        return
    variables = _variables(block)
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _variables(block: str) -> dict[str, str]:
    try:
        content: Any = Secret.load(block, _sync=True).get()  # type: ignore[union-attr,call-arg]  # _sync is not in its types
    except ValueError as error:
        raise ConfigError(f"credentials {block!r}: there is no Secret block of that name") from error
    # no message shows the content, even where it is wrong
    if isinstance(content, str):
        with contextlib.suppress(ValueError):
            content = json.loads(content)
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and ALLOWED.fullmatch(name) and isinstance(value, str) for name, value in content.items()
    ):
        raise ConfigError(
            f"credentials {block!r}: the block must hold a JSON object of texts whose names start with AWS_, GOOGLE_ "
            "or AZURE_"
        )
    return content
