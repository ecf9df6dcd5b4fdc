"""The page on Prefect, block by block as a reader would, on a server and a worker of its own."""

import dataclasses
import re
from pathlib import Path

import pytest

from tests.flows.machine import REPO, Machine
from tests.pages import Reader, blocks

pytestmark = pytest.mark.prefect_server

PAGE = REPO / "docs" / "prefect.md"
# what stays in its terminal
STAYS = re.compile(r"^prefect (server|worker) start.*\n", re.MULTILINE)


def test_every_block_of_the_page_works_as_printed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    # rich folds what it prints to the width of a terminal
    port = {"PREFECT_SERVER_API_PORT": str(machine.port), "COLUMNS": "200"}
    reader = Reader(machine.clone, str(tmp_path), environment=machine.environment(**port))
    try:
        for block in blocks(PAGE):
            text = block.text.replace(":4200", f":{machine.port}")
            if block.mark == "not run":
                continue
            if block.language == "python":
                text = f"python - <<'END'\n{text}END\n"
            language = block.language.replace("python", "sh")
            reader.read(dataclasses.replace(block, language=language, text=STAYS.sub("", text)))
            for stays in STAYS.finditer(text):
                command = ("bash", "-c", f"exec {stays[0]}")
                machine.start(*command, log=f"{stays[1]}.log", **{**reader.environment, **reader.paths()})
                # every other terminal has it, as the page says
                reader.environment |= machine.api()
    finally:
        machine.stop()
    assert len(machine.started) == 2
