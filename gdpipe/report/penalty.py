"""The penalty in the report: its path, and what was chosen by the error on unseen rows."""

from typing import Any

import pyarrow as pa

from gdpipe.printable import markup
from gdpipe.report.exhibits import figure, pictures
from gdpipe.report.pictures.paths import coefficient_paths, error_curve

# lines in the picture of coefficients: those of the largest ones at the weakest penalty
MOST_PATHS = 12
MARKS = {"least": "least", "one_std_error": "1 SE"}
CHOSEN_BY = {
    "auto": "the least error on unseen rows",
    "auto_1se": "the strongest penalty within one standard error of the least error on unseen rows",
}


def about_penalty(
    path: pa.Table, verdict: dict[str, Any], terms: list[dict[str, Any]], settings: dict[str, Any]
) -> str:
    """The section of the penalty: sentences, the coefficients and the error against alpha."""
    rows = path.to_pylist()
    alphas, chosen = [row["alpha"] for row in rows], verdict["alpha"]
    # as the path has them: without the intercept, which alone has neither feature nor a mean
    names = [term["term"] for term in terms][-len(rows[0]["estimate_scaled"]) :] if rows[0]["estimate_scaled"] else []
    size = [abs(value) for value in rows[-1]["estimate_scaled"]]
    shown = sorted(range(len(names)), key=lambda j: -size[j])[:MOST_PATHS]
    paths = {names[j]: [row["estimate_scaled"][j] for row in rows] for j in shown if size[j]}
    more = len(names) - len(paths)
    left = f" The {more:,} smallest are not drawn." if more > 0 else ""
    marked = {said: row["alpha"] for name, said in MARKS.items() for row in rows if row[name]}
    rmse, std_error = ([row[name] for row in rows] for name in ("cv_rmse", "cv_rmse_se"))
    drawn = [
        figure(
            "Coefficients along the path",
            "Each line is a term; the penalty is weaker to the right. Dashed: the alpha of this run; faint: 0 "
            f"there.{left}",
            coefficient_paths(alphas, paths, chosen),
        ),
        figure(
            "Error on unseen rows along the path",
            "The rows of each fold, predicted by the fit to the others; dashed: one standard error to either side. "
            "Dots: the least error, and the strongest penalty within one standard error of it (1 SE).",
            error_curve(alphas, rmse, std_error, marked, chosen, settings["target"]),
        ),
    ]
    by = f" ({CHOSEN_BY[given]})" if (given := settings["alpha"]) in CHOSEN_BY else ""
    said = (
        f"{verdict['penalty'].replace('_', ' ')} with alpha {chosen:.6g}{by} leaves {verdict['nonzero']:,} of "
        f"{verdict['rank']:,} independent terms in the line; {verdict['proof']}. There are no standard errors: a "
        "penalty biases coefficients towards zero, so that those of least squares do not hold."
    )
    said = f"{said[:1].upper()}{said[1:]}"
    return f"<h2>The penalty</h2><p>{markup(said)}</p>{pictures(*drawn)}"
