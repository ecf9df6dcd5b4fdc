"""Names in Prefect's Markdown: nothing in them is a link, a tag or the end of a block."""

import json
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from flows.page import escaped, fenced, in_code
from flows.train import train
from gdpipe.printable import printable
from tests.conftest import write_parquet
from tests.flows.states import artifacts, run_flow
from tests.flows.test_credentials import everything_known


class _Renderer(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802  # its name in the library, which has no links to files
        return True


# with HTML, as Prefect's page has it
MARKDOWN = _Renderer("gfm-like", {"html": True, "linkify": False})
SIGNS = "`|[](){}<>*_~#+-.!&:\\\n\r\t\x1b'\"= 1aé"
HOSTILE = ("```\n# forged", "a|b", "<img src=x onerror=alert(1)>", "[x](http://example.org)", "_a_ **b**", "&lt;~~c~~")


class Shown(HTMLParser):
    """The tags and the text of HTML."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(MARKDOWN.render(source))
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.sampled_from(SIGNS) | st.characters(), max_size=12))
def test_escaped_text_is_text(said: str) -> None:
    shown = Shown(f"a {escaped(said)} b")
    assert shown.tags == ["p"]
    assert shown.text.split() == f"a {printable(said)} b".split()
    assert set(Shown(escaped(said)).tags) <= {"p"}


@given(st.text(st.sampled_from(SIGNS) | st.characters(), max_size=12))
def test_code_is_code(said: str) -> None:
    shown = Shown(f"a {in_code(said)} b")
    if printable(said):
        assert shown.tags == ["p", "code"]
        assert printable(said).strip() in shown.text
    lines = f"x\n{printable(said)}\n</code>"
    block = Shown(f"{fenced(lines)}\n\nend")
    assert block.tags == ["pre", "code", "p"]
    assert lines in block.text


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("[a](b) `c` <d>")
    rng = np.random.default_rng(0)
    x = dict(zip(HOSTILE, rng.normal(size=(len(HOSTILE), 40)), strict=True))
    write_parquet(folder / "data" / "a.parquet", {**x, "y\x1b\n```": sum(x.values()) + rng.normal(size=40)})
    return {"source": str(folder / "data"), "target": "y\x1b\n```", "output": str(folder / "runs"), "report": True}


@pytest.mark.usefixtures("server")
def test_no_name_leaves_its_place_on_the_run_page(hostile: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    state = run_flow(train, **hostile)
    assert state.is_completed()
    known = artifacts(state)
    summary = next(found for key, found in known.items() if key.endswith("-summary"))
    shown = Shown(summary.data)
    assert shown.tags == ["pre", "code", "p", "code", "p", "code"]
    assert printable(HOSTILE[0]) in shown.text
    assert set(Shown(summary.description).tags) == {"p"}
    table = next(found for key, found in known.items() if key.endswith("-parameters"))
    cells = [Shown(row["term"]) for row in json.loads(table.data)]
    assert {tag for cell in cells for tag in cell.tags} == {"p"}
    assert {cell.text.strip() for cell in cells} == {"intercept", *map(printable, HOSTILE)}
    said = caplog.text + str(state.message)
    assert r"y\\x1b\\n``` from " in said  # Prefect's log has the repr of the run's name
    assert "\x1b" not in said
    # the parameter itself is data; names, states, logs and artifacts are for people
    assert r"\u001b" not in everything_known().replace(json.dumps(hostile["target"]), "")
