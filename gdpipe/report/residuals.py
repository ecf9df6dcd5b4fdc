"""The pictures of rows: the fitted line, predictions, residuals, and partial residuals by feature."""

from collections.abc import Sequence
from typing import Any

from gdpipe.numerics.rows.density import Density
from gdpipe.printable import markup
from gdpipe.report.categories import without_levels
from gdpipe.report.exhibits import figure, pictures
from gdpipe.report.pictures.densities import (
    fitted_line,
    predicted_and_actual,
    quantiles,
    residual_histogram,
    residuals_and_predictions,
)
from gdpipe.report.pictures.partial import SHOWN, partial_residuals

COLOUR = "The stronger the colour, the more rows"
MEANS = (
    "line with dots: means of rows with neighbouring values; where they leave the fit, another form of the feature may "
    "suit better"
)


def the_line(density: Density | None, included: Sequence[str], target: str, terms: list[dict[str, Any]]) -> str:
    """The picture of the rows with the fitted line; empty where there is more than one feature."""
    if density is None or not density.grid.alone or not density.rows:
        return ""
    feature = included[0]
    intercept, *others = terms  # a feature may have the intercept's name
    slope = next(term["estimate"] for term in others if term["term"] == feature)
    return figure(
        "Data and the fitted line",
        f"How {markup(target)} goes with {markup(feature)}. Plain line: the fit; {MEANS}. {COLOUR}.",
        fitted_line(density, feature, target, (intercept["estimate"], slope)),
    )


def about_fit(density: Density | None, rows: dict[str, Any], target: str, *, weighted: bool, line: str = "") -> str:
    """The pictures of predictions and residuals, after that of the fitted line if there is one."""
    if density is None or not density.rows:
        return '<p class="soft">No rows were read again after the fit: there are no pictures of them.</p>'
    some = f"Predicted rows alone, {density.rows:,} of {rows['used']:,} used. " if density.rows != rows["used"] else ""
    reach = f"{density.grid.residuals:g} RMSE"
    return pictures(
        line,
        figure(
            "Predicted against actual",
            f"{some}On the dashed line both are the same. {COLOUR}; what lies beyond is counted at the edge.",
            predicted_and_actual(density, target),
        ),
        figure(
            "Residuals against predictions",
            "Where a straight line suits the data, about the dashed zero line and equally wide everywhere. Line with "
            "dots: means of rows with neighbouring predictions; a bend asks for another form of a feature.",
            residuals_and_predictions(density, target),
        ),
        figure(
            "Residuals",
            f"Dashed: the normal distribution with the same RMSE. The outermost bars count rows beyond {reach}, too."
            f"{' A row counts once, whatever its weight.' if weighted else ''}",
            residual_histogram(density, target),
        ),
        figure(
            "Quantiles of the residuals",
            "On the dashed line where residuals are normal with this RMSE. Both ends steeper are heavy "
            "tails, or outliers; one end alone is skewness.",
            quantiles(density, target),
        ),
        two=True,
    )


def about_partial_residuals(
    density: Density | None, included: Sequence[str], target: str, terms: list[dict[str, Any]]
) -> str:
    """The section of partial residuals by feature; empty for a single feature, which `the_line` shows.

    `terms` are the rows of `parameters`, of the fit that the residuals are of. The first is the intercept: without one
    there are no counts by feature.
    """
    if density is None or not density.rows or density.grid.alone:
        return ""
    grid, numbers = density.grid, [term for term in without_levels(terms[1:]) if term["term"] in set(included)]
    estimates = {term["term"]: term["estimate"] for term in numbers}
    names = [included[feature.term] for feature in grid.features]
    drawn = [
        figure(name, "", partial_residuals(density, place, name, target, estimates[name]))
        for place, name in enumerate(names)
    ]
    if not any(drawn):
        return ""
    largest = f"the {len(names)} with the largest standardized coefficients are drawn"
    some = f" Of {len(numbers):,} terms that are numbers, {largest}." if len(numbers) > len(names) else ""
    return (
        f'<h3>Partial residuals by feature</h3><p class="soft">What the other features leave of {markup(target)}: the '
        f"residual plus coefficient · (value − mean). Dashed line: the fit; {MEANS}. Below, the means of the residuals "
        f"alone. {COLOUR}. Residuals beyond ±{SHOWN * grid.residuals:g} RMSE are in the means only, values beyond "
        f"±{grid.spreads:g} SDs at the edge.{some}</p>{pictures(*drawn)}"
    )
