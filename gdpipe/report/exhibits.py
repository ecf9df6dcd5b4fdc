"""The pictures of the page, with their captions."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent.landscape import Landscape, Plane
from gdpipe.printable import markup
from gdpipe.report.categories import Grouped, without_levels
from gdpipe.report.drift import in_words
from gdpipe.report.pictures.bars import Bar, bars
from gdpipe.report.pictures.contours import contours
from gdpipe.report.pictures.curves import excess_curve, loss_curve, spectrum
from gdpipe.report.pictures.ticks import number

# bars in a picture; the tables have the others
MOST_BARS = 24
# pictures of categories
MOST_CATEGORIES = 12
# weights below this are left out of the description of a direction
NEGLIGIBLE_WEIGHT = 0.1


def about_features_and_rows(
    terms: list[dict[str, Any]],
    quality: dict[str, Any],
    verdict: dict[str, Any],
    rows: dict[str, Any],
    target: str,
    seen: Landscape,
) -> str:
    """The dependent features, and pictures of standardized coefficients, spectrum, and rows used and left out."""
    of_numbers = without_levels(terms)
    scaled = [term for term in of_numbers if term["scale"] == term["scale"] and term["scale"] is not None]  # NaN
    scaled.sort(key=lambda term: -abs(term["estimate_scaled"]))
    shown = []
    for term in scaled[:MOST_BARS]:
        unit = term["scale"] / quality["target_scale"]
        ends = (term["ci_lower"] * unit, term["ci_upper"] * unit)
        interval = ends if all(math.isfinite(end) for end in ends) else None
        said = "constant" if term["status"] == "constant" else number(float(f"{term['estimate_scaled']:.3g}"))
        shown.append(Bar(term["term"], term["estimate_scaled"], said, interval))
    # a penalized fit has none
    intervals = any(bar.interval for bar in shown)
    title = f"Standardized coefficients{' with 95% intervals' if intervals else ''}"
    found = verdict["dependencies"]
    lines = "".join(f"<li>{markup(line)}</li>" for line in found[:MOST_BARS])
    more = f"<li>and {len(found) - MOST_BARS:,} more, in convergence.parquet</li>" if len(found) > MOST_BARS else ""
    dependent = f"<p>Dependent features:</p><ul>{lines}{more}</ul>" if found else ""
    return dependent + pictures(
        figure(
            "Standardized coefficients",
            f"How many of its SDs {markup(target)} changes with one SD of a feature, the others held"
            f"{'; with 95% intervals of the exact answer' if intervals else ''}."
            f"{' Levels of categories are below.' if len(of_numbers) < len(terms) else ''}{_left_out(len(scaled))}",
            bars(shown, title, "target SDs per feature SD") if shown else "",
        ),
        figure(
            "The condition of the problem",
            "How widely the rows spread in each direction; all alike (dashed) where features are unrelated. "
            + ("No feature is a combination of others." if not found else "Dependent directions are left out."),
            spectrum(seen.eigenvalues),
        ),
        _rows(rows),
    )


def about_categories(categories: Sequence[Grouped], target: str) -> str:
    """The pictures of the levels of each category, in the target's unit."""
    drawn = [category for category in categories if category.levels]
    figures = []
    for category in drawn[:MOST_CATEGORIES]:
        shown, reference = category.bars(MOST_BARS), category.feature["reference"]
        effect = (
            f"What each level adds to {markup(target)}"
            if reference is None
            else f"How much higher {markup(target)} is than with {markup(reference)}, the reference"
        )
        n = len(category.levels)
        some = f" Of {n:,} levels the {MOST_BARS} with most rows are drawn." if n > MOST_BARS else ""
        intervals = "; with 95% intervals" if any(bar.interval for bar in shown) else ""
        said = f"{effect}, the other features held{intervals}. On the right the rows of each level.{some}"
        # as docs/features.md has it
        said += " 0\u00a0is Monday." if "weekday(" in category.name else ""
        title = f"Levels of {category.name}"
        figures.append(figure(title, said, bars(shown, title, f"coefficient, in units of {target}", scaled=True)))
    more = len(drawn) - MOST_CATEGORIES
    left = f'<p class="soft">{more:,} more categories are not drawn.</p>' if more > 0 else ""
    return (pictures(*figures) if figures else "") + left


def _rows(rows: dict[str, Any]) -> str:
    """The picture of the rows used, and left out by reason."""
    reasons = [(f"{name} null", count) for name, count in rows["null"].items()]
    if rows["zero_weight"]:
        reasons.append(("weight zero", rows["zero_weight"]))
    reasons.sort(key=lambda reason: -reason[1])
    held_out = rows.get("held_out", 0)  # earlier versions have none
    counts = [("read", rows["read"]), ("used", rows["used"]), *([("held out", held_out)] if held_out else []), *reasons]
    note = " A row may miss several columns, and is counted for each." if len(reasons) > 1 else ""
    kept = f", {held_out:,} held out of the fit" if held_out else ""
    return figure(
        "Rows used, and left out by reason",
        f"{rows['left_out']:,} of {rows['read']:,} rows were left out{kept}.{note}{_left_out(len(counts))}",
        bars([Bar(name, n, f"{n:,}") for name, n in counts[:MOST_BARS]], "Rows used and left out by reason", "rows"),
    )


