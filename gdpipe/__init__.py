"""gdpipe: Parquet in, a linear regression that can be trusted out."""

from typing import Any

from gdpipe.config import TrainingConfig
from gdpipe.errors import (
    ConfigError,
    ConvergenceError,
    DataError,
    GdpipeError,
    PublishError,
    QualityError,
    RejectedError,
    SchemaError,
)
from gdpipe.pipeline import train as _train
from gdpipe.run import Run, open_run

__all__ = [
    "ConfigError",
    "ConvergenceError",
    "DataError",
    "GdpipeError",
    "PublishError",
    "QualityError",
    "RejectedError",
    "Run",
    "SchemaError",
    "TrainingConfig",
    "open_run",
    "train",
]


def train(**settings: Any) -> Run:
    """Train and publish a run; settings as in `TrainingConfig`.

    Raises:
        GdpipeError: One of its kinds, by what went wrong; see `gdpipe.errors`.
    """
    return _train(TrainingConfig.of(settings))
