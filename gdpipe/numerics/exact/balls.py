"""Ball arithmetic (Johansson 2017, IEEE Trans. Comput. 66:1281-1292), which knows its own error."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flint import ctx

_one_at_a_time = threading.Lock()


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """With so many bits, for one thread at a time: FLINT keeps one precision for the whole process."""
    with _one_at_a_time, ctx.workprec(bits):
        yield
