"""Only for show, and best effort: what happens where nobody answers. The deaths themselves are in test_deaths.py."""

import threading
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

import gdpipe
from flows import page
from flows.outcome import api_answers
from flows.page import best_effort, show, slug
from tests.conftest import line_columns, write_parquet
from tests.flows.machine import free_port


@pytest.fixture
def nobody() -> str:
    return f"http://127.0.0.1:{free_port()}/api"


def test_an_api_that_is_not_there_does_not_answer(nobody: str, server: None) -> None:
    assert api_answers(0)
    with temporary_settings({PREFECT_API_URL: nobody}):
        assert not api_answers(0)
    assert api_answers(0)


def test_a_page_that_nobody_takes_is_let_go(
    tmp_path: Path, nobody: str, server: None, caplog: pytest.LogCaptureFixture
) -> None:
    write_parquet(tmp_path / "data" / "line.parquet", line_columns())
    run = gdpipe.train(source=str(tmp_path / "data"), target="y", output=str(tmp_path / "runs"))
    caplog.set_level("INFO", "gdpipe.flows")
    with temporary_settings({PREFECT_API_URL: nobody}):
        show(run)
    assert "not shown on the run page" in caplog.text


def test_what_takes_too_long_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SHOW_SECONDS", 0.05)
    never = threading.Event()
    best_effort(never.wait)
    never.set()


@pytest.mark.parametrize(("text", "key"), [("arr_delay", "arr-delay"), ("Größe (cm)", "gr-e-cm"), ("%", "unnamed")])
def test_a_key_is_lowercase_with_dashes(text: str, key: str) -> None:
    assert slug(text) == key
