"""A process and all that it starts: who they are, and the memory that they take together."""

import contextlib
import subprocess
import time
from pathlib import Path

# short enough to see a peak: a shard takes longer
SECONDS_BETWEEN_LOOKS = 0.02


def children_of(parent: int) -> list[int]:
    """Its children, those that ended and that nobody waited for among them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(folder.name))
    return found


def workers_of(parent: int) -> list[int]:
    """The worker processes of a process."""
    return [pid for pid in children_of(parent) if b"popen_loky" in _read(pid, "cmdline")]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waited for does not."""
    return b"State:" in (status := _read(pid, "status")) and b"State:\tZ" not in status


def peak_of_tree(command: list[str], cwd: Path) -> int:
    """Run a command to its end; the most bytes that its processes held together, pages that they share counted once."""
    process, most = subprocess.Popen(command, cwd=cwd), 0
    while process.poll() is None:
        most = max(most, sum(map(_held, [process.pid, *children_of(process.pid)])))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    assert process.returncode == 0
    return most


def _held(pid: int) -> int:
    lines = _read(pid, "smaps_rollup").splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(b"Pss:"))


def _read(pid: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""
