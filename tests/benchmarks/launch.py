"""Run one command; write its wall time, CPU time, peak memory and exit status to a JSON file: launch.py JSON COMMAND...

A process of its own, and started bare (`python -I -S`), because Linux counts what the parent held when it started the
child towards the child's peak: from pytest, with pandas loaded, every peak would be at least pytest's own.
"""

import json
import os
import sys
import time


def main() -> None:
    result, *command = sys.argv[1:]
    start = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)  # the child's own account, and that of the children it waited for
    wall = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB
    took = {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * unit,
        "status": os.waitstatus_to_exitcode(status),
    }
    with open(result, "w") as file:
        json.dump(took, file)


if __name__ == "__main__":
    main()
