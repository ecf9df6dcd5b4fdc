"""Sums of a run's files, found in the cache of its output: what a refit is made of."""

import functools
import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gdpipe.config import TrainingConfig
from gdpipe.design import Design
from gdpipe.errors import ConfigError, DataError
from gdpipe.layout import MOMENTS, REJECTED, RUNS
from gdpipe.numerics.sums.folds import VERSION as FOLDS_VERSION
from gdpipe.source.files import first_line
from gdpipe.stages.cached_sums import plain_filters, summed
from gdpipe.stages.published import FINGERPRINT
from gdpipe.stages.scan.row_sums import VERSION, Sums
from gdpipe.store.cache import Cache
from gdpipe.store.place import Place

# the relative rounding of a type's values, where it is not that of float64
RESOLUTION = {"float": float(np.finfo(np.float32).eps), "halffloat": float(np.finfo(np.float16).eps)}
# files that a message names
FILES_NAMED = 3


def kept_sums(
    run: Place, manifest: Mapping[str, Any], design: Design, config: TrainingConfig, wanted: Sequence[Mapping[str, Any]]
) -> tuple[Sums, dict[str, float]]:
    """The sums over the rows of these files, and the coarsest relative rounding of each column's values."""
    output = output_of(run, manifest["run_id"])
    if config.holdout and not all("held_out" in entry for entry in wanted):
        raise ConfigError(
            f"{run}: its manifest does not say which files are held out, as it is of an earlier version; train again"
        )
    holdout = {entry["file"]: None for entry in wanted}
    if config.holdout:
        some = plain_filters(config.holdout)
        holdout |= {entry["file"]: some for entry in wanted if entry["held_out"] == "some"}
    found = _entries_on_grids(output, design, config, wanted, holdout)
    most = max(found.values(), key=len, default={})
    if lacking := [entry["file"] for entry in wanted if entry["file"] not in most]:
        more = f" and {len(lacking) - FILES_NAMED:,} more" if len(lacking) > FILES_NAMED else ""
        raise DataError(
            f"{output.below(MOMENTS)}: no sums of {', '.join(lacking[:FILES_NAMED])}{more} as run {manifest['run_id']} "
            "made them; train again, which reads such files"
        )
    # several may have all files: the finest grid is that of the rows used
    complete = [grid for grid, entries in found.items() if len(entries) == len(wanted)]
    finest = found[min(complete, key=lambda of: (not json.loads(of)[0], sum(json.loads(of)[1:])))]
    try:
        sums = [
            Sums.from_json(
                finest[entry["file"]],
                len(design.numbers) + 1,
                weighted=config.weight is not None,
                n_read=len(finest[entry["file"]]["missing"]),
                orders=design.orders,
                folds=finest[entry["file"]]["of"]["folds"][1],
            )
            for entry in wanted
        ]
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"{output.below(MOMENTS)}: damaged ({first_line(error)}); remove it, and train again"
        ) from error
    roundings: dict[str, float] = {}
    for name, kind, *_ in (column for entry in wanted for column in finest[entry["file"]]["of"]["columns"]):
        roundings[name] = max(roundings.get(name, 0.0), RESOLUTION.get(kind, float(np.finfo(np.float64).eps)))
    if config.holdout:
        sums = [_in_cells(of_file, entry["held_out"]) for of_file, entry in zip(sums, wanted, strict=True)]
    return functools.reduce(operator.add, sums), roundings


def _entries_on_grids(
    output: Place,
    design: Design,
    config: TrainingConfig,
    wanted: Sequence[Mapping[str, Any]],
    holdout: Mapping[str, Any],
) -> dict[str, dict[str, dict[str, Any]]]:
    """The cache's entries that hold the sums of these files, by number of folds and grid, and then by file."""
    filters = plain_filters(config.filters) if config.filters else None
    columns = [*design.columns, config.target, *([config.weight] if config.weight else [])]
    same = json.loads(json.dumps({"version": VERSION, "weighted": bool(config.weight), **summed(design)}))
    # by folds and grid, as only such sums can be added; of a file filtered in part there may be those of all rows, too
    found: dict[str, dict[str, dict[str, Any]]] = {}
    prints = {_fingerprint(entry): entry["file"] for entry in wanted}
    for entry in Cache(output).entries():
        of = entry["of"]
        file = prints.get(_fingerprint(of.get("file", {})))
        names = sorted(name for name, *_ in of.get("columns", ()))
        fits = file is not None and names == sorted(columns) and all(of.get(name) == same[name] for name in same)
        fits = fits and of["holdout"] == holdout[str(file)]
        # a run of very many terms has no folds
        fits = fits and of["folds"][0] == FOLDS_VERSION and of["folds"][1] in (config.folds, 0)
        fits = fits and [name for name, *_ in of["folds"][2]] == list(config.fold_by)
        if fits and of["filters"] in (None, filters):
            on_grid = found.setdefault(json.dumps([of["folds"][1], *of["grid"]]), {})
            if of["filters"] == filters or file not in on_grid:
                on_grid[str(file)] = entry
    return found


def _in_cells(sums: Sums, held_out: str) -> Sums:
    """The sums of a file in the cells of the run, where all, none or some of its rows are held out."""
    nothing = sums.total - sums.total
    if held_out == "all":
        return sums.as_held_out(nothing)
    return sums if held_out == "some" else replace(sums, held_out=nothing)


def _fingerprint(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in FINGERPRINT)


def output_of(run: Place, run_id: str) -> Place:
    """The output that a run's folder is in."""
    for kind in (RUNS, REJECTED):
        path = f"{kind}/{run_id}"
        if run.inside == path:
            return replace(run, inside="")
        if not run.inside and run.top.endswith(f"/{path}"):
            top = run.top.removesuffix(f"/{path}")
            return replace(
                run, top=top, location=run.location.removesuffix(f"/{path}") if path in run.location else top
            )
    raise DataError(f"{run}: is not in the output of its run, where {MOMENTS}/ is; name the run there")
