"""The pictures of the page, each with the words that belong to it."""

import html
import math
from collections.abc import Callable, Sequence
from typing import Any

from gdpipe.numerics.density import Density
from gdpipe.numerics.landscape import Landscape, Plane
from gdpipe.report.pictures.bars import Bar, bars
from gdpipe.report.pictures.densities import predicted_and_actual, residual_histogram, residuals_and_predictions
from gdpipe.report.pictures.loss import excess_curve, loss_curve
from gdpipe.report.pictures.spectrum import spectrum
from gdpipe.report.pictures.surface import contours, surface

# bars in a picture; the tables have the others
MOST_BARS = 24
# a weight below this is left out where a direction is written down
NEGLIGIBLE_WEIGHT = 0.1


def about_fit(density: Density | None, rows: dict[str, Any], target: str) -> str:
    """Where the rows lie about the line."""
    if density is None or not density.rows:
        return '<p class="soft">No rows were read again after the fit: there are no pictures of them.</p>'
    some = (
        f"The {density.rows:,} rows that were predicted, of {rows['used']:,} used. "
        if density.rows != rows["used"]
        else ""
    )
    darker = "The darker, the more rows; what lies beyond the picture is counted at its edge."
    return _pictures(
        _figure(
            "Predicted against actual",
            f"{some}On the dashed line both are the same. {darker}",
            predicted_and_actual(density, target),
        ),
        _figure(
            "Residuals against predictions",
            "About the dashed zero line and equally wide everywhere, where a straight line suits the data.",
            residuals_and_predictions(density, target),
        ),
        _figure(
            "Residuals",
            "Dashed: the normal distribution with the same RMSE. The ends reach five RMSE to either side.",
            residual_histogram(density, target),
        ),
    )


def about_terms(terms: list[dict[str, Any]], quality: dict[str, Any], target: str) -> str:
    """Standardized coefficients with 95 % intervals, the largest first."""
    scaled = [term for term in terms if term["scale"] == term["scale"] and term["scale"] is not None]  # NaN
    scaled.sort(key=lambda term: -abs(term["estimate_scaled"]))
    if not scaled:
        return ""
    shown = []
    for term in scaled[:MOST_BARS]:
        unit = term["scale"] / quality["target_scale"]
        ends = (term["ci_lower"] * unit, term["ci_upper"] * unit)
        interval = ends if all(math.isfinite(end) for end in ends) else None
        said = f"{term['estimate_scaled']:.3g}" if term["status"] != "constant" else "constant"
        shown.append(Bar(term["term"], term["estimate_scaled"], said, interval))
    return _pictures(
        _figure(
            "Standardized coefficients",
            f"By how many standard deviations {target} changes when a feature changes by one of its own, the others "
            f"held; with 95 % intervals.{_left_out(len(scaled))}",
            bars(shown, "Standardized coefficients with 95 % intervals", "target SDs per feature SD"),
        )
    )


def about_the_descent(seen: Landscape, verdict: dict[str, Any], kept: Sequence[str], target: str) -> str:
    """The loss step by step, and the ground that it went over."""
    unit = f"{target}²"
    forecast = verdict["forecast_iterations"]
    return _pictures(
        _figure(
            "Loss at each step",
            "The mean squared error on its way down to the floor that ordinary least squares sets (dashed).",
            loss_curve(seen, unit),
        ),
        _figure(
            "What is left above the floor",
            "Measured (line) and as it was forecast before the first step (dashed).",
            excess_curve(seen, forecast, unit),
        ),
        *([] if seen.plane is None else _ground(seen.plane, kept, unit)),
    )


def _ground(plane: Plane, kept: Sequence[str], unit: str) -> list[str]:
    way = "Hollow: the start. Full: where the descent ended."
    if plane.direction is None:
        labels = (f"weight of {kept[0]}", "bias")
        return [
            _figure("The cost surface", f"The loss over weight and bias. {way}", surface(plane, labels, unit)),
            _figure(
                "The same from above",
                f"Lines of equal loss, with its value. {way} The bias is the best one for each weight: the descent "
                "works on standardized columns, where the two do not depend on each other.",
                contours(plane, labels),
            ),
        ]
    parts = sorted(zip(plane.direction.tolist(), kept, strict=True), key=lambda part: -abs(part[0]))
    mostly = [f"{weight:+.2g} {name}" for weight, name in parts[:3] if abs(weight) >= NEGLIGIBLE_WEIGHT]
    return [
        _figure(
            "A slice of the cost surface",
            f"Lines of equal loss, with its value. To the right: from the start straight to the optimum. Upward: the "
            f"steepest other direction (mostly {html.escape(', '.join(mostly) or 'spread over many')}). {way} Its path is seen "
            "from above: it also moves in directions that are not drawn.",
            contours(plane, ("toward the optimum, standardized coefficients", "steepest other direction")),
        )
    ]


