"""A flow as a script: parameters as NAME=VALUE, Prefect's own temporary server, an exit code."""

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import httpx
from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.exceptions import ParameterBindError, ParameterTypeError, SignatureMismatchError

from flows import form
from gdpipe.config import ScoringConfig, TrainingConfig
from gdpipe.errors import GdpipeError
from gdpipe.exits import INTERRUPTED, UNFORESEEN, complain, one_line, tell, unforeseen
from gdpipe.kinds import Columns, Engine, Features, Location, alternatives, pieces
from gdpipe.location import without_credentials
from gdpipe.run import Run, summary

SETTINGS = {f.name: alternatives(f.type) for declared in (ScoringConfig, TrainingConfig) for f in fields(declared)}


def run_as_script(flow: Flow[..., Any]) -> None:
    """Run a flow with the parameters of the command line, print the run's summary, and exit.

    Raises:
        SystemExit: 0 where the flow completed, 1 where it failed, 2 where a parameter is wrong; 70 and 130 as in
            `exit_codes`.
    """
    # without this, SIGTERM leaves Prefect's temporary server behind
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    run: Callable[..., State[Any]] = flow
    with exit_codes():
        try:
            given = parameters_of(sys.argv[1:])
        except ValueError as error:
            sys.exit(refuse(str(error)))
        try:
            state = run(**flow.validate_parameters(given), return_state=True)
        except (ParameterBindError, ParameterTypeError, SignatureMismatchError) as error:
            sys.exit(refuse(str(error)))
        if not state.is_completed():
            # gdpipe's errors are states with a message; an exception is an unforeseen error
            fault = state.result(raise_on_failure=False)
            if isinstance(fault, Exception):
                complain(unforeseen(fault, traceback_is="please report it with the traceback in the log above"))
                sys.exit(UNFORESEEN)
            complain(one_line(str(state.message)))
            sys.exit(1)
        try:
            text = summary(Run.at(state.result()))
        except GdpipeError:  # published, but only the flow has the credentials to read it
            text = str(state.message)
        tell(text)


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """A block whose errors end the process with one line and an exit code, like those of the command line.

    Raises:
        SystemExit: 70 for an unforeseen exception, 130 for a Ctrl-C, 1 where Prefect's API does not answer.
    """
    try:
        yield
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(INTERRUPTED)
    except Exception as error:
        if isinstance(error, httpx.TransportError) or "Failed to reach API" in str(error):
            reason = one_line(str(error))
            complain(f"Prefect's API does not answer ({reason}): start its server, or set PREFECT_API_URL to it")
            sys.exit(1)
        complain(unforeseen(error))
        sys.exit(UNFORESEEN)


def parameters_of(arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters in arguments of the form NAME=VALUE.

    Raises:
        ValueError: An argument is not of that form, or has credentials, which Prefect would store.
    """
    parameters: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not equals:
            raise ValueError(f"{argument!r}: parameters are given as NAME=VALUE")
        parameters[name] = value = _value(name, text)
        if {Location, Engine}.intersection(SETTINGS.get(name, ())) and isinstance(value, str):
            try:
                form.without_credentials(value)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
    return parameters


def _value(name: str, text: str) -> Any:
    """The value of a text, read as JSON if possible, like `prefect deployment run -p`; columns also as a,b,c."""
    if {Columns, Features}.intersection(SETTINGS.get(name, ())) and not text.startswith("["):
        return pieces(text, ",") if Features in SETTINGS[name] else text.split(",")
    try:
        return json.loads(text)
    except ValueError:
        return text


def refuse(message: str) -> int:
    """Print in one line, without credentials, what is wrong with the command, and return the exit code."""
    complain(one_line(without_credentials(message)))
    return 2
