"""Run one command; write its times, peak memory and exit status to a JSON file: launch.py JSON COMMAND...

A process of its own, and started bare (`python -I -S`), because Linux counts what the parent held when it started the
child towards the child's peak: from pytest, with pandas loaded, every peak would be at least pytest's own.
"""

import glob
import json
import os
import sys
import threading
import time

INTERVAL = 0.1  # s from one look at the memory to the next
SHARE = 20  # looks take at most one part in so many of a core's time: one at 4 GB takes 35 ms


def main() -> None:
    result, *command = sys.argv[1:]
    start = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ)
    done, looks = threading.Event(), [0]
    watch = threading.Thread(target=_watch, args=(child, done, looks))
    watch.start()
    _, status, usage = os.wait4(child, 0)  # the child's own account, and that of the children it waited for
    wall = time.perf_counter() - start
    done.set()
    watch.join()
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # Linux counts in KiB
    took = {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": peak,  # of the one process that held most
        "tree_peak": max(peak, *looks),  # of all processes together; between two looks the largest may have held more
        "status": os.waitstatus_to_exitcode(status),
    }
    with open(result, "w") as file:
        json.dump(took, file)


def _watch(child: int, done: threading.Event, looks: list[int]) -> None:
    pause = 0.0
    while not done.wait(pause):
        before = time.thread_time()
        looks.append(_memory(child))
        pause = max(INTERVAL, SHARE * (time.thread_time() - before))


def _memory(process: int) -> int:
    """Proportional set size of a process and its descendants, in bytes: what n of them share counts 1/n in each."""
    held = sum(
        1024 * int(line.split()[1]) for line in _lines(f"/proc/{process}/smaps_rollup") if line.startswith("Pss:")
    )
    for thread in glob.glob(f"/proc/{process}/task/*/children"):
        held += sum(_memory(int(child)) for line in _lines(thread) for child in line.split())
    return held


def _lines(path: str) -> list[str]:
    try:
        with open(path) as file:
            return file.readlines()
    except OSError:  # the process or the thread has ended
        return []


if __name__ == "__main__":
    main()
