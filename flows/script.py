"""A flow as a script: parameters as NAME=VALUE, Prefect's own temporary server, an exit code."""

import json
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.exceptions import ParameterBindError, ParameterTypeError, SignatureMismatchError

from gdpipe.errors import GdpipeError

LISTS = ("features", "exclude", "key")


def run_as_script(flow: Flow[..., Any], summary: Callable[[str], str]) -> None:
    """Run a flow with the parameters of the command line, print its summary, and exit.

    Raises:
        SystemExit: 0 where the flow completed, 1 where it failed, 2 where a parameter is wrong.
    """
    # without this, SIGTERM leaves Prefect's temporary server behind
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        given = parameters_of(sys.argv[1:])
    except ValueError as error:
        sys.exit(_refuse(str(error)))
    try:
        state = _run(flow, flow.validate_parameters(given))
    except (ParameterBindError, ParameterTypeError, SignatureMismatchError) as error:
        sys.exit(_refuse(str(error)))
    if not state.is_completed():
        sys.stderr.write(f"{state.message}\n")
        sys.exit(1)
    try:
        text = summary(state.result())
    except GdpipeError:  # published, but out of sight: the credentials were the flow's own
        text = str(state.message)
    sys.stdout.write(f"{text}\n")


def _run(flow: Flow[..., Any], parameters: dict[str, Any]) -> State[Any]:
    run: Callable[..., State[Any]] = flow
    return run(**parameters, return_state=True)


def parameters_of(arguments: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE, one or more, as parameters.

    Raises:
        ValueError: One of them is not of that form.
    """
    parameters: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not equals:
            raise ValueError(f"{argument!r}: parameters are given as NAME=VALUE")
        parameters[name] = _value(name, text)
    return parameters


def _value(name: str, text: str) -> Any:
    """JSON where it is JSON, as `prefect deployment run -p` reads it; lists also as a,b,c."""
    if name in LISTS and not text.startswith("["):
        return text.split(",")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refuse(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 2
