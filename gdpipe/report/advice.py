"""Advice on a run that was not published, with forecasts; options as they are typed, and after # what they do."""

import json
import math
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from gdpipe.design import quoted
from gdpipe.kinds import pieces
from gdpipe.printable import abridged, counted

# with a mean of more standard deviations than this, float64 has too few digits for the variation
LARGEST_OFFSET = 1e4
# largest distance to the optimum for which a larger tolerance is advised
LARGEST_DISTANCE = 1e-2
# levels with fewer rows than this part of a category's mean level are rare: the term of each hardly varies
RARE = 0.1
# a reference with fewer rows than this part of those of the most common level makes all terms of a category alike
UNCOMMON = 0.5


def advise(manifest: dict[str, Any], verdict: dict[str, Any], terms: list[dict[str, Any]]) -> tuple[str, ...]:
    """Advice, one line each, the most promising first; none for a run that was published.

    The verdict is the row of `convergence`, the terms are the rows of `parameters`.
    """
    if verdict["passed"]:
        return _past_the_gate(manifest)
    settings, status = manifest["settings"], verdict["status"]
    lines: list[str] = []
    if status in {"max_iterations", "max_seconds"}:
        lines += [_forecast(row, manifest) for row in _worth_saying(manifest.get("forecasts", []), settings)]
        lines += _fewer_steps_by_level(manifest, terms)
    if manifest["dependencies"] and settings["collinear"] == "min_norm":
        dependent = abridged(manifest["dependencies"], between="; ")
        lines.append(f"--collinear drop  # or leave out what is dependent: {dependent}")
    bound = verdict["distance_bound"]
    if status != "converged" and bound <= LARGEST_DISTANCE:
        lines.append(f"--tolerance {_round_up(2 * bound):g}  # this run came within {bound:.2g} of the optimum")
    far = [
        term["term"]
        for term in terms
        if term["status"] == "ok"
        and term.get("level") is None
        and term["scale"] > 0
        and abs(term["mean"]) > LARGEST_OFFSET * term["scale"]
    ]
    if far:
        names = abridged(far, between="; ")
        lines.append(f"subtract the common part of {names}: the values hardly vary beside their size")
    return tuple(lines)