def about_condition(seen: Landscape, verdict: dict[str, Any]) -> str:
    """The spectrum, and what depends on what."""
    found = "".join(f"<li>{html.escape(line)}</li>" for line in verdict["dependencies"][:MOST_BARS])
    more = len(verdict["dependencies"]) - MOST_BARS
    named = f"<p>Dependent features:</p><ul>{found}</ul>" if found else "<p>No feature is a combination of others.</p>"
    return (
        _pictures(
            _figure(
                "Spectrum of the correlation matrix",
                "How widely the rows spread in each direction, 1 each if no feature says what another says. The ratio of the "
                f"ends is the condition number, {verdict['condition_number']:.4g}: plain descent needs about as many steps "
                "for each digit.",
                spectrum(seen.eigenvalues),
            )
        )
        + named
        + (f'<p class="soft">{more:,} more are in convergence.parquet.</p>' if more > 0 else "")
    )


def about_rows(rows: dict[str, Any]) -> str:
    """What became of the rows."""
    reasons = [(f"{name} is null", count) for name, count in rows["null"].items()]
    if rows["zero_weight"]:
        reasons.append(("weight is zero", rows["zero_weight"]))
    reasons.sort(key=lambda reason: -reason[1])
    counts = [("read", rows["read"]), ("used", rows["used"]), *reasons]
    note = "A row may miss several columns, and is counted for each." if len(reasons) > 1 else ""
    return _pictures(
        _figure(
            "Rows used, and left out by reason",
            f"{rows['left_out']:,} of {rows['read']:,} rows were left out. {note}{_left_out(len(counts))}",
            bars(
                [Bar(name, n, f"{n:,}") for name, n in counts[:MOST_BARS]], "Rows used and left out by reason", "rows"
            ),
        )
    )


def about_drift(moved: list[dict[str, Any]]) -> str:
    """What has moved since the run published before: means, scales, coefficients; the farthest first."""
    kinds: list[tuple[str, str, Callable[[dict[str, Any]], float], Callable[[float], str], str]] = [
        ("Means", "By how many of its earlier standard deviations a column's mean has moved.",
         lambda row: row["mean_shift_sd"], "{:+.3g}".format, "shift of the mean, SDs"),
        ("Scales", "By which factor a column varies more, or less.",
         lambda row: math.log2(row["scale_ratio"]) if row["scale_ratio"] else -math.inf, lambda v: f"× {2**v:.3g}",
         "factor of the standard deviation, logarithmic"),
        ("Coefficients", "How far they have moved beside both uncertainties; within ±2 is what chance does between "
         "independent samples.", lambda row: row["estimate_shift_se"], "{:+.3g}".format, "shift, joint standard errors"),
    ]  # fmt: skip
    figures = []
    for title, said, value, written, label in kinds:
        rows = [(row["term"], value(row)) for row in moved if not math.isnan(value(row))]
        rows.sort(key=lambda row: -abs(row[1]))
        if rows:
            shown = [Bar(name, shift, written(shift)) for name, shift in rows[:MOST_BARS]]
            figures.append(_figure(title, said + _left_out(len(rows)), bars(shown, f"Drift: {title.lower()}", label)))
    return _pictures(*figures)


def _left_out(n: int) -> str:
    return f" The {n - MOST_BARS:,} smallest are not drawn." if n > MOST_BARS else ""


def _pictures(*figures: str) -> str:
    return f'<div class="pictures">{"".join(figures)}</div>'


def _figure(title: str, said: str, drawn: str) -> str:
    """A picture under its caption; nothing where there is none to draw."""
    return f"<figure><figcaption><b>{html.escape(title)}</b>{said}</figcaption>{drawn}</figure>" if drawn else ""
