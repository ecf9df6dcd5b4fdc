"""Summary, table and picture of a run on its Prefect page; an error here does not stop the run."""

import base64
import contextvars
import os
import re
from collections.abc import Callable
from threading import Thread
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from gdpipe.history import history, listed
from gdpipe.location import is_uri
from gdpipe.printable import counted, logger_named, printable
from gdpipe.report.categories import grouped
from gdpipe.report.one_fit import fit_shown
from gdpipe.report.page import drawn
from gdpipe.report.pictures.curves import loss_curve
from gdpipe.report.style import STYLE
from gdpipe.report.summary import cell, fit_tables, penalty_in_words
from gdpipe.run import Run, summary
from gdpipe.store import catalog
from gdpipe.store.runs import place_at

logger = logger_named("gdpipe.flows")

SHOW_SECONDS = 8.0
REPORT = "report.html"
# the pictures of the report that people look at first: the end of the artifact's key -> the title
PICTURES = {"predicted": "Predicted against actual", "residuals": "Residuals against predictions"}
# characters of a line of code on a page 1,280 pixels wide
PAGE_WIDTH = 86
# runs in the list of an output
MOST_RUNS = 50
# every sign of ASCII that has a meaning in Markdown; '_' has one only at the edge of a word
SIGNS = re.compile(r"[!-&(-+.:<-@\[-^`{-~]|(?<![^\W_])_|_(?![^\W_])|^-")


def best_effort(act: Callable[[], object]) -> None:
    """Call a function that only shows something; errors are logged, and it is waited for a few seconds at most."""
    context = contextvars.copy_context()

    def attempt() -> None:
        try:
            context.run(act)
        except Exception as error:  # of any kind, since a run must not fail because it cannot be shown
            logger.info("not shown on the run page: %s", error)

    thread = Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(SHOW_SECONDS)


def show(run: Run) -> None:
    """Show a training run (published or rejected) or scores on the page of the flow run."""
    best_effort(lambda: _show_training(run) if run.manifest["kind"] == "training" else _show_scores(run))


def slug(text: str) -> str:
    """A text made a part of an artifact's key: in lowercase, with dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"


def _show_training(run: Run) -> None:
    name = f"train-{slug(run.manifest['target'])}"
    report = _report(run)
    more = f"\n\n{_path(run, REPORT)}" if report else ""
    create_markdown_artifact(
        f"{fenced(summary(run, PAGE_WIDTH))}\n\n{_path(run)}{more}",
        key=f"{name}-summary",
        description=escaped(_reason(run.manifest)),
    )
    # as in the summary, a category is a line, however many levels it has: thousands of rows are no page
    [verdict], [quality] = run.table(catalog.CONVERGENCE).to_pylist(), run.table(catalog.METRICS).to_pylist()
    terms, of_descent = fit_shown(run.table(catalog.PARAMETERS).to_pylist(), verdict, quality["target_scale"])
    categories = grouped({catalog.FEATURES: run.table(catalog.FEATURES)} if run.has(catalog.FEATURES) else {}, terms)
    penalized = bool(penalty_in_words(run.manifest["settings"], verdict))
    numbers, lines = fit_tables(terms, categories, penalized=penalized, of_descent=of_descent)
    of_run = f"of run {escaped(run.run_id)}"
    which = f"The fitted parameters {of_run}"
    if not of_descent:
        which = f"The exact least-squares estimates {of_run}; the last column says where its descent stopped"
    _show_table(numbers, f"{name}-parameters", which)
    if categories:
        _show_table(lines, f"{name}-categories", f"The categories {of_run}")
    for key, title in PICTURES.items():
        if svg := drawn(report, title):
            create_markdown_artifact(_image(svg, key), key=f"{name}-{key}", description=title)
    create_markdown_artifact(_loss(run), key=f"{name}-loss", description="The loss at each step of the descent")
    runs = listed(history(place_at(run.manifest["settings"]["output"])))
    said = f"The runs in the output, the newest first; {counted(len(runs), 'run')} in all"
    _show_table(runs[:MOST_RUNS], f"{name}-runs", said)


def _reason(manifest: dict[str, Any]) -> str:
    """Why the run was published or not: that of the gate where it held the run back."""
    verdict, gate = manifest["verdict"], manifest.get("gate")
    return str(gate["reason"] if verdict["passed"] and gate and not gate["passed"] else verdict["reason"])


def _cells(row: dict[str, Any]) -> dict[str, str]:
    """A row of a table; a single '-' would be a bullet."""
    shown = {name: escaped(value) if isinstance(value, str) else cell(value) for name, value in row.items()}
    return {name: "–" if text == "-" else text for name, text in shown.items()}


def _show_table(rows: list[dict[str, Any]], key: str, description: str) -> None:
    # texts are escaped, since the page reads them as Markdown
    create_table_artifact([_cells(row) for row in rows], key=key, description=description)


def _show_scores(run: Run) -> None:
    text = f"{fenced(summary(run, PAGE_WIDTH))}\n\n{_path(run)}"
    create_markdown_artifact(
        text, key="score-summary", description=f"Scored with {escaped(run.manifest['scored_with'])}"
    )


def _path(run: Run, file: str = "") -> str:
    """The path or URI of the run's folder or a file in it, as text: a browser follows no link to a file from a page."""
    place = str(run.place.below(file))
    return in_code(place if is_uri(run.location) else os.path.abspath(place))


def _report(run: Run) -> str:
    """The run's report; empty where it has none."""
    return run.place.read(REPORT).decode() if run.place.exists(REPORT) else ""


def _loss(run: Run) -> str:
    """The loss history as a picture, also of a run without a report."""
    steps = run.table(catalog.LOSS_HISTORY)
    [verdict] = run.table(catalog.CONVERGENCE).to_pylist()
    losses, floor, optimum = steps["loss"].to_pylist(), verdict["ols_loss"], "OLS"
    if verdict["penalty"] != "none":  # the penalty is part of these losses
        floor, optimum = losses[-1] - verdict["excess_loss"], "optimum"
    unit = f"{run.manifest['target']}²"
    return _image(loss_curve(steps["iteration"].to_pylist(), losses, floor, unit, optimum), "loss")


def _image(svg: str, name: str) -> str:
    """A picture of the report as an image inside the page, without a request."""
    # outside the report's page, the picture needs the page's style
    svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    svg = svg.replace("</title>", f"</title><style>{STYLE}</style>", 1)
    return f"![{name}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def escaped(text: str) -> str:
    """One line of text, escaped so that nothing in it is Markdown or HTML."""
    return SIGNS.sub(r"\\\g<0>", printable(text).strip())


def fenced(text: str) -> str:
    """Printable lines as a code block."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return f"{fence}\n{text}\n{fence}"


def in_code(text: str) -> str:
    """One line of text as inline code."""
    line = printable(text)
    ticks = "`" * (_longest_ticks(line) + 1)
    blank = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{blank}{line}{blank}{ticks}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
