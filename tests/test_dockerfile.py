"""The Dockerfile, as far as it can be tested without an engine."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
COPIED = [
    path
    for name, rest in INSTRUCTIONS
    if name == "COPY" and not rest.startswith("--from")
    for path in shlex.split(rest)[:-1]
]


@pytest.mark.parametrize("path", COPIED)
def test_every_path_it_copies_exists_and_is_let_into_the_context(path: str) -> None:
    assert (ROOT / path).exists()
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert f"!{path}" in ignore


def test_it_ends_as_a_user_of_its_own_on_a_base_that_can_be_chosen() -> None:
    names = [name for name, _ in INSTRUCTIONS]
    assert names.count("FROM") == 2
    assert all(rest.startswith("${BASE}") for name, rest in INSTRUCTIONS if name == "FROM")
    last_user = [rest for name, rest in INSTRUCTIONS if name == "USER"][-1]
    assert last_user != "root"
    assert names.index("USER") > names.index("RUN")


def test_the_package_builds_and_installs_from_what_is_copied(tmp_path: Path) -> None:
    """The build stage's last step, on the very files that the context has; what the locks bring is here already."""
    context, target = tmp_path / "context", tmp_path / "site"
    context.mkdir()
    for path in COPIED:
        subprocess.run(["cp", "-r", str(ROOT / path), str(context / path)], check=True)
    install = next(rest for name, rest in INSTRUCTIONS if name == "RUN" and rest.endswith(" ."))
    arguments = shlex.split(re.sub(r"^pip ", "", install))[:-1]
    pip = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(target), "."], cwd=context, check=True)
    assert (target / "gdpipe" / "py.typed").is_file()
    assert not (target / "flows").exists()


def test_the_commands_it_is_for_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gdpipe.cli"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "train" in shown
    for flow in ("flows.train", "flows.score"):
        subprocess.run([sys.executable, "-c", f"import {flow}"], cwd=ROOT, check=True, env={"HOME": str(tmp_path)})
