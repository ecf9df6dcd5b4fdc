"""The locks, as far as they can be tested without a registry."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = sorted(ROOT.glob("requirements*.lock"))
PIN = re.compile(r"(?P<name>[\w.-]+)(?P<extras>\[.*?\])?==(?P<version>\S+)(?P<marker> ; .+?)? \\")


def pins(lock: Path) -> dict[str, tuple[str, ...]]:
    """What each pin has, with its marker, and the hashes below it."""
    found: dict[str, tuple[str, ...]] = {}
    # a pin begins its line, all that belongs to it is indented
    for entry in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip()):
        first, *others = entry.splitlines()
        assert PIN.fullmatch(first), f"{lock.name}: {first}"
        found[first] = tuple(re.findall(r"--hash=sha256:[0-9a-f]{64}", "\n".join(others)))
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_line_is_a_pin_with_hashes_and_names_no_index(lock: Path) -> None:
    assert all(pins(lock).values())
    assert "://" not in lock.read_text(encoding="utf-8")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_what_is_pinned_with_extras_is_pinned_without_too(lock: Path) -> None:
    """pip before 24 does not take the one for the other: `pip install -r requirements.lock` stopped."""
    found = pins(lock)
    assert lock.name != "requirements.lock" or any(first.startswith("sqlalchemy[asyncio]==") for first in found)
    for first, hashes in found.items():
        if "[" in first:
            assert found.get(re.sub(r"\[.*?\]", "", first)) == hashes, first


def test_the_bounds_of_python_are_said_alike() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    least, beyond = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()  # type: ignore[union-attr]  # the test is that it matches
    minors = range(int(least), int(beyond))
    named = [line.rsplit(".", 1)[1] for line in project["classifiers"] if re.search(r":: Python :: 3\.", line)]
    assert named == [str(minor) for minor in minors]
    said = f"Python 3.{minors[0]} to 3.{minors[-1]}"
    for page in ("README.md", "CONTRIBUTING.md", "Makefile"):
        assert said in (ROOT / page).read_text(encoding="utf-8"), page
