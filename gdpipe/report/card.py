"""A run as a small table in HTML, as notebooks show it; and the verdict in a word, as lists of runs have it."""

from typing import Any

import pyarrow as pa

from gdpipe.printable import counted, markup
from gdpipe.report.one_fit import fit_shown, headed
from gdpipe.report.summary import cell

# terms that are shown
MOST_TERMS = 8
SHOWN = ("term", "estimate", "std_error", "p_value")
# what a penalty leaves of them
SHOWN_PENALIZED = ("term", "estimate")
# the errors on rows that a fit did not see, by column of `metrics`; earlier runs have neither
HELD_OUT = {"cv_rmse": "cross-validated RMSE", "holdout_rmse": "RMSE of the rows held out"}


def verdict_of(manifest: dict[str, Any]) -> str:
    """What became of a run: passed, not passed, gate not passed; or scored."""
    if manifest["kind"] != "training":
        return "scored"
    if not manifest["verdict"]["passed"]:
        return "not passed"
    return "passed" if manifest.get("gate", {"passed": True})["passed"] else "gate not passed"


def card(manifest: dict[str, Any], metrics: pa.Table | None = None, parameters: pa.Table | None = None) -> str:
    """The run in a table of two columns, and its first terms; scores have neither of the two artifacts."""
    rows, settings = manifest["rows"], manifest["settings"]
    quality = manifest.get("metrics", {}) if metrics is None else metrics.to_pylist()[0]
    said = {
        "run": manifest["run_id"],
        "made": f"{manifest['created'][:16].replace('T', ' ')} UTC",
        "of": f"{manifest['target']} from {settings.get('source')}" if "target" in manifest else None,
        "rows": f"{counted(rows['used'] if 'used' in rows else rows['read'], 'row')}",
        "R²": cell(quality.get("r2")),
        "RMSE": cell(quality.get("rmse")),
        **{name: cell(quality[column]) for column, name in HELD_OUT.items() if column in quality},
        "verdict": verdict_of(manifest),
    }
    # without folds, a holdout, or a target that scores are held against, there is no such error
    shown = ((name, text) for name, text in said.items() if text not in (None, "-"))
    pairs = "".join(f"<tr><th>{name}</th><td>{markup(str(text))}</td></tr>" for name, text in shown)
    terms = _terms(manifest, quality, parameters.to_pylist()) if parameters is not None else ""
    return f"<div><table>{pairs}</table>{terms}</div>"


def _terms(manifest: dict[str, Any], quality: dict[str, Any], parameters: list[dict[str, Any]]) -> str:
    """The first terms, of one fit: a run that did not pass has the estimates of its standard errors."""
    penalty = manifest["settings"].get("penalty") or "none"  # earlier versions have none
    verdict = {"passed": manifest["verdict"]["passed"], "penalty": penalty}
    terms, of_descent = fit_shown(parameters, verdict, quality["target_scale"])
    columns = SHOWN if penalty == "none" else SHOWN_PENALIZED
    rows = headed([{name: term[name] for name in columns} for term in terms[:MOST_TERMS]], passed=of_descent)
    head = "".join(f"<th>{name}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{markup(cell(value))}</td>' for value in row.values())}</tr>" for row in rows)
    more = len(terms) - MOST_TERMS
    rest = f"<p>and {counted(more, 'more term')}, in <code>parameters</code></p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"
