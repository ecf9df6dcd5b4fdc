"""The summary of a run in a dozen lines."""

import math
import textwrap
from typing import Any

import pyarrow as pa
from rich.cells import cell_len, set_cell_size  # not rich's tables, whose import takes 20 ms

from gdpipe.printable import counted, printable
from gdpipe.report.advice import advise
from gdpipe.report.categories import Grouped, grouped, without_levels
from gdpipe.report.one_fit import UNFINISHED, fit_shown, headed

NOT_NUMBERS = ("term", "status", "feature", "reference", "lowest", "highest", "run", "made (UTC)", "target", "verdict")
# what a penalty leaves of them
SHOWN_PENALIZED = ("term", "estimate", "ols_estimate", "estimate_scaled", "vif", "status")
SHOWN = ("term", "estimate", "std_error", "t_value", "p_value", "estimate_scaled", "vif", "status")
# columns left out first where the terminal is too narrow; parameters.parquet and `show --json` have all
FIRST_TO_GO = (
    "vif",
    "gvif_root",
    "estimate_scaled",
    "t_value",
    "p_value",
    "std_error",
    "status",
    "reference",
    "levels",
    "target",
    "rows",
    "made (UTC)",
)
MOST_TERMS = 60
# above the table of a run that did not pass
OTHER_FIT = (
    "of the exact least-squares answer, as the standard errors are; the last column says where the descent stopped"
)
INDENT = " " * 12
# two columns of a table
BETWEEN = "  "


def summarize(
    folder: str,
    manifest: dict[str, Any],
    parameters: pa.Table,
    convergence: pa.Table,
    metrics: pa.Table,
    features: pa.Table | None = None,
    *,
    width: int | None = None,
) -> str:
    """The summary of a run as text, from its manifest and the artifacts of these names.

    Numbers have a line each, and so has a category, whatever its levels; `features` is None where there is none.

    `width` is that of the terminal or page, in characters; None where there is none.
    """
    verdict, quality = convergence.to_pylist()[0], metrics.to_pylist()[0]
    rows, terms = manifest["rows"], parameters.to_pylist()
    one_fit, of_descent = fit_shown(terms, verdict, quality["target_scale"])
    categories = [] if features is None else grouped({"features": features}, one_fit)
    n_terms = sum(len(category.terms) for category in categories)
    absorbed = f", {manifest['absorbed']} absorbed" if manifest.get("absorbed") else ""
    counted_terms = counted(parameters.num_rows - (terms[0].get("feature") is None), "term")
    of_terms = f" ({counted_terms}{absorbed})" if n_terms else ""
    reasons = [f"{name} null {count:,}" for name, count in rows["null"].items()]
    if rows["zero_weight"]:
        reasons.append(f"weight zero {rows['zero_weight']:,}")
    forecast = verdict["forecast_iterations"]
    of_features = counted(quality["n_features"], "feature") + of_terms
    penalty = penalty_in_words(manifest["settings"], verdict)
    optimum = "the optimum" if penalty else "OLS"
    leakage = manifest.get("leakage", [])  # earlier versions have none
    held_out = f", {rows['held_out']:,} held out" if rows.get("held_out") else ""
    lines = [
        *(f"too good?   {line}" for line in leakage),
        f"rows        {rows['read']:,} read, {rows['used']:,} used{held_out}, {rows['left_out']:,} left out"
        + (f" ({', '.join(reasons)})" if reasons else ""),
        f"descent     {verdict['method']} on {of_features}: {counted(verdict['iterations'], 'step')} "
        f"(forecast {'never' if forecast is None else f'{forecast:,}'}), learning rate {verdict['learning_rate']:.6g}, "
        f"condition number {verdict['condition_number']:.6g}",
        f"verdict     {'PASSED' if verdict['passed'] else 'NOT PASSED'}: {manifest['verdict']['reason']} "
        f"(gap to {optimum} {gap_shown(verdict)}, tolerance {verdict['tolerance']:g})",
        f"fit         R² {quality['r2']:.7g}{' (uncentred)' if quality['r2_kind'] != 'centred' else ''}, "
        f"RMSE {quality['rmse']:.7g}" + (f", MAE {quality['mae']:.7g}" if math.isfinite(quality["mae"]) else ""),
    ]
    if penalty:
        lines.insert(-1, f"penalty     {penalty}")
    if said := unseen_rows(quality, manifest["settings"].get("folds"), passed=verdict["passed"]):
        lines.append(f"unseen rows {said}")
    if gate := manifest.get("gate"):
        lines.append(f"gate        {'PASSED' if gate['passed'] else 'NOT PASSED'}: {gate['reason']}")
    if drift := manifest.get("drift"):
        differences = drift.get("differences")  # earlier versions have none
        used = f" (with {'; '.join(differences)})" if differences else ""
        moved = [*drift["largest"], *([drift["error"]] if drift.get("error") else [])]
        lines.append(f"drift       since {drift['since']}{used}: {'; '.join(moved) or 'nothing has moved'}")
    lines += [f"dependent   {line}" for line in verdict["dependencies"]]
    lines += [f"notice      {line}" for line in manifest["notices"] if line not in leakage]
    lines = [part for line in lines for part in wrapped(printable(line), width)]
    # left to the terminal to wrap: a line break of ours would be pasted with them
    lines += [printable(f"try         {line}") for line in advise(manifest, verdict, terms)]
    if not of_descent:
        lines += wrapped(f"table       {OTHER_FIT}", width)
    tables = fit_tables(one_fit, categories, penalized=bool(penalty), of_descent=of_descent)
    lines += lines_of_fit(tables, ("in parameters.parquet", "in features.parquet"), width)
    if is_beside_the_latest(manifest):
        lines.append("latest      no: published with latest=false, which leaves latest.json as it was")
    lines.append(f"files       {printable(folder)}")
    return "\n".join(lines)


