"""A run in a notebook: a small table, none of whose texts is a tag."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdpipe
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.runs import train, train_on


class Table(HTMLParser):
    """The tags and the text of HTML."""

    def __init__(self, html: str | None) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.said: list[str] = []
        self.feed(html or "")
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_a_run_says_what_it_is(tmp_path: Path) -> None:
    run = train_on(tmp_path, line_columns(), run_id="one")
    shown = Table(run._repr_html_())
    said = dict(zip(shown.said[::2], shown.said[1::2], strict=False))
    assert (said["run"], said["rows"], said["verdict"]) == ("one", "200 rows", "passed")
    assert said["R²"] == f"{run.metrics['r2'][0]:.6g}"
    assert {"intercept", "x1", "x2", f"{run.parameters['estimate'][1]:.6g}"} <= set(shown.said)


def test_a_rejected_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(gdpipe.ConvergenceError) as caught:
        train_on(tmp_path, line_columns(), learning_rate=1e-9, max_iterations=3)
    run = gdpipe.Run.at(caught.value.evidence)
    said = Table(run._repr_html_()).said
    assert "not passed" in said
    # estimates are those that the standard errors belong to
    assert "ols_estimate" in said
    assert f"{run.parameters['ols_estimate'][1]:.6g}" in said
    assert f"{run.parameters['estimate'][1]:.6g}" not in said


def test_only_what_there_is_has_a_place(tmp_path: Path) -> None:
    said = Table(train_on(tmp_path, line_columns(), penalty="ridge", alpha=0.1)._repr_html_()).said
    assert "cross-validated RMSE" in said
    assert "-" not in said
    assert not {"RMSE of the rows held out", "std_error", "p_value"} & set(said)


def test_many_terms_are_cut_and_names_are_text(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {f"<b>{j}</b>": rng.normal(size=50) for j in range(12)}
    run = train_on(tmp_path, {**columns, "<script>": sum(columns.values())}, target="<script>")
    shown = Table(run._repr_html_())
    assert set(shown.tags) == {"div", "table", "tr", "th", "td", "thead", "tbody", "p", "code"}
    assert "and 5 more terms, in " in shown.said
    assert "<b>0</b>" in shown.said


def test_scores_and_a_run_that_is_gone(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "line.parquet", line_columns())
    run = train(source, tmp_path / "runs")
    assert gdpipe_cli("predict", source, "--run", tmp_path / "runs", "--output", tmp_path / "scores").code == 0
    assert "scored" in Table(gdpipe.open_run(tmp_path / "scores")._repr_html_()).said
    (run.folder / "metrics.parquet").unlink()
    assert run._repr_html_() is None
