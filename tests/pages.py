"""The fenced blocks of a page of Markdown, run as a reader would run them.

| block | what is done |
| --- | --- |
| `sh` | one bash for the block, ended by the first command that fails; a decimal number in a comment must be printed |
| `console` | lines after `$ ` are commands, what stands below is printed; one shown with its output may fail |
| `python` | executed; names live on to the page's end |
| `sql` | executed by DuckDB, one connection a page |
| `text` | lines that the block run before must have printed, in this order |

In shown lines `...` stands for anything, and any run_id for any other. A block after `<!-- not run: reason -->` is not
run; after `<!-- run instead: command -->`, the command is. `<!-- this page is run by ...: tests/... -->` is for a page
that needs more than a shell, and names the test that reads it.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from tests.preloaded import gdpipe_in

REPO = Path(__file__).parents[1]
# what commands leave behind
NOT_IN_A_CLONE = ("runs", "scores", "backfill", "demo", "demo_runs", "site", "bench")
RUN = ("sh", "console", "python", "sql")
MARK = re.compile(r"<!-- (not run|run instead): (.+) -->")
ELSEWHERE = re.compile(r"^<!-- this page is run by .+: (\S+) -->$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", re.DOTALL)
RUN_ID = re.compile(r"\d{8}-\d{6}-\d{6}-[0-9a-f]{8}")
DECIMAL = re.compile(r"(?<![\w.])-?\d+\.\d+(?:e-?\d+)?(?![\w.])")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        where: Page and line.
        language: The word after the fence; empty where there is none.
        text: What stands in it.
        mark: `not run`, `run instead`, or nothing.
        mark_text: The reason, or the command.
    """

    where: str
    language: str
    text: str
    mark: str
    mark_text: str


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        before = text[: fence.start()].rstrip().rpartition("\n")[2]
        mark = MARK.fullmatch(before)
        where = f"{page.relative_to(REPO)}:{text.count(chr(10), 0, fence.start()) + 1}"
        found.append(Block(where, fence[1], fence[2], *(mark.groups() if mark else ("", ""))))
    fences = len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE))
    assert fences == 2 * len(found), f"{page.name}: a fence is indented, not closed, or of another kind"
    return found


def read_elsewhere(page: Path) -> str | None:
    """The test that runs the page, where it needs more than a shell; None where it does not."""
    found = ELSEWHERE.search(page.read_text(encoding="utf-8"))
    return found[1] if found else None


def prose(page: Path) -> str:
    """What stands between the blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


@dataclass(slots=True)
class Reader:
    """Somebody who tries everything on a page.

    Attributes:
        folder: Where the commands are run: the working folder of this process too.
        scripts: A folder that comes first on the PATH of shells.
        environment: The variables of shells; those of this process where nothing is said.
        printed: By the block run before; None where there is none.
        names: Those of the page's Python.
        database: The page's.
    """

    folder: Path
    scripts: str
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    printed: str | None = None
    names: dict[str, Any] = field(default_factory=dict)
    database: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def read(self, block: Block) -> None:
        """Run a block, or hold it against what the block before has printed."""
        if block.mark == "not run":
            self.printed = None
        elif block.mark == "run instead":
            self._sh(Block(block.where, "sh", block.mark_text, "", ""))
        elif block.language == "text":
            assert self.printed is not None, f"{block.where}: no block was run whose output this could be; mark it"
            assert_shown(block.text, self.printed, block.where)
        else:
            assert block.language in RUN, f"{block.where}: {block.language or 'no language'}: neither run nor marked"
            {"sh": self._sh, "console": self._console, "python": self._python, "sql": self._sql}[block.language](block)

    def paths(self) -> dict[str, str]:
        """The variables with which a shell finds gdpipe, and the clone's packages."""
        path = os.pathsep.join([self.scripts, sysconfig.get_path("scripts"), os.environ["PATH"]])
        return {"PATH": path, "PYTHONPATH": self.environment.get("PYTHONPATH", str(REPO))}

    def _bash(self, commands: str, options: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", options, "pipefail", "-c", commands],
            cwd=self.folder,
            env={**self.environment, **self.paths()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def _sh(self, block: Block) -> None:
        code, self.printed = self._bash(block.text, "-euo")
        assert code == 0, f"{block.where}: exit code {code}\n{self.printed}"
        for comment in re.findall(r"(?:^|\s)# (.*)$", block.text, re.MULTILINE):
            for number in DECIMAL.findall(comment):
                assert number in self.printed, f"{block.where}: {number} is not in\n{self.printed}"

    def _console(self, block: Block) -> None:
        assert block.text.startswith("$ "), f"{block.where}: a session starts with '$ '"
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, shown = COMMAND.fullmatch(part).groups()  # type: ignore[union-attr]  # found so
            code, self.printed = self._bash(command, "-uo")
            assert code == 0 or shown.strip(), f"{block.where}: {command}: exit code {code}\n{self.printed}"
            assert_shown(shown, self.printed, block.where)

    def _python(self, block: Block) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as stream:
            exec(compile(block.text, block.where, "exec"), self.names)  # noqa: S102  # our own pages
        self.printed = stream.getvalue()

    def _sql(self, block: Block) -> None:
        answers = [self.database.sql(statement) for statement in self.database.extract_statements(block.text)]
        self.printed = "\n".join(str(answer) for answer in answers if answer is not None)


def assert_shown(shown: str, printed: str, where: str) -> None:
    """See that each shown line was printed, in their order."""
    lines = iter([RUN_ID.sub("RUN_ID", line.rstrip()) for line in printed.splitlines()])
    for line in shown.splitlines():
        wanted = ".*".join(map(re.escape, RUN_ID.sub("RUN_ID", line.rstrip()).split("...")))
        assert any(re.fullmatch(wanted, got) for got in lines), f"{where}: shows\n{line}\nwhich is not in\n{printed}"


def read_page(page: Path, folder: Path) -> None:
    """Read a page in a folder that looks like a fresh clone."""
    for entry in REPO.iterdir():
        if not entry.name.startswith(".") and entry.name not in NOT_IN_A_CLONE:
            (folder / entry.name).symlink_to(entry)
    os.chdir(folder)
    with tempfile.TemporaryDirectory() as scripts, gdpipe_in(Path(scripts)):
        reader = Reader(folder, scripts)
        for block in blocks(page):
            reader.read(block)


if __name__ == "__main__":
    read_page(Path(sys.argv[1]), Path(sys.argv[2]))
