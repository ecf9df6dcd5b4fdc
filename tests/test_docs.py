"""Every command in README.md and docs/ is run, page by page, and what a page shows is what comes out."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPO
from tests.pages import DECIMAL, Block, Reader, blocks, prose, read_elsewhere

Reading = Future["subprocess.CompletedProcess[str]"]
PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    return str(page.relative_to(REPO))


def read(page: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.pages", str(page), str(folder)]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def readings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, Reading]]:
    """Every page that is asked for, read in a process and a folder of its own, as many at once as there are cores."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    pages: list[Any] = [item.callspec.params["page"] for item in items if "readings" in item.fixturenames]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {page: pool.submit(read, page, tmp_path_factory.mktemp(page.stem)) for page in pages}


def test_what_is_read_elsewhere_is_read_there() -> None:
    for page in PAGES:
        if test := read_elsewhere(page):
            assert f'"{page.name}"' in (REPO / test).read_text(encoding="utf-8")


def test_every_page_is_in_the_tree_of_the_site_once_and_has_a_name_of_its_own() -> None:
    listed = re.findall(r"(?:root|file): (\S+)", (REPO / "docs" / "toc.yml").read_text(encoding="utf-8"))
    pages = [*PAGES, *(REPO / path for path in ("data/README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
    assert sorted(listed) == sorted(name(page).removesuffix(".md") for page in pages)
    titles = [page.read_text(encoding="utf-8").partition("\n")[0] for page in pages]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page) and not read_elsewhere(page)], ids=name)
def test_every_block_of_the_page_works_as_printed(page: Path, readings: dict[Path, Reading]) -> None:
    done = readings[page].result()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / path if path else page
        assert target.exists(), f"{name(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name(page)}: {link}"


def anchors(page: Path) -> list[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_tutorial_quotes_no_number_that_it_does_not_show() -> None:
    page = REPO / "docs" / "tutorial.md"
    shown = set(DECIMAL.findall(" ".join(block.text for block in blocks(page))))
    quoted = set(DECIMAL.findall(re.sub(r"`[^`]*`", "", prose(page))))
    assert quoted <= shown


# the reader itself: it must be able to fail


@pytest.mark.parametrize(
    ("language", "text", "complaint"),
    [
        ("", "gdpipe show\n", "neither run nor marked"),
        ("yaml", "a: 1\n", "neither run nor marked"),
        ("sh", "false\n", "exit code 1"),
        ("sh", "echo 1.25 # 1.26\n", "1.26 is not in"),
        ("console", "$ false\n", "exit code 1"),
        ("console", "$ echo a; false\nb\n", "which is not in"),
        ("text", "a\n", "no block was run"),
    ],
)
def test_what_does_not_work_is_noticed(language: str, text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=complaint):
        Reader(tmp_path, str(tmp_path)).read(Block("page:1", language, text, "", ""))


def test_shown_lines_are_held_against_what_was_printed(tmp_path: Path) -> None:
    reader = Reader(tmp_path, str(tmp_path))
    for language, text in (("python", "x = 2\n"), ("python", "print('one', x)\nprint('three 3.5 s')\n")):
        reader.read(Block("page:1", language, text, "", ""))
    reader.read(Block("page:5", "text", "one 2\nthree ... s\n", "", ""))
    for wrong in ("one 3\n", "three 3.5 s\none 2\n"):
        with pytest.raises(AssertionError, match="which is not in"):
            reader.read(Block("page:9", "text", wrong, "", ""))
