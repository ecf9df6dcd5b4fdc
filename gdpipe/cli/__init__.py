"""The command line."""

import os

# the work is a thread or a process a core: BLAS would start, and warm up, a thread a core beside them, as NumPy loads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from gdpipe.cli.commands import main

__all__ = ["main"]
