"""Past windows: `python -m flows.backfill month 1..12`, one run of a deployment for each that is not published yet."""

import argparse
import contextlib
import datetime
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from flows.script import exit_codes, parameters_of, refuse
from gdpipe.config import IMMATERIAL, TrainingConfig
from gdpipe.errors import ConfigError, PublishError
from gdpipe.exits import one_line, tell
from gdpipe.filters import normalized
from gdpipe.layout import RUNS
from gdpipe.location import is_uri, without_credentials
from gdpipe.printable import printable
from gdpipe.store.runs import place_at, read_manifest

PROJECT = Path(__file__).resolve().parents[1]
POLL_SECONDS = 2.0
# settings that do not change the published numbers
ELSEWHERE = (*IMMATERIAL, "report")
# the output where neither the deployment nor the command names one: windows do not go where readers look for the latest
OUTPUT = "backfill"


def main(arguments: Sequence[str]) -> int:
    """Run the windows that are not published, and print the outcome of each.

    Returns:
        0 where every window is published, 1 where one failed, 2 where the command is wrong.
    """
    given = _parse(arguments)
    try:
        for text in (given.column, given.values):
            if without_credentials(text) != text:
                raise ValueError("a URI with credentials stands where a column and its values are wanted")
        values = windows(given.values)
        own = parameters_of(given.parameters)
        if own.get("latest", False) is not False:
            raise ValueError("latest: a window never becomes the latest run; leave the setting out")
        with get_client(sync_client=True) as client:
            assert isinstance(client, SyncPrefectClient)
            defaults = client.read_deployment_by_name(given.deployment).parameters
        settings = {"output": OUTPUT, **defaults, **own, "latest": False}
        every = {value: {**settings, "filters": _filters(settings, given.column, value)} for value in values}
        output = str(settings["output"])
        done = published(output if is_uri(output) else str(PROJECT / output))
        missing = {value: parameters for value, parameters in every.items() if identity(parameters) not in done}
    except ObjectNotFound:
        return refuse(f"there is no deployment {given.deployment!r}: prefect --no-prompt deploy --all")
    except (ValueError, ConfigError) as error:
        return refuse(str(error))
    stop = Event()

    def work(value: Any) -> str:
        if value in missing:
            outcome, reason = _run(given.deployment, missing[value], stop)
        else:
            outcome, reason = "skipped", f"published: {done[identity(every[value])]}"
        tell(f"{printable(f'{given.column}={value}'):<20} {outcome:<10} {one_line(reason)}")
        return outcome

    with ThreadPoolExecutor(given.at_once) as pool:
        try:
            outcomes = list(pool.map(work, values))
        except BaseException:  # a Ctrl-C: no more windows begin, and those that run are not waited for
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    tell(", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in ("published", "skipped", "FAILED")))
    return 1 if "FAILED" in outcomes else 0


def windows(text: str) -> list[Any]:
    """The values in `1..12`, `2026-01-30..2026-02-02` (days) or a list `a,b,c`, in which whole numbers are numbers.

    Raises:
        ValueError: A range ends before it begins, or is of neither numbers nor days.
    """
    start, dots, end = text.partition("..")
    if not dots:
        return list(dict.fromkeys(int(part) if part.lstrip("-").isdigit() else part for part in text.split(",")))
    try:
        if start.isdigit() and end.isdigit():
            values: list[Any] = list(range(int(start), int(end) + 1))
        else:
            first, last = datetime.date.fromisoformat(start), datetime.date.fromisoformat(end)
            values = [str(first + datetime.timedelta(days)) for days in range((last - first).days + 1)]
    except ValueError:
        raise ValueError(f"{text!r}: a range is of whole numbers (1..12) or of days (2026-01-01..2026-01-31)") from None
    if not values:
        raise ValueError(f"{text!r}: the range ends before it begins")
    return values


def published(output: str) -> dict[str, str]:
    """The published runs of an output: the identity of the settings -> the run's folder."""
    place, found = place_at(output), {}
    for run_id in place.folders(RUNS):
        folder = place.below(f"{RUNS}/{run_id}")
        # a run that cannot be read, or has unknown settings, counts as not published
        with contextlib.suppress(PublishError, ConfigError):
            manifest = read_manifest(folder)
            if manifest["kind"] == "training":
                found[identity(manifest["settings"])] = str(folder)
    return found


def identity(settings: dict[str, Any]) -> str:
    """The settings that change the published numbers, as text, with defaults filled in.

    Raises:
        ConfigError: The settings are not a run's.
    """
    known = {f: settings[f] for f in TrainingConfig.__dataclass_fields__ if settings.get(f) is not None}
    config = TrainingConfig.of({**known, "engine": "threads"}).as_dict()
    return json.dumps({name: value for name, value in config.items() if name not in ELSEWHERE}, sort_keys=True)


def _run(deployment: str, parameters: dict[str, Any], stop: Event) -> tuple[str, str]:
    """A window's outcome (published, FAILED, or left at a Ctrl-C) and the reason, after its run."""
    try:
        run: Any = run_deployment(deployment, parameters=parameters, timeout=0, as_subflow=False)
        with get_client(sync_client=True) as client:
            assert isinstance(client, SyncPrefectClient)
            while not (run.state and run.state.is_final()):
                if stop.wait(POLL_SECONDS):
                    return "left", "its run goes on under its worker"
                run = client.read_flow_run(run.id)
    except Exception as error:  # of any kind, since the other windows go on
        return "FAILED", str(error)
    state = run.state
    return "published" if state.is_completed() else "FAILED", str(state.message or state.name)


def _filters(parameters: dict[str, Any], column: str, value: Any) -> list[list[Any]]:
    given = normalized(parameters.get("filters") or None)
    window = [column, "=", value]
    if given is None or isinstance(given[0][0], str):
        return [*(given or []), window]
    return [[*alternative, window] for alternative in given]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line, like all other errors."""
        sys.exit(refuse(message))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="python -m flows.backfill", description=__doc__)
    parser.add_argument("column", help="the partition column, such as month")
    parser.add_argument("values", help="1..12, 2026-01-01..2026-01-31, or a,b,c")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE", help="settings beside the deployment's own")
    parser.add_argument("--deployment", default="train/backfill", help="default: %(default)s")
    parser.add_argument(
        "--at-once", type=int, default=2, choices=range(1, 65), metavar="N", help="default: %(default)s"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    os.chdir(PROJECT)
    with exit_codes():
        sys.exit(main(sys.argv[1:]))
