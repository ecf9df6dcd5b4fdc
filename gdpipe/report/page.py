"""report.html: a run for a person, in one file that needs no network."""

import html
from typing import Any

import pyarrow as pa

from gdpipe.report import plots
from gdpipe.report.summary import SHOWN, cell

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #6a737d; --rule: #d8dee4; --mark: #0b63c5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9198a1; --rule: #30363d; --mark: #58a6ff; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.passed { border-left: .4rem solid #2da44e; padding-left: .8rem; } .rejected { border-left: .4rem solid #cf222e; padding-left: .8rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { white-space: nowrap; text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--rule); } th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; } svg text { fill: var(--soft); }
.line { fill: none; stroke: var(--mark); stroke-width: 2; } .bar { fill: var(--mark); opacity: .35; } .grid { stroke: var(--rule); } .axis { stroke: var(--soft); }
"""


def page(
    manifest: dict[str, Any],
    parameters: pa.Table,
    history: pa.Table,
    convergence: pa.Table,
    metrics: pa.Table,
    drift: pa.Table | None = None,
) -> str:
    """The whole page as HTML.

    Args:
        manifest: The run's, or as much of it as is known before it is written.
        parameters: The artifact of that name.
        history: loss_history.
        convergence: The artifact of that name.
        metrics: The artifact of that name.
        drift: The artifact of that name; not in a first run.
    """
    verdict, quality = convergence.to_pylist()[0], metrics.to_pylist()[0]
    rows, settings = manifest["rows"], manifest["settings"]
    terms = [row for row in parameters.to_pylist() if row["scale"] == row["scale"] and row["scale"] is not None]  # NaN
    to_scaled = [row["scale"] / quality["target_scale"] for row in terms]
    title = f"{settings['target']} from {settings['source']}"
    sections = [
        f"<h1>{html.escape(title)}</h1>",
        _verdict(verdict, quality, manifest, settings["target"]),
        "<h2>Rows</h2>",
        _table(
            [{"": "read", "rows": rows["read"]}, {"": "used", "rows": rows["used"]}]
            + [{"": f"{name} is null", "rows": count} for name, count in rows["null"].items()]
            + ([{"": "weight is zero", "rows": rows["zero_weight"]}] if rows["zero_weight"] else [])
        ),
        *(f"<p>{html.escape(notice)}</p>" for notice in manifest["notices"]),
        "<h2>Coefficients</h2>",
        plots.coefficients(
            [row["term"] for row in terms],
            [row["estimate_scaled"] for row in terms],
            [(row["ci_upper"] - row["ci_lower"]) / 2 * s for row, s in zip(terms, to_scaled, strict=True)],
        ),
        _table(parameters.select(SHOWN).to_pylist()),
        "<h2>Descent</h2>",
        "<p>What is left of the loss above the best possible one, step by step.</p>",
        plots.loss_curve(history["iteration"].to_pylist(), history["loss"].to_pylist(), verdict["ols_loss"]),
        "<h2>Certificate</h2>",
        _pairs(verdict),
        "<h2>Fit</h2>",
        _pairs(quality),
        *_drift(manifest, drift),
        "<h2>Settings</h2>",
        _pairs(settings),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    )


def _verdict(verdict: dict[str, Any], quality: dict[str, Any], manifest: dict[str, Any], target: str) -> str:
    reason, gate = manifest["verdict"]["reason"], manifest.get("gate")
    share = (
        f"The features explain {quality['r2']:.1%} of {html.escape(target)}; a typical error is {quality['rmse']:.4g}."
    )
    if verdict["passed"] and gate and not gate["passed"]:
        return f'<p class="rejected">This fit passed, but not the gate, and was not published: {html.escape(gate["reason"])}</p>'
    if verdict["passed"]:
        sure = "These are the least-squares numbers; whether a straight line suits the data is another question."
        held = f" The gate was passed: {html.escape(gate['reason'])}." if gate else ""
        return f'<p class="passed">This fit passed: {html.escape(reason)}. {sure} {share}{held}</p>'
    return f'<p class="rejected">This fit was not published: {html.escape(reason)}</p>'


def _drift(manifest: dict[str, Any], drift: pa.Table | None) -> list[str]:
    if drift is None:
        return []
    return [f"<h2>Drift since run {html.escape(manifest['drift']['since'])}</h2>", _table(drift.to_pylist())]


def _pairs(row: dict[str, Any]) -> str:
    return _table(
        [{"": name, "value": "; ".join(map(str, v)) if isinstance(v, list) else v} for name, v in row.items()]
    )


def _table(rows: list[dict[str, Any]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell(value))}</td>' for value in row.values())}</tr>" for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
