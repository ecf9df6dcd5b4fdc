"""report.html: a run in words and pictures, in one file that needs no network."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from gdpipe.numerics.descent.landscape import Landscape
from gdpipe.numerics.rows.density import Density
from gdpipe.printable import counted, markup
from gdpipe.report.advice import advise
from gdpipe.report.categories import Grouped, grouped, short, without_levels
from gdpipe.report.drift import in_words
from gdpipe.report.exhibits import about_categories, about_drift, about_features_and_rows, about_the_descent
from gdpipe.report.numbers import p_value, rounded, shown_value
from gdpipe.report.one_fit import UNFINISHED, fit_shown, headed
from gdpipe.report.penalty import about_penalty
from gdpipe.report.residuals import about_fit, about_partial_residuals, the_line
from gdpipe.report.since import SinceThen, since_then
from gdpipe.report.style import STYLE
from gdpipe.report.summary import SHOWN, SHOWN_PENALIZED, gap_shown, is_beside_the_latest, penalty_in_words
from gdpipe.report.unseen import about_unseen_rows

# rows of a table and characters of a cell that are shown; the Parquet files and the manifest have all
LONGEST_TABLE, LONGEST_CELL = 300, 300
# characters of a level's label in a line
LONGEST_LABEL = 40
# levels in all tables together, and in one that is open at first
MOST_LEVELS, SHORT_TABLE = 1000, 12
# above the pictures, and above the table (with a penalty; without), of a run that did not pass
OF_DESCENT = "Predictions, residuals and the rows below are those of the unfinished descent."
STOPPED = "The descent did not end at the optimum: bars and tables are of the estimates where it stopped."
OTHER_FIT = (
    "The descent did not end at the best line, so bars and tables are of the exact least-squares answer: estimates, "
    f"standard errors, t, p and intervals alike. The column {UNFINISHED} says where the descent stopped."
)


def page(
    manifest: dict[str, Any],
    tables: Mapping[str, pa.Table],
    *,
    landscape: Landscape,
    included: Sequence[str],
    density: Density | None,
    worst: Sequence[dict[str, Any]] = (),
) -> str:
    """The page as HTML, from the run's artifacts and its manifest as it is before the page is written.

    `tables` are the artifacts by name: `drift` is not there for a first run, `features` and `levels` only where there
    are categories. `included` are the terms in the fit, in the landscape's order, shape (p,). `density` is None where
    no rows were read again. `worst` are the rows with the largest |residual|, the largest first.
    """
    verdict, quality = tables["convergence"].to_pylist()[0], tables["metrics"].to_pylist()[0]
    published = tables["parameters"].to_pylist()
    penalty = penalty_in_words(manifest["settings"], verdict)
    terms, of_descent = fit_shown(published, verdict, quality["target_scale"])
    shown = SHOWN_PENALIZED if penalty else SHOWN if of_descent else (*SHOWN, UNFINISHED)
    since = since_then(manifest, quality, tables.get("drift"), published)
    categories = grouped(tables, terms)
    settings, target = manifest["settings"], manifest["target"]
    leakage = manifest.get("leakage", [])
    notices = [line for line in manifest["notices"] if line not in leakage]
    unseen = about_unseen_rows(quality, settings.get("folds"), passed=verdict["passed"])
    line = the_line(density, included, target, published)
    title = f"{target} from {settings['source']}"
    sections = [
        f"<h1>{markup(title)}</h1>",
        f'<p class="soft">Run {markup(manifest["run_id"])}, {manifest["created"][:16].replace("T", " ")} UTC, '
        f"gdpipe {manifest['versions']['gdpipe']}"
        f"{', published beside the latest run' if is_beside_the_latest(manifest) else ''}</p>",
        *(
            f'<p class="verdict rejected"><strong>Too good?</strong> {markup(_cut(_sentence(sign)))}.</p>'
            for sign in leakage
        ),
        _verdict(manifest, verdict, quality, terms, since),
        _tiles(verdict, quality, manifest["rows"]),
        f'<p class="soft">{unseen}</p>' if unseen else "",
        *(f'<p class="soft">{markup(_cut(notice))}</p>' for notice in notices[:LONGEST_TABLE]),
        "<h2>How well it fits</h2>",
        "" if verdict["passed"] else f'<p class="soft">{OF_DESCENT}</p>',
        about_fit(density, manifest["rows"], target, weighted=settings["weight"] is not None, line=line),
        about_partial_residuals(density, included, target, published),
        _worst(worst),
        "<h2>Features and rows</h2>",
        about_features_and_rows(terms, quality, verdict, manifest["rows"], target, landscape),
        *([] if of_descent and verdict["passed"] else [f'<p class="soft">{STOPPED if of_descent else OTHER_FIT}</p>']),
        _table(headed([{name: term[name] for name in shown} for term in without_levels(terms)], passed=of_descent)),
        about_categories(categories, target),
        *_folded(categories, passed=of_descent),
        about_penalty(tables["path"], verdict, terms, settings) if "path" in tables else "",
        "<h2>The descent</h2>",
        about_the_descent(landscape, verdict, included, target),
    ]
    if "drift" in tables:
        moved = tables["drift"].to_pylist()
        sections += [
            f"<h2>Drift since run {markup(manifest['drift']['since'])}</h2>",
            *(f"<p>That run used {markup(line)}.</p>" for line in manifest["drift"].get("differences", [])),
            _table(since.rows) if since else "",
            about_drift(moved),
            _table([{**row, **in_words(row)} for row in moved]),
        ]
    sections += [
        "<h2>Every number</h2>",
        '<div class="pictures">',
        _pairs("The certificate", verdict),
        _pairs("The fit", quality),
        _pairs("The settings", settings),
        "</div>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{markup(title)}</title><style>{STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    )


def drawn(html: str, title: str) -> str | None:
    """The picture with a title in such a page, as SVG; None where the page does not have it."""
    found = re.search(rf"<svg\b(?:(?!<svg\b).)*?<title>{re.escape(markup(title))}</title>.*?</svg>", html, re.DOTALL)
    return found[0] if found else None


def _verdict(
    manifest: dict[str, Any],
    verdict: dict[str, Any],
    quality: dict[str, Any],
    terms: list[dict[str, Any]],
    since: SinceThen | None,
) -> str:
    """The outcome in plain sentences, with advice where the run was not published."""
    reason, gate, target = manifest["verdict"]["reason"], manifest.get("gate"), markup(manifest["target"])
    # the mean absolute error is NaN unless every row was read again
    off = f"; a prediction is off by {rounded(quality['mae'])} on average" if math.isfinite(quality["mae"]) else ""
    share = f"The features explain {quality['r2']:.1%} of how {target} varies{off}."
    held = gate is None or gate["passed"]
    if verdict["passed"] and held:
        penalty = penalty_in_words(manifest["settings"], verdict)
        head = f"Passed: this is the best line there is for these rows{' and this penalty' if penalty else ''}."
        answer = "optimum" if penalty else "least-squares answer"
        off_by = (
            f"no coefficient is off by more than {verdict['coef_gap']:.2g} (in standard deviations; "
            f"{verdict['tolerance']:g} is allowed)"
            if math.isfinite(verdict["coef_gap"])
            else f"predictions are off by at most {verdict['fit_gap']:.2g} of the target's standard deviation (RMS)"
        )
        said = (
            f"{markup(_sentence(reason))}: against the exact {answer} {off_by}. "
            f"{share} Whether a straight line suits the data is another question, for the pictures of the residuals."
        )
        more = f"<p>The gate was passed: {markup(gate['reason'])}.</p>" if gate else ""
    elif gate and verdict["passed"]:
        head = "Not published: the line is the best for these rows, but worse than was asked for."
        said = f"This fit passed, but not the gate: {markup(gate['reason'])}. {share}"
        more = ""
    else:
        head = "Not published: the descent did not reach the best line."
        said, more = f"{markup(_sentence(reason))}.", ""
    tries = "".join(f"<li>{_tried(line)}</li>" for line in advise(manifest, verdict, terms))
    style = "verdict" if verdict["passed"] and held else "verdict rejected"
    tried = f"<p>What to try next:</p><ul>{tries}</ul>" if tries else ""
    moved = f"<p>{markup(_cut(since.sentence))}</p>" if since else ""
    return f'<div class="{style}"><p><strong>{head}</strong></p><p>{said}</p>{more}{moved}{tried}</div>'


def _tried(line: str) -> str:
    """A line of advice: options as code, no line break in one, and behind them what they do."""
    options, _, why = _cut(line).partition("  # ")
    if not options.startswith("--"):
        return markup(_cut(line))
    code = " ".join(f"<code>{markup(word)}</code>" for word in options.split(" "))
    return f"{code}: {markup(why)}" if why else code


def _worst(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    said = f"The {counted(len(rows), 'row')} with the largest residuals: their data may be wrong, or a feature missing."
    # a phone shows the first columns
    first = ("residual", "target", "prediction")
    table = [{name: row[name] for name in (*first, *(name for name in row if name not in first))} for row in rows]
    return f'<h3>The worst rows</h3><p class="soft">{said}</p>{_table(table, "scroll numbers")}'


def _tiles(verdict: dict[str, Any], quality: dict[str, Any], rows: dict[str, Any]) -> str:
    kind = "" if quality["r2_kind"] == "centred" else " (uncentred)"
    shown = {
        f"R²{kind}": shown_value(quality["r2"]),
        "RMSE": shown_value(quality["rmse"]),
        "rows used": f"{rows['used']:,}",
        "steps": f"{verdict['iterations']:,}",
        f"gap to {'OLS' if verdict.get('penalty', 'none') == 'none' else 'the optimum'}": gap_shown(verdict),
        "condition number": rounded(verdict["condition_number"]),
    }
    tiles = "".join(f"<div><dt>{name}</dt><dd>{said}</dd></div>" for name, said in shown.items())
    return f'<dl class="tiles">{tiles}</dl>'


def _folded(categories: Sequence[Grouped], *, passed: bool) -> Iterator[str]:
    """The tables of levels, each under the line of its feature; a long one opens when it is asked for."""
    left = MOST_LEVELS
    for category in categories:
        of, rows = category.feature, headed(category.rows(), passed=passed)
        said = [counted(of["levels"], "level")]
        said += [f"reference {short(of['reference'], LONGEST_LABEL)}"] if of["reference"] is not None else []
        # a penalized fit has no test
        tests = {"F": shown_value(of["f_statistic"]), "p": shown_value(p_value(of["f_p_value"]))}
        said += [f"{name} {value}" for name, value in tests.items() if value != "-"]
        ends = [f"{rounded(estimate)} ({short(level, LONGEST_LABEL)})" for estimate, level in category.ends()]
        said += [f"from {' to '.join(ends)}"] if ends else []
        head = f"<summary><b>{markup(category.name)}</b>: {markup(', '.join(said))}</summary>"
        is_open = ' open=""' if len(rows) <= SHORT_TABLE else ""
        shown = rows[: min(left, LONGEST_TABLE)]
        cut = len(rows) - len(shown)
        more = f'<p class="soft">{cut:,} more are in parameters.parquet.</p>' if cut else ""
        left -= len(shown)
        yield f"<details{is_open}>{head}{_table(shown)}{more}</details>"


def _pairs(title: str, row: dict[str, Any]) -> str:
    shown = {name: p_value(value) if name.endswith("p_value") else _in_words(value) for name, value in row.items()}
    return _table([{title: name, "": value} for name, value in shown.items()], "scroll pairs")


def _in_words(value: Any) -> Any:
    """Lists as text, those of lists, such as filters, as the JSON that the option takes."""
    if not isinstance(value, (list, tuple)):
        return value
    if any(isinstance(each, (list, tuple)) for each in value):
        return json.dumps(value, ensure_ascii=False)
    return "; ".join(map(str, value)) or None


def _table(rows: list[dict[str, Any]], style: str = "scroll") -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{markup(name)}</th>" for name in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{markup(_cut(_cell(name, value)))}</td>' for name, value in row.items())}</tr>"
        for row in rows[:LONGEST_TABLE]
    )
    more = len(rows) - LONGEST_TABLE
    left = f'<p class="soft">{more:,} more are in the Parquet file.</p>' if more > 0 else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="{style}" tabindex="0">{table}</div>{left}'


def _cell(name: str, value: Any) -> str:
    return shown_value(p_value(value) if name.endswith("p_value") else value)


def _cut(said: str) -> str:
    return said if len(said) <= LONGEST_CELL else f"{said[:LONGEST_CELL]}…"


def _sentence(said: str) -> str:
    return said[:1].upper() + said[1:]
