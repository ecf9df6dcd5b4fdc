"""Names of flow runs: the one that a person gave, or else one that says what the run does."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import coolname
from coolname.loader import load_config
from prefect.runtime import flow_run

from gdpipe.errors import ConfigError
from gdpipe.filters import filter_groups, normalized
from gdpipe.location import shown
from gdpipe.printable import printable

LONGEST_WINDOW = 80


def given_name() -> str | None:
    """The name that the run was given in the UI or by --flow-run-name; None where Prefect made it up.

    Prefect does not say which of the two it is. It makes names of two words from the lists of coolname, as in
    "brave-otter", so that such a name is taken for one of its own.
    """
    name = str(flow_run.name or "")
    return None if not name or (set(name.split("-")) <= _words() and name.count("-") == 1) else name


@functools.cache
def _words() -> frozenset[str]:
    """The words that Prefect makes names of."""
    lists = load_config(Path(coolname.__file__).parent / "data")
    words = (each.get("words") for each in lists.values())
    return frozenset(str(word) for each in words if isinstance(each, list) for word in each)


def training_name() -> str:
    """The name of a training: target, source and window, as "arr_delay from data/flights where month <= 6"."""
    if given := given_name():
        return given
    parameters = flow_run.parameters
    source = shown(str(parameters.get("source")))
    return printable(f"{parameters.get('target')} from {source}{window(parameters.get('filters'))}")


def scoring_name() -> str:
    """The name of a scoring: source, run and window, as "data/flights with runs where month > 6"."""
    if given := given_name():
        return given
    parameters = flow_run.parameters
    source, run = (shown(str(parameters.get(name))) for name in ("source", "run"))
    return printable(f"{source} with {run}{window(parameters.get('filters'))}")


def window(filters: Sequence[Any] | None) -> str:
    """The filters in words; empty where there are none. They may be wrong, as names are made before any check."""
    if not filters:
        return ""
    try:
        text = " or ".join(
            " and ".join(
                " ".join([column, operator, *([] if value is None else [_value(value)])])
                for column, operator, value in group
            )
            for group in filter_groups(normalized(filters) or [])
        )
    except ConfigError:
        text = str(filters)
    return f" where {text if len(text) <= LONGEST_WINDOW else text[: LONGEST_WINDOW - 1] + '…'}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
