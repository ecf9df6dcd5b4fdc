"""A fault at the n-th step of writing an output, whichever call that is."""

import contextlib
import errno
import io
import itertools
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gdpipe.store.place import Sink

# 200 and more: every single write is a step, not only the first of each file
KILLS = int(os.environ.get("GDPIPE_KILLS", "12"))
EVERY_WRITE = KILLS >= 200
# what a process that is to be killed would load, loaded once
PRELOADED = ["gdpipe.cli", "tests.faults", "tests.conftest"]

Fault = Callable[[], None]


def die() -> None:
    """As a power cut would have it."""
    os.kill(os.getpid(), signal.SIGKILL)


def failing(code: int) -> Fault:
    """What the operating system answers from a full disk, a broken one, one that may only be read."""

    def fail() -> None:
        raise OSError(code, os.strerror(code))

    return fail


FULL, BROKEN, READ_ONLY = failing(errno.ENOSPC), failing(errno.EIO), failing(errno.EROFS)


@contextlib.contextmanager
def fault_at(n: int, output: Path, fault: Fault) -> Iterator[Callable[[], int]]:
    """Let the n-th step (from 0) that changes something below `output` go wrong before it happens.

    Steps are: making a file or folder, writing, flushing to the disk, renaming, removing.

    Yields:
        What tells how many steps there have been.
    """
    calls = itertools.count()
    seen = 0

    def before(real: Callable[..., Any], concerns: Callable[..., bool]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            nonlocal seen
            if concerns(*args, **options):
                seen += 1
                if next(calls) == n:
                    fault()
            return real(*args, **options)

        return wrapped

    def below(path: Any, *_: Any, dir_fd: int | None = None, **__: Any) -> bool:
        return dir_fd is not None or (not isinstance(path, int) and str(path).startswith(str(output)))

    def opened(path: Any, mode: str = "r", *_: Any, **__: Any) -> bool:
        return below(path) and not mode.startswith("r")

    def written(sink: Sink, _: Any) -> bool:
        return EVERY_WRITE or sink._handle.tell() == 0

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(io, "open", before(io.open, opened))
        patched.setattr(os, "open", before(os.open, lambda path, flags, *_, **__: below(path) and flags & os.O_CREAT))
        patched.setattr(os, "fsync", before(os.fsync, lambda _: True))
        patched.setattr(Sink, "write", before(Sink.write, written))
        for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
            patched.setattr(os, name, before(getattr(os, name), below))
        yield lambda: seen


def killed_at(n: int, output: Path, *command: object) -> bool:
    """Run a gdpipe command in a process of its own that is killed at its n-th step; False where it has not so many."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    process = processes.Process(target=_run_until, args=(n, output, command))
    process.start()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


def _run_until(n: int, output: Path, command: tuple[object, ...]) -> None:
    from tests.conftest import gdpipe_cli

    with fault_at(n, output, die):
        assert gdpipe_cli(*command).code == 0


def in_another_process(work: Callable[..., Any], *args: object) -> tuple[int | None, list[Any]]:
    """The exit code of a process of its own, None where it hangs and was killed; and what the work returned."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    answers, answer = processes.Pipe(duplex=False)
    process = processes.Process(target=_answered, args=(answer, dict(os.environ), work, *args))
    process.start()
    answer.close()
    process.join(60)  # what hangs, hangs for ever
    code = process.exitcode
    process.kill()
    process.join()
    try:
        return code, [answers.recv()]
    except EOFError:
        return code, []


def _answered(answer: Any, environment: dict[str, str], work: Callable[..., Any], *args: object) -> None:
    os.environ.update(environment)  # the server of processes was started before the S3 server
    answer.send(work(*args))


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own with so much room; skips the test where none can be had."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root may mount a small disk")
    folder.mkdir()
    if subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
