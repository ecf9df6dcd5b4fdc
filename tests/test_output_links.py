"""Links, files, pipes and file systems that gdpipe cannot work with: one line before any work, and nothing changed."""

import errno
import fcntl
import os
import re
import shutil
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gdpipe.layout import signed
from gdpipe.store.disk import sync_folder
from tests.conftest import Outcome, gdpipe_cli, snapshot
from tests.faults import in_another_process
from tests.runs import gdpipe_retrain

# links and file systems


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
@pytest.mark.parametrize(("call", "words"), [("flock", "lock files (flock)"), ("fsync", "force a folder to the disk")])
def test_a_file_system_that_cannot_is_told_before_any_work(
    call: str, words: str, code: int, data: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(output)
    real = os.fsync

    def unable(descriptor: int, *_: int) -> None:
        if call == "flock" or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(fcntl if call == "flock" else os, call, unable)
    for done in (
        gdpipe_retrain(data, str(output)),
        gdpipe_retrain(data, str(output.with_name("new"))),
        gdpipe_cli("predict", data, "--run", output, "--output", output),
    ):
        assert done.code == 4, done
        assert re.fullmatch(r"gdpipe: cannot write to [^\n]+\n", done.err), done
        assert f"its file system cannot {words}" in done.err
        assert "take an output on one that can" in done.err
        assert "descent" not in done.out
    assert snapshot(output) == before


def test_a_real_file_system_that_cannot_flush_its_folders() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc here, whose folders cannot be flushed")
    with pytest.raises(
        OSError, match=r"cannot force a folder to the disk \(fsync\): Invalid argument; take an output on"
    ):
        sync_folder(Path("/proc/self"))


@pytest.fixture
def other(data: Path, tmp_path: Path) -> Path:
    """Another output, with a run, a rejected one, sums, and something in staging."""
    folder = tmp_path / "other"
    assert gdpipe_retrain(data, str(folder), "--run-id", "theirs").code == 0
    assert gdpipe_retrain(data, str(folder), "--run-id", "bad", "--max-iterations", 1).code == 1
    (folder / ".staging" / signed("r1")).mkdir()
    (folder / ".staging" / f"{signed('r1')}.lock").touch()
    (folder / ".staging" / signed("r1") / "x.parquet").write_text("x")
    return folder


@pytest.mark.parametrize("target", ["other", "nothing"])
@pytest.mark.parametrize("name", [".staging", "runs", "rejected", "moments", "latest.json"])
def test_a_link_where_gdpipe_writes_is_refused(name: str, target: str, other: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine"
    assert gdpipe_retrain(data, str(output), "--run-id", "mine").code == 0
    link = output / name
    shutil.rmtree(link) if link.is_dir() else link.unlink(missing_ok=True)
    link.symlink_to(tmp_path / target / name)
    before = snapshot(tmp_path)
    for done in (
        gdpipe_retrain(data, str(output)),
        gdpipe_retrain(data, str(output), "--no-latest"),
        gdpipe_cli("predict", data, "--run", other, "--output", output),
        gdpipe_cli("prune", output, "--keep", 1, "--rejected"),
    ):
        assert done.code == 4, done
        assert re.fullmatch(r"gdpipe: [^\n]+\n", done.err)
        assert f"{link} is a symbolic link" in done.err
        assert "put a " in done.err
        assert snapshot(tmp_path) == before
    assert link.is_symlink()


def test_an_output_that_is_itself_reached_by_a_link_is_an_output(data: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    for run_id in ("a", "b"):
        assert gdpipe_retrain(data, str(tmp_path / "runs"), "--run-id", run_id).code == 0
    assert gdpipe_cli("prune", tmp_path / "runs", "--keep", 1).code == 0
    assert [path.name for path in (tmp_path / "disk" / "runs").iterdir()] == ["b"]


@pytest.mark.parametrize("name", [".staging", "runs", "rejected", "moments"])
def test_a_file_where_a_folder_must_be_is_refused_before_any_work(name: str, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    output.mkdir()
    (output / name).write_text("theirs")
    done = gdpipe_retrain(data, str(output))
    assert (done.code, f"{output / name} is not a folder; move it away" in done.err) == (4, True), done
    assert snapshot(output) == {name: b"theirs"}


# pipes, sockets and devices


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_socket(path: Path) -> None:
    here = os.open(path.parent, os.O_RDONLY)  # a socket's name may have but 107 characters
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


def as_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def as_link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to(path.with_name("pipe"))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("latest.json", as_pipe),
        ("latest.json", as_device),
        ("runs/good/manifest.json", as_pipe),
        ("runs/good/manifest.json", as_link_to_a_pipe),
        ("runs/good/metrics.parquet", as_pipe),
        ("runs/good/metrics.parquet", as_socket),
    ],
)
def test_what_is_no_regular_file_is_one_line_and_never_waited_for(
    name: str, made: Callable[[Path], None], data: Path, output: Path
) -> None:
    (output / name).unlink()
    made(output / name)
    train = ("train", data, "--target", "y", "--output", output)
    commands: list[tuple[object, ...]] = [("verify", output), (*train, "--max-rmse-increase", 1)]
    commands += [("show", output), ("predict", data, "--run", output, "--output", output)]
    if name == "latest.json":
        commands += [train, (*train, "--no-latest"), ("prune", output, "--keep", 1)]
    code, answers = in_another_process(_outcomes, commands)
    assert code == 0
    for outcome, command in zip(answers[0], commands, strict=True):
        assert outcome.code == 4, (command, outcome)
        assert re.fullmatch(r"gdpipe: [^\n]+\n", outcome.err), outcome
        assert name.rpartition("/")[2].removesuffix(".parquet") in outcome.err, outcome
    assert os.path.lexists(output / name)


def _outcomes(commands: Sequence[tuple[object, ...]]) -> list[Outcome]:
    return [gdpipe_cli(*command) for command in commands]


def test_a_pipe_among_the_kept_sums_is_neither_read_nor_replaced(data: Path, output: Path) -> None:
    [entry] = (output / "moments").iterdir()
    entry.unlink()
    as_pipe(entry)
    done = gdpipe_retrain(data, str(output))
    assert (done.code, f"{entry} is no regular file; move it away" in done.err) == (4, True), done
    assert entry.is_fifo()
