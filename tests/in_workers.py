"""Functions that tests run in worker processes. A worker imports their file, so it holds nothing else."""

import os
import time


def pid(seconds: float) -> int:
    """The id of the process, after a while."""
    time.sleep(seconds)
    return os.getpid()


def blas_threads(_: int) -> int:
    """The most threads that BLAS may use."""
    import numpy as np
    from threadpoolctl import threadpool_info

    assert np.ones(2) @ np.ones(2) == 2
    return max(int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas")