def about_the_descent(seen: Landscape, verdict: dict[str, Any], included: Sequence[str], target: str) -> str:
    """The pictures of the loss at each step, and of the cost surface."""
    unit = f"{target}²"
    forecast = verdict["forecast_iterations"]
    what, floor, short = "The mean squared error", "ordinary least squares", "OLS"
    if verdict.get("penalty", "none") != "none":
        what, floor, short = "The mean squared error and the penalty", "the exact optimum", "optimum"
    surface = "" if seen.plane is None else _cost_surface(seen.plane, seen.iterations, included)
    drawn = pictures(
        figure(
            "Loss at each step",
            f"{what} on its way down to the floor that {floor} sets (dashed).",
            loss_curve(seen.iterations.tolist(), seen.loss.tolist(), seen.floor, unit, short),
        ),
        figure(
            "What is left above the floor",
            "Measured (line) and as it was forecast before the first step (dashed).",
            excess_curve(seen, forecast, unit, short),
        ),
        surface,
    )
    if seen.plane is None or not surface:
        return drawn
    return f'{drawn}<p class="soft">{_of_the_surface(seen.plane, verdict["condition_number"])}</p>'


def _cost_surface(plane: Plane, iterations: NDArray[np.int64], included: Sequence[str]) -> str:
    if plane.direction is None:
        return figure(
            "The cost surface from above",
            "Lines of equal loss over coefficient and intercept. Hollow: the start. Full: where the descent ended.",
            contours(plane, iterations, (f"coefficient of {included[0]}", "intercept")),
        )
    parts = sorted(zip(plane.direction.tolist(), included, strict=True), key=lambda part: -abs(part[0]))
    mostly = [f"{weight:+.2g} {name}" for weight, name in parts[:2] if abs(weight) >= NEGLIGIBLE_WEIGHT]
    return figure(
        "A slice of the cost surface",
        "Lines of equal loss through start (hollow), optimum (full), and along the steepest other direction: "
        f"{markup('mostly ' + ', '.join(mostly) if mostly else 'many features')}.",
        contours(plane, iterations, ("toward the optimum (standardized)", "steepest other direction")),
    )


def _of_the_surface(plane: Plane, condition_number: float) -> str:
    """The shape of the cost surface in sentences, and how the descent is drawn on it."""
    if plane.direction is None:
        return (
            "On the cost surface, the intercept is the best for each coefficient at every step: with standardized "
            "columns neither depends on the other."
        )
    return (
        "The slice of the cost surface is stretched to fill its frame: the valley in it is "
        f"{number(float(f'{plane.elongation:.3g}'))} times as long as wide; the condition number in all directions is "
        f"{number(float(f'{condition_number:.4g}'))}. Where steps go to and fro, the middle of neighbours is drawn."
    )


def about_drift(rows: list[dict[str, Any]]) -> str:
    """The pictures of drift since the previous run in means, scales and coefficients, the largest first."""
    means = "How far each column's mean has moved, in its earlier standard deviations."
    coefficients = "How far each has moved, in joint standard errors: by chance, most stay within ±2."
    return pictures(
        _moved(rows, "mean_shift_sd", "means", means, "SDs"),
        _moved(
            rows,
            "scale_ratio",
            "scales",
            "By which factor each column's standard deviation has changed.",
            "factor, logarithmic",
        ),
        _moved(rows, "estimate_shift_se", "coefficients", coefficients, "joint standard errors"),
    )


def _moved(rows: list[dict[str, Any]], column: str, what: str, said: str, unit: str) -> str:
    shown = []
    for row in rows:
        value = row[column]
        if column == "scale_ratio":
            length, written = math.log2(value) if value else -math.inf, f"× {value:.3g}"
        else:
            length, written = value, f"{value:+.3g}"
        if not math.isnan(length):
            shown.append(Bar(row["term"], length, in_words(row).get(column, written).replace("-", "−")))
    if not shown:
        return ""
    shown.sort(key=lambda bar: -abs(bar.value))
    return figure(f"Drift of {what}", said + _left_out(len(shown)), bars(shown[:MOST_BARS], f"Drift of {what}", unit))


def _left_out(n: int) -> str:
    return f" The {n - MOST_BARS:,} smallest are not drawn." if n > MOST_BARS else ""


def pictures(*figures: str, two: bool = False) -> str:
    """Figures beside each other; with `two` at most two in a line, and larger."""
    return f'<div class="pictures{" two" if two else ""}">{"".join(figures)}</div>'


def figure(title: str, said: str, drawn: str) -> str:
    """A picture under its caption; empty where nothing is drawn."""
    return f"<figure><figcaption><b>{markup(title)}</b>{said}</figcaption>{drawn}</figure>" if drawn else ""
