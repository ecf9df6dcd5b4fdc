"""`python -m flows`: serve the process pool's deployments of prefect.yaml from this process, instead of a worker."""

import importlib
import os
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # Prefect brings it, without types
from prefect import Flow, serve
from prefect.schedules import Cron

PROJECT = Path(__file__).resolve().parents[1]
POOL = "gdpipe"
RUNS_AT_ONCE = 4


def served() -> list[Any]:
    """The deployments, as prefect.yaml describes them."""
    described = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    return [
        _flow(one["entrypoint"]).to_deployment(
            name=one["name"],
            description=one["description"],
            parameters=one["parameters"],
            tags=one.get("tags", []),
            schedules=[Cron(each.pop("cron"), **each) for each in one.get("schedules", [])],
        )
        for one in described
        if one["work_pool"]["name"] == POOL
    ]


def _flow(entrypoint: str) -> Flow[..., Any]:
    path, _, name = entrypoint.partition(":")
    found: Flow[..., Any] = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
    return found


if __name__ == "__main__":
    os.chdir(PROJECT)
    serve(*served(), limit=RUNS_AT_ONCE, print_starting_message=True)
