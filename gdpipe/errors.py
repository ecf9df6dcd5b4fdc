"""The errors that gdpipe raises.

::

    GdpipeError
    ├── ConfigError          a setting is wrong; nothing was read
    ├── DataError            the input cannot be used as it is
    │   └── SchemaError      ... because of its columns or their types
    ├── RejectedError        the run was fitted and is not published; its evidence is in rejected/
    │   ├── ConvergenceError     ... because the fit did not pass validation
    │   └── QualityError         ... because it passed, but not the gate: worse than was asked for
    └── PublishError         the output could not be written; what was published before is untouched
        └── EngineError      ... because what works on the shards died or is out of reach

Every message is one line and says what is wrong, where (path, column, row) and what to do about it.
"""

import functools
from pathlib import PurePath
from typing import Any

from gdpipe.printable import printable


class GdpipeError(Exception):
    """The root of all errors that gdpipe raises on purpose.

    Attributes:
        transient: Whether another attempt may succeed (after a lost connection, an interrupted read).
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        # names in the message may hold line breaks and terminal commands
        super().__init__(printable(message))
        self.transient = transient


class ConfigError(GdpipeError):
    """A setting is unknown, of the wrong type, or out of range."""


class DataError(GdpipeError):
    """The input is missing, damaged, or holds nothing that can be fitted."""


class SchemaError(DataError):
    """A column is missing, of a type that cannot be used, or differs between files."""


class RejectedError(GdpipeError):
    """The run is not published.

    Attributes:
        evidence: The folder in `rejected/` that holds the run's parameters, history and verdict.
    """

    def __init__(self, message: str, *, evidence: str | PurePath) -> None:
        super().__init__(message)
        self.evidence = str(evidence)

    def __reduce__(self) -> tuple[Any, ...]:
        """The parts for pickle, which by itself loses a required keyword; errors cross processes."""
        return functools.partial(type(self), evidence=self.evidence), self.args, self.__dict__


class ConvergenceError(RejectedError):
    """The fit did not pass validation."""


class QualityError(RejectedError):
    """The fit passed validation but not the gate: `max_rmse_increase` or `min_r2`."""


class PublishError(GdpipeError):
    """The output could not be written, or is not as it was written."""


class EngineError(PublishError):
    """A worker process died; or the cluster cannot be reached, was lost, or cannot do the work."""