def fit_tables(
    terms: list[dict[str, Any]], categories: list[Grouped], *, penalized: bool, of_descent: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of a summary's two tables: the intercept and numbers, and a line for each category.

    Args:
        terms: Rows of `parameters`, of one fit.
        categories: The features that have levels, of the same rows.
        penalized: Whether the fit has a penalty, which leaves no standard errors.
        of_descent: Whether the rows are of the descent.
    """
    shown = SHOWN_PENALIZED if penalized else SHOWN if of_descent else (*SHOWN, UNFINISHED)
    numbers = [{name: term[name] for name in shown} for term in without_levels(terms)]
    lines = [category.line() for category in categories]
    if penalized:
        lines = [{name: value for name, value in line.items() if name not in ("F", "p_value")} for line in lines]
    return headed(numbers, passed=of_descent), lines


def lines_of_fit(
    tables: tuple[list[dict[str, Any]], list[dict[str, Any]]], where: tuple[str, str], width: int | None
) -> list[str]:
    """The two tables of `fit_tables` as lines of text; of long ones the first rows, and where the others are."""
    lines = []
    for table, what, rest in zip(tables, ("term", "feature"), where, strict=True):
        lines += table_lines(table[:MOST_TERMS], width)
        if more := max(0, len(table) - MOST_TERMS):
            lines.append(f"{INDENT}and {counted(more, what)} more, {rest}")
    return lines


def penalty_in_words(settings: dict[str, Any], verdict: dict[str, Any]) -> str:
    """The penalty of a run, the terms that it leaves, and the proof; empty where there is none."""
    name = verdict.get("penalty") or "none"  # earlier versions have none
    if name == "none":
        return ""
    given = settings.get("alpha")
    chosen = f" ({given})" if isinstance(given, str) else ""
    ratio = f", l1_ratio {verdict['l1_ratio']:g}" if name == "elastic_net" else ""
    left = counted(verdict["nonzero"], "term")
    return f"{name}, alpha {verdict['alpha']:.6g}{chosen}{ratio}: {left}; {verdict['proof']}"


def gap_shown(verdict: dict[str, Any]) -> str:
    """The gap to the optimum; where other coefficients are as good, that of the predictions in target SDs."""
    gap = verdict["coef_gap"]
    return f"{gap:.2g}" if gap == gap else f"{verdict['fit_gap']:.2g} in predictions"  # noqa: PLR0124  # only NaN differs


def unseen_rows(metrics: dict[str, Any], folds: int | None, *, passed: bool) -> str:
    """The error on rows that the fit has not seen, from the row of `metrics`; empty where there is none.

    Where the descent did not pass, R² and RMSE of the fit are its own, and those of the folds of exact fits: that is
    said.
    """
    found = []
    if (rows := metrics.get("holdout_rows") or 0) > 0:
        found.append(
            f"holdout R² {cell(metrics['holdout_r2'])}, RMSE {metrics['holdout_rmse']:.7g} ({counted(rows, 'row')})"
        )
    if math.isfinite(metrics.get("cv_rmse", math.nan)):
        spread = float(f"{metrics['cv_rmse_se']:.2g}")
        error = f"CV R² {cell(metrics['cv_r2'])}, RMSE {metrics['cv_rmse']:.7g} ± {spread:g}"
        found.append(f"{error} ({folds} folds{'' if passed else ', exact fits'})")
    return "; ".join(found)


def is_beside_the_latest(manifest: dict[str, Any]) -> bool:
    """Whether a run was published without becoming the latest."""
    passed = manifest["verdict"]["passed"] and manifest.get("gate", {"passed": True})["passed"]
    return passed and not manifest["settings"].get("latest", True)  # earlier versions have no such setting


def summarize_scores(folder: str, manifest: dict[str, Any], *, width: int | None = None) -> str:
    """The summary of scores as text; manifests of earlier versions have less of it."""
    rows = manifest["rows"]
    lines = [f"rows        {rows['read']:,} scored with run {manifest['scored_with']}"]
    if left_out := rows.get("left_out"):
        reasons = [f"{name} null {count:,}" for name, count in rows["null"].items()]
        if manifest["settings"].get("unseen") == "null":
            reasons += [f"{name} unseen {count:,}" for name, count in _unseen(rows).items()]
        lines[0] += f", {left_out:,} without a prediction ({', '.join(reasons)})"
    if (error := manifest.get("metrics", {})).get("n_samples"):
        trained = manifest["training_metrics"]
        lines.append(f"scores      {_error(error)}, on {counted(error['n_samples'], 'row')} with {manifest['target']}")
        lines.append(f"training    {_error(trained)}, on {counted(trained['n_samples'], 'row')}")
    lines += [f"notice      {line}" for line in manifest.get("notices", [])]
    lines.append(f"files       {folder}")
    return "\n".join(part for line in lines for part in wrapped(printable(line), width))


def _unseen(rows: dict[str, Any]) -> dict[str, int]:
    """Rows with a level that the fit has not seen, by category."""
    others = rows.get("unseen_others", {})
    return {name: sum(levels.values()) + others.get(name, 0) for name, levels in rows.get("unseen", {}).items()}


def _error(metrics: dict[str, Any]) -> str:
    kind = " (uncentred)" if metrics["r2_kind"] != "centred" else ""
    r2, rmse, mae = ("-" if metrics[name] is None else f"{metrics[name]:.7g}" for name in ("r2", "rmse", "mae"))
    return f"R² {r2}{kind}, RMSE {rmse}, MAE {mae}"


def table_lines(rows: list[dict[str, Any]], width: int | None = None) -> list[str]:
    """Rows with the same columns as lines of aligned text, the names first; text on the left, numbers on the right.

    Where lines are longer than the width, the columns in `FIRST_TO_GO` are left out, and then the first column is cut.
    """
    if not rows:
        return []
    columns = {name: [name, *(cell(row[name]) for row in rows)] for name in rows[0]}
    widths = {name: max(map(cell_len, column)) for name, column in columns.items()}
    first, left_out = next(iter(columns)), []

    def excess() -> int:
        return 0 if width is None else sum(widths.values()) + len(BETWEEN) * (len(widths) - 1) - width

    for name in FIRST_TO_GO:
        if name in widths and excess() > 0:
            del widths[name]
            left_out.append(name)
    widths[first] = max(1, widths[first] - max(0, excess()))
    cells = ((_aligned(columns[name][at], widths[name], name) for name in widths) for at in range(len(rows) + 1))
    lines = [BETWEEN.join(line).rstrip() for line in cells]
    if left_out:
        lines += wrapped(f"not shown   {', '.join(left_out)}: a line has {width} characters", width)
    return lines


def _aligned(text: str, width: int, name: str) -> str:
    """A cell of a column; its width is in columns of a terminal, of which some characters take two."""
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1) + "…"
    blanks = " " * (width - cell_len(text))
    return text + blanks if name in NOT_NUMBERS else blanks + text


def wrapped(line: str, width: int | None) -> list[str]:
    """A line of the summary in lines of this width; None sets no limit."""
    if width is None:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False)


def cell(value: Any) -> str:
    """A value as a table shows it: printable, six digits, '-' where there is none."""
    if value is None or value != value:  # noqa: PLR0124  # only NaN differs from itself
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))
