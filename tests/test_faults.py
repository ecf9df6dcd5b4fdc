"""A disk that is full, broken or may only be read, at each write: exit code 4, one line, the old run as it was."""

import itertools
import re
import subprocess
from pathlib import Path

import pytest

import gdpipe
from tests.conftest import Outcome, gdpipe_cli, line_columns, snapshot, staged, write_parquet
from tests.faults import BROKEN, EVERY_WRITE, FULL, READ_ONLY, Fault, fault_at, small_disk

REASONS = {FULL: "No space left on device", BROKEN: "Input/output error", READ_ONLY: "Read-only file system"}


def assert_refused(done: Outcome, reason: str) -> None:
    assert done.code == 4, done
    assert re.fullmatch(r"gdpipe: [^\n]+\n", done.err), done.err
    assert reason in done.err
    assert "untouched" in done.err


@pytest.mark.parametrize("others", [0, 1, 2] if EVERY_WRITE else [0])
def test_a_fault_at_each_step_of_a_run(others: int, data: Path, output: Path) -> None:
    """Each step meets one of the three faults; with `make kills`, all three."""
    before = snapshot(output)
    faults: list[Fault] = list(REASONS)
    refused = 0
    for n in itertools.count():
        fault = faults[(n + others) % 3]
        with fault_at(n, output, fault) as steps:
            done = gdpipe_cli("train", data, "--target", "y", "--output", output, "--run-id", f"run-{n}")
        if steps() <= n:
            break
        if done.code == 0:  # the switch has happened, or what went wrong was cleaning up
            assert gdpipe.open_run(output).run_id == f"run-{n}"
            before = snapshot(output)
            continue
        assert_refused(done, REASONS[fault])
        after = snapshot(output)
        assert {name: after.get(name) for name in before} == before, n
        refused += 1
    assert refused >= 30
    assert done.code == 0
    assert gdpipe.open_run(output).run_id == f"run-{n}"
    assert staged(output) == []


@pytest.mark.parametrize("fault", REASONS)
def test_a_fault_while_evidence_is_written_or_runs_are_pruned(fault: Fault, data: Path, output: Path) -> None:
    before = snapshot(output)
    reject = ("train", data, "--target", "y", "--output", output, "--max-iterations", 1, "--no-report")
    for n in (0, 3, 10, 22):
        with fault_at(n, output, fault):
            assert_refused(gdpipe_cli(*reject), REASONS[fault])
        assert snapshot(output) == before
    assert gdpipe_cli("train", data, "--target", "y", "--output", output, "--run-id", "new").code == 0
    before = snapshot(output)
    with fault_at(1, output, fault):
        assert_refused(gdpipe_cli("prune", output, "--keep", 1), REASONS[fault])
    assert snapshot(output) == before


def test_a_disk_that_is_full(data: Path, tmp_path: Path) -> None:
    write_parquet(data / "more.parquet", line_columns(2000, seed=9))
    with small_disk(tmp_path / "disk", "1m") as disk:
        output = disk / "runs"
        train = ("train", data, "--target", "y", "--output", output, "--no-report", "--force")
        assert gdpipe_cli(*train).code == 0
        before = snapshot(output)
        codes = []
        for room in (0, 8, 16, 32, 64, 80, 96, 112, 400):
            with (disk / "filler").open("wb") as filler:
                free = int(subprocess.check_output(["df", "--output=avail", "-k", disk], text=True).split()[-1])
                filler.write(bytes((free - room) * 1024))
            done = gdpipe_cli(*train)
            (disk / "filler").unlink()
            codes.append(done.code)
            if done.code:
                assert_refused(done, "No space left on device")
                after = snapshot(output)
                assert {name: after.get(name) for name in before} == before, room
            assert staged(output) == []
        assert (codes[0], codes[3], codes[-1]) == (4, 4, 0)
        assert gdpipe.open_run(output).verify() == []


def test_a_disk_that_may_only_be_read(data: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        output = disk / "runs"
        train = ("train", data, "--target", "y", "--output", output, "--no-report", "--force")
        assert gdpipe_cli(*train).code == 0
        before = snapshot(output)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert_refused(gdpipe_cli(*train), "Read-only file system")
        assert_refused(gdpipe_cli("predict", data, "--run", output, "--output", output), "Read-only file system")
        assert snapshot(output) == before
        assert gdpipe_cli("verify", output).code == 0