def _worth_saying(forecasts: list[dict[str, Any]], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The forecasts to show: of the run's own set-up both methods, of each other only that with the fewest steps."""
    ending = sorted((row for row in forecasts if row["iterations"] is not None), key=lambda row: row["iterations"])
    as_set_up = [row for row in ending if row["without"] is None and row["tolerance"] == settings["tolerance"]]
    fewest = {(row["tolerance"], row["without"]): row for row in reversed(ending) if row not in as_set_up}
    return [*as_set_up, *sorted(fewest.values(), key=lambda row: row["iterations"])]


def _forecast(row: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The options of a descent that would have converged, and its steps."""
    steps, settings, without = row["iterations"], manifest["settings"], row["without"]
    options, why = [f"--method {row['method']}"], ""
    if settings["learning_rate"] != "auto":
        options.append("--learning-rate auto")
    if row["tolerance"] != settings["tolerance"]:
        options.append(f"--tolerance {row['tolerance']:g}")
    if steps > settings["max_iterations"]:
        options.append(f"--max-iterations {steps}")
    if without is not None:
        why = f"without {without}, which the other features nearly make up: "
        if settings["features"] is None:
            options.append(f"--exclude {_listed([*settings.get('exclude', ()), without])}")
        else:
            options.append(f"--features {_listed([name for name in manifest['features'] if name != without])}")
    return f"{' '.join(options)}  # {why}{counted(steps, 'step')} (forecast)"


def _fewer_steps_by_level(manifest: dict[str, Any], terms: list[dict[str, Any]]) -> list[str]:
    """Advice on categories, whose rare levels and uncommon references make the condition number large."""
    settings, lines, rare, fewest = manifest["settings"], [], 0, 0
    by_feature: dict[str, dict[str, int]] = {}
    # with weights a mean is no share of the rows, and without an intercept none is known
    counted_rows = settings.get("fit_intercept", True) and not settings.get("weight")
    used = manifest.get("rows", {}).get("used", 0) if counted_rows else 0
    for term in terms:
        if term.get("level") is not None and ":" not in term["feature"]:  # the mean of the term is the level's share
            by_feature.setdefault(term["feature"], {})[term["level"]] = round(term["mean"] * used)
    for feature, rows in by_feature.items() if used else ():
        of_reference = used - sum(rows.values())
        level = max(rows, key=lambda level: rows[level])
        if of_reference < UNCOMMON * rows[level]:
            options = f"--features {_listed(_with_reference(manifest, feature, level))}"
            lines.append(
                f"{options}  # {level} has {counted(rows[level], 'row')}, the reference of {feature} now "
                f"{of_reference:,}: fewer steps"
            )
        least = math.ceil(RARE * used / (len(rows) + 1))
        if few := sum(n < least for n in rows.values()):
            rare, fewest = rare + few, max(fewest, least)
    if rare:
        lines.append(f"--min-level-rows {fewest}  # joins {counted(rare, 'rare level')} to others: fewer steps")
    if by_feature and settings.get("penalty", "none") == "none":
        lines.append("--penalty ridge  # fewer steps, with alpha chosen on unseen rows; no standard errors")
    return lines


def _with_reference(manifest: dict[str, Any], feature: str, level: str) -> list[str]:
    """The features of the run, with a level as the reference of one that is a category."""
    factors = [factor for factors in manifest["design"]["features"] for factor in factors]
    kind = next(factor["levels"] for factor in factors if factor["name"] == feature)
    value = json.dumps(level, ensure_ascii=False) if kind == "text" else level.title() if kind == "boolean" else level
    inside = feature[2:-1] if feature.startswith("C(") else quoted(feature)
    referring = f"C({inside}, ref={value})"
    return [referring if name == feature else name for name in manifest["features"]]


def _listed(names: Sequence[str]) -> str:
    """Names as the value of an option: a,b,c, or JSON where a comma is part of a name."""
    text = ",".join(names)
    return shlex.quote(text if pieces(text, ",") == list(names) else json.dumps(names, ensure_ascii=False))


def _past_the_gate(manifest: dict[str, Any]) -> tuple[str, ...]:
    """Advice on a fit that passed, but not the gate."""
    gate = manifest.get("gate")
    if not gate or gate["passed"]:
        return ()
    lines = (
        [f"see what has moved since run {drift['since']}: {abridged(drift['largest'], between='; ')}"]
        if (drift := manifest.get("drift")) and drift["largest"]
        else []
    )
    if manifest["rows"]["left_out"]:
        lines.append(f"see why {manifest['rows']['left_out']:,} of {manifest['rows']['read']:,} rows were left out")
    limit = gate["rmse_limit"]
    if limit is not None and not gate["rmse"] <= limit:
        # earlier versions name no bar, and took the lower one
        bars = [gate["previous_rmse"], gate["previous_rmse_published"]]
        bar = gate.get("rmse_bar") or min(value for value in bars if value is not None)
        if bar:
            share = 100 * _round_up(gate["rmse"] / bar - 1)
            lines.append(f"--max-rmse-increase {share:.4g}%  # would publish it, if that is wanted")
    if gate["min_r2"] is not None and not gate["r2"] >= gate["min_r2"]:
        lines.append(f"--min-r2 {math.floor(gate['r2'] * 1000) / 1000:g}  # would publish it, if that is wanted")
    return tuple(lines)


def _round_up(value: float) -> float:
    """The value rounded up to two digits: 0.1675 -> 0.17."""
    if not sys.float_info.min < value < math.inf:  # no two digits to round to
        return max(value, 0.0)
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit
